"""Wheels unpacked into a folder that stands on PYTHONPATH: their files alone, no scripts, nothing run.

Written here because an installer writes scripts for the interpreter that runs it, and records of itself: other bytes on each machine.
"""

from __future__ import annotations

import lzma
import re
import shutil
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.formats.manifest import safe
from mlops_toolkit.image.requirements import normal

# Their own tests, which nothing but a developer of the package runs: tried one by one.
WITHOUT_TESTS = frozenset(
    {"numpy", "scipy", "scikit-learn", "pandas", "joblib", "skops", "sympy", "mpmath", "lightgbm", "xgboost", "xgboost-cpu"}
)
MOST_BYTES = 40 << 30
# What zipfile, and what it unpacks with, raise where an archive is damaged or odd: an encrypted file and an unknown compression are RuntimeErrors,
# a name that is no text is a ValueError.
SPOILT = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, ValueError)
TWICE = (FileExistsError, NotADirectoryError, IsADirectoryError)  # a name is a file's and a folder's; no OSError else is the wheel's fault
_DATA = re.compile(r"[^/]+\.data/(purelib|platlib)/(.+)")


def unpack(wheels: Iterable[Path], to: Path) -> None:
    """Unpack them, in the order given, into a folder. EnvironmentFailure `bad-wheel` for one that would write outside of it."""
    left = MOST_BYTES
    for wheel in wheels:
        trimmed = distribution(wheel) in WITHOUT_TESTS
        try:
            with zipfile.ZipFile(wheel) as archive:
                for info in archive.infolist():
                    place = _place(info.filename, trimmed=trimmed)
                    if place is None or info.is_dir():
                        continue
                    left -= info.file_size
                    if not safe(place) or left < 0:
                        raise EnvironmentFailure(
                            "bad-wheel", f"{wheel.name} holds {ascii(place)[:200]}, which is no file of a package", hint="use another index"
                        )
                    _write(archive, info, to / place)
        except (*SPOILT, *TWICE) as error:
            raise EnvironmentFailure(
                "bad-wheel", f"{wheel.name} cannot be unpacked: {error}", hint="try again; use another index"
            ) from error


def distribution(wheel: Path) -> str:
    """The normal name of the package that a wheel's file is named after."""
    return normal(wheel.name.split("-")[0])


def _place(name: str, *, trimmed: bool) -> str | None:
    """Where a wheel's file goes, None where it stays away."""
    data = _DATA.fullmatch(name)
    if data:
        name = data[2]
    elif name.split("/")[0].endswith(".data"):
        return None  # scripts, headers: for people who work there
    return None if trimmed and "/tests/" in f"/{name}" else name


def _write(archive: zipfile.ZipFile, info: zipfile.ZipInfo, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(info) as source, place.open("wb") as out:
        shutil.copyfileobj(source, out, 1 << 20)
    place.chmod(0o755 if (info.external_attr >> 16) & 0o100 else 0o644)
