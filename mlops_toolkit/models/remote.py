"""Models in cloud storage, by fsspec: `s3://`, `gs://`, `az://`.

<store>/sha256/ab/abcd…/files/<path>   the files
<store>/sha256/ab/abcd…/model.json     their list, written last: without it there is no model
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from mlops_toolkit.errors import EnvironmentFailure, MlopsError, UsageError
from mlops_toolkit.models import plain, tree
from mlops_toolkit.models.base import Setting, below, short
from mlops_toolkit.models.digest import Cache, File, ModelDigest, copy_hashed, members, of_files
from mlops_toolkit.models.digest import digest as digest_of

PACKAGES = {"s3": "s3fs", "gs": "gcsfs", "az": "adlfs"}
LIST = "model.json"


@dataclass(frozen=True)
class RemoteStore:
    """A folder of a file system that fsspec knows."""

    base: str
    cache: Cache | None = field(default=None, repr=False, compare=False)

    def put(self, path: Path, digest: str) -> str:
        """Upload it, unless it is there; a model that changed since its digest was taken is refused."""
        address = f"{self.base}/{below(digest)}"
        with self._reaching(address) as files:
            if files.exists(f"{address}/{LIST}"):
                return address
            found = digest_of(path, cache=self.cache)
            if found.digest != digest:
                raise EnvironmentFailure(
                    "model-changed", f"{path} is {short(found.digest)} now, was {short(digest)} when its digest was taken"
                )
            for file, (name, source) in zip(
                found.files, sorted(members(path), key=lambda item: item[0].encode("utf-8", "surrogateescape")), strict=True
            ):
                with source.open("rb") as reading, files.open(f"{address}/files/{name}", "wb") as writing:
                    if copy_hashed(reading, writing) != file.sha256:
                        raise EnvironmentFailure(
                            "model-changed", f"{source} changed while it was stored", hint="something still writes to it"
                        )
            files.pipe_file(f"{address}/{LIST}", _list(found))
        return address

    def has(self, address: str, digest: str) -> bool:
        """Whether its list is there; not being able to ask is no."""
        try:
            with self._reaching(address) as files:
                return plain.there(files, address) if plain.is_plain(address, digest) else bool(files.exists(f"{address}/{LIST}"))
        except EnvironmentFailure:
            return False

    def get(self, address: str, digest: str, to: Path) -> None:
        """Download it to `to` (absent), every file verified."""
        if plain.is_plain(address, digest):  # not stored by us: whatever file or folder stands there
            with self._reaching(address) as files:
                plain.get(files, address, digest, to)
            return
        with self._reaching(address) as files, tree.beside(to) as temporary:
            try:
                listed = _read_list(files.cat_file(f"{address}/{LIST}"))
            except FileNotFoundError as error:
                raise EnvironmentFailure("model-unreachable", f"the model {short(digest)} is not at {address}") from error
            for file in listed.files:
                try:
                    reading = files.open(f"{address}/files/{file.path}", "rb")
                except FileNotFoundError as error:
                    raise EnvironmentFailure("model-damaged", f"{file.path} of {short(digest)} is lost", where=address) from error
                with reading:
                    tree.write(temporary, file, folder=listed.kind == "folder", content=partial(copy_hashed, reading))
            tree.settle(temporary, to, listed, digest)

    def look(self, address: str) -> ModelDigest:
        """What a list of ours says, else what stands there."""
        with self._reaching(address) as files:
            if files.exists(f"{address}/{LIST}") and plain.BELOW.search(address):
                return _read_list(files.cat_file(f"{address}/{LIST}"))
            return plain.look(files, address)

    def delete(self, address: str) -> None:
        """Remove it, the list first."""
        with self._reaching(address) as files, contextlib.suppress(FileNotFoundError):
            files.rm_file(f"{address}/{LIST}")
            files.rm(address, recursive=True)

    @contextlib.contextmanager
    def _reaching(self, address: str) -> Iterator[Any]:
        protocol = address.partition("://")[0]
        try:
            import fsspec

            yield fsspec.filesystem(protocol)
        except MlopsError:
            raise
        except ImportError as error:
            package = PACKAGES.get(protocol, "fsspec")
            raise EnvironmentFailure(
                "package-missing", f"{protocol}:// addresses need the package {package}", hint=f"pip install {package}"
            ) from error
        except Exception as error:  # whatever a cloud's client raises: it is never our caller's mistake
            said = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
            raise EnvironmentFailure("store-unreachable", f"{protocol}: {said}", where=address) from error


def _list(found: ModelDigest) -> bytes:
    files = [{"path": f.path, "size": f.size, "sha256": f.sha256, "executable": f.executable} for f in found.files]
    return json.dumps({"schema": 1, "digest": found.digest, "kind": found.kind, "files": files}, indent=1).encode() + b"\n"


def _read_list(raw: bytes) -> ModelDigest:
    try:
        data = json.loads(raw)
        files = [File(str(f["path"]), int(f["size"]), str(f["sha256"]), bool(f["executable"])) for f in data["files"]]
        return of_files(files, "folder" if data["kind"] == "folder" else "file")
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise EnvironmentFailure("model-damaged", f"the list of the stored model cannot be read: {error}") from error


def open_store(word: str, setting: Setting) -> RemoteStore:
    """`s3://bucket/path`, `gs://…`, `az://…`; nothing is asked of the network yet."""
    protocol, _, place = word.partition("://")
    if not place.strip("/"):
        raise UsageError("bad-store", f'"{word}" names no place', where="models.store", hint=f"write {protocol}://bucket/path")
    return RemoteStore(f"{protocol}://{place.strip('/')}", Cache.of(setting.env))
