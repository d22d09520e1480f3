"""The act checks."""
