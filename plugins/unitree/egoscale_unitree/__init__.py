"""Unitree G1 with dexterous hands for the EgoScale SDK."""
