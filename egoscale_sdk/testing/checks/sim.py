"""The sim checks."""
