"""The version of the toolkit and of the actions around it; a file, because a composite action is not told its own tag."""

__version__ = "0.1.0"
