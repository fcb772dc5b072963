"""Many students of one architecture, trained in lockstep."""
