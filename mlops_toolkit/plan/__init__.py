"""The verb that says which models must be trained or evaluated, without a GPU or data."""
