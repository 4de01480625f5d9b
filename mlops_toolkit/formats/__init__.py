"""How a trained model is stored so that it can be loaded anywhere, and loading it runs nobody's code by accident. Ships inside the image."""
