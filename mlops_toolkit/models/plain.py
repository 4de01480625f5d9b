"""A model at an address where somebody else keeps it (`https://…`, a file or folder in cloud storage): looked at and fetched, never written."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.parse import unquote, urlsplit

from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.models import tree
from mlops_toolkit.models.base import Setting, redacted
from mlops_toolkit.models.digest import File, ModelDigest, Writes, of_files
from mlops_toolkit.system.files import CHUNK

TRIES = 3
BELOW = re.compile(r"/sha256/[0-9a-f]{2}/[0-9a-f]{64}$")  # what ends an address of our stores
Source = Callable[[], contextlib.AbstractContextManager[Iterator[bytes]]]


@dataclass(frozen=True)
class Web:
    """A file of the web: one model, whose bytes its digest vouches for. Nobody's password is sent."""

    def put(self, path: Path, digest: str) -> str:
        raise EnvironmentFailure("model-not-stored", "a web address is only read", hint="models: {store: s3://bucket/models}")

    def has(self, address: str, digest: str) -> bool:
        """Whether it answers now."""
        try:
            with _answer(address, "HEAD"):
                return True
        except EnvironmentFailure:
            return False

    def look(self, address: str) -> ModelDigest:
        """What is there, read once and not kept."""
        return _read(address, {_name(address): lambda: _downloaded(address)}, None)

    def get(self, address: str, digest: str, to: Path) -> None:
        """Download it to `to` (absent), verified."""
        _fetch(address, {_name(address): lambda: _downloaded(address)}, digest, to, folder=False)

    def delete(self, address: str) -> None:
        return None


def open_store(word: str, setting: Setting) -> Web:
    """`https://host/path`; nothing is asked of the network yet."""
    return Web()


def there(files: Any, address: str) -> bool:
    """Whether a file or a folder with something in it stands at an address of an fsspec file system."""
    return bool(_sources(files, address)[0])


def look(files: Any, address: str) -> ModelDigest:
    """What stands there, read once and not kept. EnvironmentFailure `model-unreachable`."""
    sources, folder = _sources(files, address)
    return _read(address, sources, None, folder=folder)


def get(files: Any, address: str, digest: str, to: Path) -> None:
    """Download it to `to` (absent), verified."""
    sources, folder = _sources(files, address)
    _fetch(address, sources, digest, to, folder=folder)


def _fetch(address: str, sources: dict[str, Source], digest: str, to: Path, *, folder: bool) -> None:
    with tree.beside(to) as temporary:
        tree.settle(temporary, to, _read(address, sources, temporary, folder=folder), digest)


def _read(address: str, sources: dict[str, Source], to: Path | None, *, folder: bool = False) -> ModelDigest:
    """Hash every file, and write it below `to` while at it."""
    if not sources:
        raise EnvironmentFailure("model-unreachable", f"there is nothing at {redacted(address)}")
    files = []
    for name, source in sources.items():
        if not tree.safe(name):
            raise EnvironmentFailure("model-damaged", f'the model names a file "{name}" outside of itself', where=redacted(address))
        target = None if to is None else to / name if folder else to
        with source() as chunks, _opened(target) as out:
            sha, size = hashlib.sha256(), 0
            for chunk in chunks:
                sha.update(chunk)
                size += len(chunk)
                if out is not None:
                    out.write(chunk)
        files.append(File(name, size, sha.hexdigest()))
    return of_files(files, "folder" if folder else "file")


@contextlib.contextmanager
def _opened(target: Path | None) -> Iterator[Writes | None]:
    if target is None:
        yield None
        return
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        out: IO[bytes] = target.open("xb")
    except OSError as error:
        raise tree.unwritable(target, error) from error
    with out:
        yield tree.Checked(out, target)


def _sources(files: Any, address: str) -> tuple[dict[str, Source], bool]:
    """Every file at an address by its name in the model, and whether it is a folder."""
    place = files._strip_protocol(address)
    if not address.endswith("/") and files.isfile(place):
        return {PurePosixPath(place).name: lambda: _opened_there(files, place)}, False
    top = place.rstrip("/") + "/"
    names = [name for name in files.find(place) if name.startswith(top) and name != top]
    return {name.removeprefix(top): lambda name=name: _opened_there(files, name) for name in names}, True  # type: ignore[misc]


@contextlib.contextmanager
def _opened_there(files: Any, place: str) -> Iterator[Iterator[bytes]]:
    with files.open(place, "rb") as source:
        yield iter(lambda: source.read(CHUNK), b"")


@contextlib.contextmanager
def _downloaded(address: str) -> Iterator[Iterator[bytes]]:
    import requests

    with _answer(address, "GET") as answer:
        try:
            yield answer.iter_content(CHUNK)
        except requests.RequestException as error:
            raise EnvironmentFailure("model-unreachable", f"a download from {redacted(address)} broke off") from error


@contextlib.contextmanager
def _answer(address: str, method: str) -> Iterator[Any]:
    """A good answer, asked for again where that may help."""
    import requests

    said = ""
    for _ in range(TRIES):
        try:
            # auth: a function that does nothing, or requests would look into ~/.netrc
            answer = requests.request(
                method,
                address,
                stream=True,
                timeout=(10, 60),
                allow_redirects=True,
                headers={"Accept-Encoding": "identity"},
                auth=lambda request: request,
            )
        except requests.RequestException as error:
            said = f"does not answer ({type(error).__name__})"  # its text may hold the address
            continue
        with answer:
            if answer.ok:
                yield answer
                return
            said = f"answers {answer.status_code}"
            if answer.status_code != 429 and answer.status_code < 500:
                break
    raise EnvironmentFailure("model-unreachable", f"{redacted(address)} {said}")


def _name(address: str) -> str:
    return PurePosixPath(unquote(urlsplit(address).path)).name or "model"


def is_plain(address: str, digest: str) -> bool:
    """Whether an address is not one that a store of ours gave to this model."""
    return not address.rstrip("/").endswith(digest.removeprefix("sha256:"))
