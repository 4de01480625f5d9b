"""Which models lie below the folders that the server was given, and what is to be loaded or let go: decided, not done."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlops_toolkit.formats import manifest

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
Print = tuple[str, int, int, int]


@dataclass(frozen=True)
class Place:
    """A model's folder as it was found.

    folder   without links on its way: what a link pointed to when it was looked at
    version  the name of its own folder, or, of a model without version folders, the beginning of its digest
    print    tells whether something else lies there now, by a look at its manifest alone
    """

    name: str
    version: str
    folder: Path
    print: Print


def search(roots: Sequence[Path], name: str = "") -> tuple[list[Place], list[str]]:
    """Every model below these folders (the folder itself, FOLDER/NAME or FOLDER/NAME/VERSION), and what is wrong with some, in words.

    name: of a folder that is a model itself (default: what the folder is called).
    """
    found: dict[tuple[str, str], Place] = {}
    wrong: list[str] = []
    for root in roots:
        try:
            places = list(_below(root, name))
        except OSError as error:
            wrong.append(f"{root} cannot be looked into: {error.strerror or error}")
            continue
        for place in places:
            other = found.setdefault((place.name, place.version), place)
            if other.folder != place.folder:
                wrong.append(f"{place.name} {place.version} lies in {other.folder} and in {place.folder}: the first is served")
            if not NAME.fullmatch(place.name) or not NAME.fullmatch(place.version):
                wrong.append(f"{place.folder} is no name for a model: letters, digits, dots, dashes and underscores are")
                del found[place.name, place.version]
    return list(found.values()), wrong


def _below(root: Path, name: str) -> Iterator[Place]:
    if not root.is_dir():
        raise NotADirectoryError(20, "it is no folder" if root.exists() else "there is no such folder")
    if (own := _place(name or root.resolve().name, "", root)) is not None:
        yield own
        return
    for child in _folders(root):
        if (flat := _place(child.name, "", child)) is not None:
            yield flat
            continue
        for version in _folders(child):
            if (one := _place(child.name, version.name, version)) is not None:
                yield one


def _folders(folder: Path) -> list[Path]:
    return sorted(one for one in folder.iterdir() if not one.name.startswith(".") and one.is_dir())


def _place(name: str, version: str, folder: Path) -> Place | None:
    try:
        real = folder.resolve(strict=True)
        told = (real / manifest.NAME).stat()
        version = version or hashlib.sha256((real / manifest.NAME).read_bytes()).hexdigest()[:12]
    except (FileNotFoundError, NotADirectoryError):
        return None
    return Place(name, version, real, (str(real), told.st_ino, told.st_size, told.st_mtime_ns))


def order(version: str) -> tuple[tuple[int, int, str], ...]:
    """What versions are sorted by: numbers in them as numbers, so that v10 comes after v9."""
    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", version) if part)


def wanted(found: Collection[Place], have: Mapping[str, Print], broken: Collection[Print], *, every: bool) -> tuple[list[Place], list[str]]:
    """Of one model: what to load now, and which loaded versions to let go once that is done.

    have    version -> print of what answers now
    broken  prints of what was tried and failed, and is not to be tried again yet
    every   all versions, else the latest that does not fail
    """
    newest = sorted(found, key=lambda place: order(place.version), reverse=True)
    good = [place for place in newest if place.print not in broken]
    keep = good if every else good[:1]
    if not every and not keep:  # nothing good: what answers now goes on
        return [], []
    load = [place for place in keep if have.get(place.version) != place.print]
    there = {place.version for place in (found if every else keep)}
    return load, [version for version in have if version not in there]
