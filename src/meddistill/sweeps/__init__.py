"""A sweep's jobs, where they run, and one of their students."""
