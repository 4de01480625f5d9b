"""The gate: from two runs in memory and what is asked of them to checks, a verdict and what to do next. Pure."""
