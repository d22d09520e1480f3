"""Two-finger grippers for the EgoScale SDK."""
