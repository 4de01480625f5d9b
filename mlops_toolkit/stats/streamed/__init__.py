"""Metrics and their differences over examples that are only ever seen a block at a time: what `stats.paired` says of those in memory."""
