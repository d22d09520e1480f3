"""The spec checks."""
