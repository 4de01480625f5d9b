"""The verb that trains: runs the user's command and records what it left behind."""
