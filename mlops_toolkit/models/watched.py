"""What identifies data: the digest of what lies on this machine, the version of what lies elsewhere."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mlops_toolkit.errors import CommandFailed, EnvironmentFailure, MlopsError, UsageError
from mlops_toolkit.models.base import redacted
from mlops_toolkit.models.digest import Cache, digest, each
from mlops_toolkit.models.remote import PACKAGES

ADDRESS = re.compile(r"^([a-z][a-z0-9+.-]*)://(.+)$", re.DOTALL)
# What storages call the version of an object; its time and size where they have no better word.
VERSIONS = ("VersionId", "version_id", "generation", "ETag", "etag", "content_md5", "md5Hash", "crc32c")
TIMES = ("size", "LastModified", "last_modified", "updated", "mtime", "created")


def watch(item: str, *, folder: Path, cache: Cache | None, where: str) -> dict[str, str]:
    """name -> what identifies it, for a path, a glob (relative to `folder`) or an address. UsageError `missing-input` if there is nothing."""
    match = ADDRESS.match(item)
    if match and match[1] != "file":
        return {redacted(item): _http(item, where) if match[1] in ("http", "https") else _remote(item, match[1], where)}
    path = match[2] if match else item
    place = folder / path
    if place.exists():
        return {item: _local(place, cache, where)}
    found = sorted(glob.glob(path, root_dir=folder, recursive=True)) if glob.has_magic(path) else []  # noqa: PTH207 -- it may be absolute
    files = [name for name in found if (folder / name).is_file()]
    if not files:
        wanted = "matches no file" if glob.has_magic(path) else "is not there"
        raise UsageError("missing-input", f'"{item}" {wanted}', where=where, hint="paths are relative to the configuration file")
    with _read(where):
        return each({name: folder / name for name in files}, cache=cache)


def _local(place: Path, cache: Cache | None, where: str) -> str:
    with _read(where):
        try:
            return digest(place, cache=cache).digest
        except CommandFailed as error:
            if error.name == "empty-model":
                raise UsageError("missing-input", f"the folder {place.name} is empty", where=where) from error
            raise


@contextlib.contextmanager
def _read(where: str) -> Iterator[None]:
    """What a digest says of a model is said of data."""
    try:
        yield
    except CommandFailed as error:
        raise EnvironmentFailure("data-unreadable", error.message, where=where, hint=error.hint) from error


def _http(address: str, where: str) -> str:
    import requests

    try:
        answer = requests.head(address, allow_redirects=True, timeout=(10, 30))
    except requests.RequestException as error:
        raise EnvironmentFailure(
            "data-unreachable", f"{redacted(address)} does not answer ({type(error).__name__})", where=where
        ) from error
    if answer.status_code == 404:
        raise UsageError("missing-input", f'"{redacted(address)}" is not there', where=where)
    if not answer.ok:
        raise EnvironmentFailure("data-unreachable", f"{redacted(address)} answers {answer.status_code}", where=where)
    said = [answer.headers[name] for name in ("ETag", "Last-Modified", "Content-Length") if name in answer.headers]
    if not said or said == [answer.headers.get("Content-Length")]:
        raise UsageError(
            "unversioned-data", f"{redacted(address)} has neither ETag nor Last-Modified: a change could not be seen", where=where,
            hint="download it in the command, or name a copy on disk or in cloud storage",
        )  # fmt: skip
    return said[0]


def _remote(address: str, protocol: str, where: str) -> str:
    try:
        import fsspec

        files: Any = fsspec.filesystem(protocol)
        info = files.info(address)
        found = files.find(address, detail=True) if info.get("type") == "directory" else {}
    except ImportError as error:
        package = PACKAGES.get(protocol, "fsspec")
        raise EnvironmentFailure(
            "package-missing", f"{protocol}:// addresses need the package {package}", where=where, hint=f"pip install {package}"
        ) from error
    except MlopsError:
        raise
    except FileNotFoundError as error:
        raise UsageError("missing-input", f'"{redacted(address)}" is not there', where=where) from error
    except ValueError as error:
        raise UsageError("unknown-address", f'"{redacted(address)}": {str(error)[:200]}', where=where) from error
    except Exception as error:  # whatever a cloud's client raises
        raise EnvironmentFailure(
            "data-unreachable", f"{redacted(address)} cannot be reached ({type(error).__name__})", where=where
        ) from error
    if info.get("type") != "directory":
        return _version(info)
    if not found:
        raise UsageError("missing-input", f'"{redacted(address)}" holds nothing', where=where)
    listed = sorted((name, _version(entry)) for name, entry in found.items())
    return f"sha256:{hashlib.sha256(json.dumps(listed).encode()).hexdigest()}"


def _version(info: dict[str, Any]) -> str:
    for name in VERSIONS:
        if info.get(name):
            return f"{name}={info[name]}"
    return " ".join(f"{name}={info[name]}" for name in TIMES if info.get(name) is not None)
