"""`mlops deploy`, `mlops rollback`, `mlops status`: which release goes where, told to the target that does it, and told to people."""
