"""`mlops init` looks at a repository and proposes its mlops.yaml and workflow; `mlops validate` checks what stands there."""
