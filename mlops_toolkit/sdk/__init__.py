"""What a training script may call: `import mlops_toolkit as mlops`. Imports nothing heavy until it is asked for something."""
