"""`mlops inspect MODEL`: what a stored model is, without loading it."""
