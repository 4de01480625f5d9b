"""The verb that compares: two runs, a gate, one Result."""
