"""One release takes over from another on a target: decided step by step from what is observed there, and undone where it is worse.

It runs where the model runs (a container beside it, a Job in its cluster), from one file, with Python's own library alone: of ours it imports
`errors`, `serve.drift` and `formats.reference`, which are as light, and nothing else.
"""
