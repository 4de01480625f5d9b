"""The checks of `mlops doctor`."""
