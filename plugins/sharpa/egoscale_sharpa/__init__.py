"""Sharpa Wave hands for the EgoScale SDK."""
