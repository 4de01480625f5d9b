"""What a base image holds that matters to Python packages: which interpreters, and which C library of which version."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from mlops_toolkit.errors import EnvironmentFailure

OLDEST = 10  # Python 3.10
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
MOST_FILES = 1_000_000
_PYTHON = re.compile(r"(?:[^/]+/){1,6}bin/python3(?:\.(\d{1,2}))?|bin/python3(?:\.(\d{1,2}))?")
_LIBC = re.compile(r"(?:[^/]+/){0,4}(?:libc\.so\.6|libc-2\.\d+\.so|ld-musl-[^/]+\.so\.1)")
_GLIBC = re.compile(rb"GNU C Library [^\n]{0,100}release version (\d+)\.(\d+)")
MUSL = (1, 2)


@dataclass(frozen=True)
class Python:
    """An interpreter of an image.

    path     `/usr/local/bin/python3.12`
    version  (3, 12)
    libc     `glibc` or `musl`, with its version
    """

    path: str
    version: tuple[int, int]
    libc: str
    libc_version: tuple[int, int]

    @property
    def text(self) -> str:
        """`3.12`."""
        return ".".join(map(str, self.version))


@dataclass(frozen=True)
class Inside:
    """Interpreters by path, what a bare `python3` beside them leads to, and the C library."""

    pythons: tuple[str, ...] = ()
    bare: dict[str, str] = field(default_factory=dict, hash=False)
    libc: str = "glibc"
    libc_version: tuple[int, int] = (2, 17)  # where none is found: what any Linux with Python 3.10 has at least

    def document(self) -> dict[str, Any]:
        """As it is remembered."""
        return {"pythons": list(self.pythons), "bare": self.bare, "libc": self.libc, "version": list(self.libc_version)}

    @classmethod
    def read(cls, said: Any) -> Inside | None:
        """What was remembered; None where it cannot be read."""
        try:
            major, minor = said["version"]
            return cls(tuple(map(str, said["pythons"])), dict(said["bare"]), str(said["libc"]), (int(major), int(minor)))
        except (TypeError, KeyError, ValueError):
            return None

    def python(self, path: str | None, wanted: str | None) -> Python | None:
        """The one that `python3` is in this image, or the one of the wanted version (`3.12`); None where there is none."""
        folders = [folder.strip("/") for folder in (path or PATH).split(":") if folder.startswith("/")]
        best: tuple[tuple[int, int, int], str, int] | None = None
        for place in self.pythons:
            folder, _, name = place.strip("/").rpartition("/")
            minor = int(name.rpartition(".")[2])
            if minor < OLDEST or (wanted is not None and wanted != f"3.{minor}"):
                continue
            rank = (folders.index(folder) if folder in folders else len(folders), self.bare.get(folder) != name, -minor)
            if best is None or rank < best[0]:
                best = (rank, place, minor)
        return None if best is None else Python(best[1], (3, best[2]), self.libc, self.libc_version)


def look(layers: Sequence[Path]) -> Inside:
    """Read the names in all layers, lowest first, and the C library's own word for its version. EnvironmentFailure `base-damaged`."""
    kept: dict[str, str] = {}  # path -> where it leads, or ""
    libc: dict[str, tuple[str, tuple[int, int]]] = {}
    for layer in layers:
        _read(layer, kept, libc)
    pythons = tuple(sorted(f"/{path}" for path in kept if path.rpartition(".")[2].isdigit()))
    bare = {path.rpartition("/")[0]: PurePosixPath(to).name for path, to in kept.items() if path.endswith("/python3") and to}
    family, version = next(iter(sorted(libc.values(), key=lambda one: one[0] == "musl")), ("glibc", (2, 17)))
    return Inside(pythons, bare, family, version)


def _read(layer: Path, kept: dict[str, str], libc: dict[str, tuple[str, tuple[int, int]]]) -> None:
    try:
        _names(layer, kept, libc)
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise EnvironmentFailure("base-damaged", f"a layer of the base cannot be read: {error}", where=layer.name) from error


def _names(layer: Path, kept: dict[str, str], libc: dict[str, tuple[str, tuple[int, int]]]) -> None:
    with tarfile.open(layer, "r|*") as archive:
        for number, member in enumerate(archive):
            if number > MOST_FILES:
                raise ValueError(f"it holds more than {MOST_FILES} files")
            name = member.name.removeprefix("./").lstrip("/")
            folder, _, last = name.rpartition("/")
            if last.startswith(".wh."):
                gone = f"{folder}/" if last == ".wh..wh..opq" else f"{folder}/{last[4:]}".lstrip("/")
                for known in (kept, libc):
                    for path in [path for path in known if path == gone or path.startswith(f"{gone.rstrip('/')}/")]:
                        del known[path]
            elif _PYTHON.fullmatch(name) and (member.isfile() or member.issym() or member.islnk()):
                kept[name] = member.linkname
            elif _LIBC.fullmatch(name) and member.isfile():
                libc[name] = _version(archive, member, last)


def _version(archive: tarfile.TarFile, member: tarfile.TarInfo, name: str) -> tuple[str, tuple[int, int]]:
    if name.startswith("ld-musl"):
        return "musl", MUSL
    content = archive.extractfile(member)
    found = _GLIBC.search(content.read(16 << 20)) if content else None
    return "glibc", (int(found[1]), int(found[2])) if found else (2, 17)
