"""The verb that finds what would go wrong, before it does."""
