"""A plan as one C program for each half of the loop, and its run."""
