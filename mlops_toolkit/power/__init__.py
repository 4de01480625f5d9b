"""`mlops power`: how many examples a margin needs, and which margin so many examples decide, before the test set exists."""
