"""What we write down: run records and results, as frozen dataclasses with one codec."""
