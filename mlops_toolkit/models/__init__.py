"""Where models are stored, by digest."""

from mlops_toolkit.models.base import Nowhere, Store
from mlops_toolkit.models.open import fetch, keep, open_models, reachable

__all__ = ["Nowhere", "Store", "fetch", "keep", "open_models", "reachable"]
