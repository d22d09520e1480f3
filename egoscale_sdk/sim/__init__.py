"""Simulation: MuJoCo worlds built from embodiment specs, a task in them, the people and hands that do it."""
