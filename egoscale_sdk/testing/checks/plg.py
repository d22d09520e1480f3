"""The plg checks."""
