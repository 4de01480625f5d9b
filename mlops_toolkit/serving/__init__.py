"""`mlops serve MODEL…`: a stored model that answers requests on this machine, as it would in its image."""
