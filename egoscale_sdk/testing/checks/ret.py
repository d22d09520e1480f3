"""The ret checks."""
