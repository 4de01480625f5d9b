"""The verb that evaluates: runs the user's evaluation, reads what it wrote, computes the metrics and completes the run's record."""
