"""Data that is made or found at run time."""
