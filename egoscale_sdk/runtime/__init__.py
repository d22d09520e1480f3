"""Runtime: from a checkpoint to a moving hand, within its limits."""
