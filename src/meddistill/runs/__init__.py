"""A run's folder, and what happens to a run beside its training."""
