"""`mlops demo`: a throw-away repository with a real model, and two pull requests for it."""
