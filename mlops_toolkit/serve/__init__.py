"""A model that answers requests: the Open Inference Protocol, a plain `POST /predict`, and what is watched of both. Ships inside the image."""
