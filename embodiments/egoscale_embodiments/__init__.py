"""Embodiment specs and URDF text; data only."""
