"""Predictions, one row per example: reading them, checking them, aligning two of them by id."""
