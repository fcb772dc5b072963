"""Students: what can be asked of one, and its training."""
