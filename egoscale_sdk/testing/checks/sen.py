"""The sen checks."""
