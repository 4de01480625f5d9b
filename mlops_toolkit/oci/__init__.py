"""Images and artifacts as the OCI defines them: who we are at a registry, its API, documents, layers. Nothing here knows what a model is."""
