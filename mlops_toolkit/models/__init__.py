"""Trained models by digest, and the stores they are kept in."""
