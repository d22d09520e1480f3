"""The drv checks."""
