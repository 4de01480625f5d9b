"""Models in an OCI registry (`oci://ghcr.io/owner/repo/mlops-models`): an artifact a model, one layer a file.

The tag is the model's digest (`sha256-abcd…`), so that `oras pull` finds it too; layers that two models share are
stored once. The manifest is pushed last: without it there is no model.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Literal

from mlops_toolkit.errors import EnvironmentFailure, UsageError
from mlops_toolkit.models import tree
from mlops_toolkit.models.base import Setting, short
from mlops_toolkit.models.digest import Cache, File, ModelDigest, copy_hashed, members, of_files
from mlops_toolkit.models.digest import digest as digest_of
from mlops_toolkit.oci.auth import login
from mlops_toolkit.oci.documents import EMPTY, EMPTY_CONFIG, Descriptor, Manifest, unreadable
from mlops_toolkit.oci.parallel import at_once
from mlops_toolkit.oci.registry import Registry, Stored

ARTIFACT = "application/vnd.mlops.model.v1"
LAYER = "application/octet-stream"
TITLE = "org.opencontainers.image.title"
EXECUTABLE, KIND = "vnd.mlops.executable", "vnd.mlops.model.kind"


@dataclass(frozen=True)
class OciStore:
    """One repository of a registry."""

    host: str
    repository: str
    setting: Setting
    cache: Cache | None = field(default=None, repr=False, compare=False)

    def put(self, path: Path, digest: str) -> str:
        """Push it, unless it is there; a model that changed since its digest was taken is refused."""
        address = f"oci://{self.host}/{self.repository}:{_tag(digest)}"
        with self._registry() as registry:
            if registry.manifest_digest(_tag(digest)):
                return address
            found = digest_of(path, cache=self.cache)
            if found.digest != digest:
                raise EnvironmentFailure(
                    "model-changed", f"{path} is {short(found.digest)} now, was {short(digest)} when its digest was taken"
                )
            sources = dict(members(path))
            once = {file.sha256: file for file in found.files}
            pushes = [
                partial(registry.push_blob, f"sha256:{sha}", file.size, partial(_open, sources[file.path])) for sha, file in once.items()
            ]
            at_once(registry, [*pushes, partial(registry.push_blob, EMPTY_CONFIG.digest, EMPTY_CONFIG.size, lambda: io.BytesIO(EMPTY))])
            registry.push_manifest(_tag(digest), _manifest(found))
        return address

    def has(self, address: str, digest: str) -> bool:
        """Whether its manifest is there; not being able to ask is no."""
        try:
            with self._registry() as registry:
                return registry.manifest_digest(_tag(digest)) is not None
        except EnvironmentFailure:
            return False

    def get(self, address: str, digest: str, to: Path) -> None:
        """Pull it to `to` (absent), every file verified."""
        with self._registry() as registry, tree.beside(to) as temporary:
            manifest = registry.pull_manifest(_tag(digest))
            if manifest is None:
                raise EnvironmentFailure("model-unreachable", f"the model {short(digest)} is not in {self.host}/{self.repository}")
            found = _read_manifest(manifest)
            for file in found.files:
                with registry.pull_blob(f"sha256:{file.sha256}") as layer:
                    if layer is None:
                        raise EnvironmentFailure("model-damaged", f"{self.host}/{self.repository} has lost {file.path} of {short(digest)}")
                    try:
                        tree.write(temporary, file, folder=found.kind == "folder", content=partial(copy_hashed, layer))
                    except EnvironmentFailure as error:
                        if error.name != "image-damaged":
                            raise
                        raise EnvironmentFailure("model-damaged", f"{file.path}: {error.message}") from error
            tree.settle(temporary, to, found, digest)

    def look(self, address: str) -> ModelDigest:
        """What the manifest under the address' tag says."""
        tag = address.removeprefix(f"oci://{self.host}/{self.repository}").removeprefix(":") or "latest"
        with self._registry() as registry:
            manifest = registry.pull_manifest(tag)
        if manifest is None:
            raise EnvironmentFailure("model-unreachable", f"there is no {tag} in {self.host}/{self.repository}")
        return _read_manifest(manifest)

    def delete(self, address: str) -> None:
        """Remove its manifest; the registry collects the layers."""
        with self._registry() as registry:
            found = registry.manifest_digest(address.rpartition(":")[2])
            if found:
                registry.delete_manifest(found)

    @contextlib.contextmanager
    def _registry(self) -> Iterator[Registry]:
        credentials = login(self.host, self.setting.env, self.setting.token, self.setting.actor)
        registry = Registry(self.host, self.repository, credentials)
        try:
            yield registry
        finally:
            registry.close()


def _open(path: Path) -> IO[bytes]:
    return path.open("rb")


def _tag(digest: str) -> str:
    return digest.replace(":", "-")


def _manifest(found: ModelDigest) -> bytes:
    def layer(file: File) -> Descriptor:
        marks = {TITLE: file.path, **({EXECUTABLE: "true"} if file.executable else {})}
        return Descriptor(LAYER, f"sha256:{file.sha256}", file.size, marks)

    return Manifest(EMPTY_CONFIG, tuple(layer(file) for file in found.files), {KIND: found.kind}, ARTIFACT).to_bytes()


def _read_manifest(stored: Stored) -> ModelDigest:
    try:
        manifest = Manifest.read(stored.content, stored.media_type or None)
        kind: Literal["file", "folder"] = "folder" if manifest.annotations[KIND] == "folder" else "file"
        return of_files([_file(layer) for layer in manifest.layers], kind)
    except EnvironmentFailure as error:
        raise EnvironmentFailure("model-damaged", f"the manifest of the stored model cannot be read: {error.message}") from error
    except LookupError as error:
        raise EnvironmentFailure("model-damaged", f"the stored model is none of ours: it has no {error}") from error


def _file(layer: Descriptor) -> File:
    if not layer.digest.startswith("sha256:"):
        raise unreadable("manifest", "a layer has no SHA-256")
    return File(layer.annotations[TITLE], layer.size, layer.digest.removeprefix("sha256:"), layer.annotations.get(EXECUTABLE) == "true")


def open_store(word: str, setting: Setting) -> OciStore:
    """`oci://HOST/REPOSITORY`; nothing is asked of the network yet."""
    match = re.fullmatch(r"oci://([A-Za-z0-9.-]+(?::\d+)?|\[::1\]:\d+)/([A-Za-z0-9._/-]+)", word.rstrip("/"))
    if not match:
        raise UsageError(
            "bad-store",
            f'"{word}" is not a registry\'s repository',
            where="models.store",
            hint="write oci://ghcr.io/OWNER/REPO/mlops-models",
        )
    return OciStore(match[1].lower(), match[2].lower(), setting, Cache.of(setting.env))
