"""The kin checks."""
