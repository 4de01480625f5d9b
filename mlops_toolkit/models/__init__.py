"""Where models are stored, by digest."""
