"""The verb that evaluates: predictions and measures into metrics with standard errors."""
