"""The recorded runs: an orphan branch in the user's own repository, and the rule that picks a baseline from it."""
