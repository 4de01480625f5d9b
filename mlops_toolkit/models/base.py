"""What a models store can do. A store is one file beside this one and a row in `STORES`.

An address says where one model is to be had (`file:sha256/ab/abcd…`, `s3://bucket/models/sha256/ab/abcd…`,
`oci://ghcr.io/owner/repo/mlops-models:sha256-abcd…`); a store's word is what comes before the digest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.system.clock import Clock, SystemClock

if TYPE_CHECKING:
    from mlops_toolkit.models.digest import ModelDigest

Belongs = Literal["pull-request", "main", "release"]

STORES: dict[str, str] = {
    "file": "mlops_toolkit.models.local:open_store",
    "oci": "mlops_toolkit.models.oci:open_store",
    "s3": "mlops_toolkit.models.remote:open_store",
    "gs": "mlops_toolkit.models.remote:open_store",
    "az": "mlops_toolkit.models.remote:open_store",
    "memory": "mlops_toolkit.models.remote:open_store",
    "https": "mlops_toolkit.models.plain:open_store",
    "http": "mlops_toolkit.models.plain:open_store",
}


class Store(Protocol):
    """Models (and large predictions) by digest `sha256:…`; a folder is kept as a deterministic tree."""

    def put(self, path: Path, digest: str) -> str:
        """Keep a file or folder whose digest is known; returns its address. Killed at any instant, nothing half is visible."""
        ...

    def has(self, address: str, digest: str) -> bool:
        """Whether it can be had from here, now."""
        ...

    def get(self, address: str, digest: str, to: Path) -> None:
        """Bring it back to `to` (absent before), verified. EnvironmentFailure `model-unreachable` where it is not to be had."""
        ...

    def look(self, address: str) -> ModelDigest:
        """What model is at an address, one that this store did not give too. EnvironmentFailure `model-unreachable`."""
        ...

    def delete(self, address: str) -> None:
        """Remove it; absent is fine."""
        ...


@dataclass(frozen=True)
class Setting:
    """What a store is opened with.

    env         for XDG folders and DOCKER_CONFIG; holds no token
    repository  a short key of the repository, safe as a file name
    belongs     what the models put now belong to, for retention; line: the branch, where that is known
    token, actor  for a registry of the forge (ghcr.io); never shown
    """

    env: Mapping[str, str]
    repository: str
    belongs: Belongs = "main"
    line: str = ""
    token: str | None = None
    actor: str | None = None
    clock: Clock = field(default_factory=SystemClock, compare=False)

    def __repr__(self) -> str:
        return f"Setting(repository={self.repository!r}, belongs={self.belongs!r})"


@dataclass(frozen=True)
class Nowhere:
    """The store that keeps nothing; `reason` says why, as a clause."""

    reason: str
    hint: str | None = None

    def put(self, path: Path, digest: str) -> str:
        raise EnvironmentFailure("model-not-stored", self.reason, hint=self.hint)

    def has(self, address: str, digest: str) -> bool:
        return False

    def get(self, address: str, digest: str, to: Path) -> None:
        raise EnvironmentFailure("model-unreachable", f"the model {short(digest)} was not stored: {self.reason}", hint=self.hint)

    def look(self, address: str) -> ModelDigest:
        raise EnvironmentFailure("model-unreachable", f"no model is stored: {self.reason}", hint=self.hint)

    def delete(self, address: str) -> None:
        return None


@dataclass(frozen=True)
class Offered:
    """A store that nobody named: tried, and where it refuses the record says why and what to write."""

    store: Store
    name: str
    hint: str

    def put(self, path: Path, digest: str) -> str:
        try:
            return self.store.put(path, digest)
        except EnvironmentFailure as error:
            raise EnvironmentFailure("model-not-stored", f"{self.name} did not take it: {error.message}", hint=self.hint) from error

    def has(self, address: str, digest: str) -> bool:
        return self.store.has(address, digest)

    def get(self, address: str, digest: str, to: Path) -> None:
        self.store.get(address, digest, to)

    def look(self, address: str) -> ModelDigest:
        return self.store.look(address)

    def delete(self, address: str) -> None:
        self.store.delete(address)


def short(digest: str) -> str:
    """`sha256:1a2b3c4d5e6f`, as shown to people."""
    return digest[: len("sha256:") + 12]


def below(digest: str) -> str:
    """Where a digest lies below a store: `sha256/ab/abcd…`."""
    hexadecimal = digest.removeprefix("sha256:")
    return f"sha256/{hexadecimal[:2]}/{hexadecimal}"


def redacted(address: str) -> str:
    """An address without a password or a signature in it."""
    return re.sub(r"\?.*$", "?…", re.sub(r"//[^/@]*@", "//…@", address), flags=re.DOTALL)
