"""`mlops bisect`: the commits of the base branch where a metric really moved."""
