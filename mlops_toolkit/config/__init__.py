"""What the user wrote: mlops.yaml, action inputs and command-line flags as frozen dataclasses, from one definition."""
