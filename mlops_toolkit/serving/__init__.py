"""`mlops serve MODEL…`: a stored model that answers requests on this machine, as it would in its image."""

# What differs on a laptop: reached from there alone, ended at once, and read by a person.
DEFAULTS = {"host": "127.0.0.1", "grace": "0s", "log": "text", "log_requests": "errors", "log_level": "warning"}
