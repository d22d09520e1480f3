"""A vendor's own plugin, for tests: the hands of a GR-1 whose recordings no shipped embodiment describes."""
