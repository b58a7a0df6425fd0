"""Where the values of a plan live while it runs."""
