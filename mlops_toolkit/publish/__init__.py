"""Publishing: the recorded model of a commit that may be released becomes an image (or an artifact) in a registry, under tags that stay."""
