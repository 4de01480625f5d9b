"""Watching a model in production: the files for Prometheus and those around it, and one issue for what they find."""
