"""Predictions of any size: read in blocks, checked as those in memory are, aligned by id through files in a temporary folder."""
