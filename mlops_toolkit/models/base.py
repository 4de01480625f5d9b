"""What a models store can do. A store is one file beside this one and a row in `STORES`."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

STORES: dict[str, str] = {
    "file": "mlops_toolkit.models.local:open_store",
    "oci": "mlops_toolkit.models.oci:open_store",
    "s3": "mlops_toolkit.models.remote:open_store",
    "gs": "mlops_toolkit.models.remote:open_store",
    "az": "mlops_toolkit.models.remote:open_store",
    "memory": "mlops_toolkit.models.remote:open_store",
}


class Store(Protocol):
    """Models (and large predictions) by digest `sha256:…`; a folder is kept as a deterministic tree."""

    def put(self, path: Path, digest: str) -> str:
        """Keep a file or folder whose digest is known; returns its address. Killed at any instant, nothing half is visible."""
        ...

    def get(self, address: str, digest: str, to: Path) -> None:
        """Bring it back to `to` (absent before), verified. EnvironmentFailure `model-unreachable` where it is not to be had."""
        ...

    def delete(self, address: str) -> None:
        """Remove it; absent is fine."""
        ...
