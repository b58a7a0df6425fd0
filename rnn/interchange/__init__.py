"""Weights of other libraries' layers, in and out, for the cells that both have."""
