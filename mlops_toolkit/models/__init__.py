"""Where models are stored, by digest."""

from mlops_toolkit.models.base import Nowhere, Store
from mlops_toolkit.models.open import claim, fetch, keep, look_after, open_models, reachable

__all__ = ["Nowhere", "Store", "claim", "fetch", "keep", "look_after", "open_models", "reachable"]
