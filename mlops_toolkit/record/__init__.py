"""The verb that registers a model trained elsewhere, and writes the committed pointer to it."""
