"""Human hands for the EgoScale SDK."""
