"""The place where pull requests live: GitHub, or the terminal."""
