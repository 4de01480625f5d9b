"""The files that preview columns name, read for the report page: pictures, sounds and texts below one folder, nothing else.

The names come from the user's evaluation, so perhaps from a fork or from data: no path leaves the folder or enters a hidden
one, what a file is is decided by its first bytes, and there is a limit to each and to all.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mlops_toolkit.records.result import Result
from mlops_toolkit.report import words

LARGEST, BUDGET = 2_000_000, 11_000_000  # bytes; base64 makes of the budget a page of 15 MB
_SUFFIXES = {".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg", ".wav", ".mp3", ".ogg", ".txt", ".md"}
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (rb"\x89PNG\r\n\x1a\n", "image/png"),
    (rb"\xff\xd8\xff", "image/jpeg"),
    (rb"GIF8[79]a", "image/gif"),
    (rb"RIFF....WEBP", "image/webp"),
    (rb"RIFF....WAVE", "audio/wav"),
    (rb"ID3|\xff[\xfb\xf3\xf2]", "audio/mpeg"),
    (rb"OggS", "audio/ogg"),
)


@dataclass(frozen=True)
class Preview:
    """A file to show: mime type and bytes; or no bytes and `note`, which says why it is not shown."""

    mime: str
    data: bytes
    note: str | None = None


def read(result: Result, *, folder: Path, budget: int = BUDGET) -> Mapping[str, Preview]:
    """Text of a preview column -> the file it names below `folder`. Texts that name no file are not in it; nothing raises.

    Broken examples come first where the budget (bytes in all) does not suffice.
    """
    found: dict[str, Preview] = {}
    root = Path(os.path.realpath(folder))
    for example in (*result.examples.broken, *result.examples.fixed):
        for text in example.preview.values():
            if text in found or not names_file(text):
                continue
            made = _load(root, text, budget)
            if made is not None:
                found[text] = made
                budget -= len(made.data)
    return found


def names_file(text: str) -> bool:
    """Whether the text looks like a relative path of a file that could be shown."""
    if not 0 < len(text) <= 1024 or "\0" in text or "\n" in text or "://" in text:
        return False
    path = PurePosixPath(text)
    parts = path.parts
    hidden = any(part.startswith(".") for part in parts)
    return path.suffix.lower() in _SUFFIXES and not path.is_absolute() and not hidden


def _load(root: Path, text: str, budget: int) -> Preview | None:
    try:
        path = Path(os.path.realpath(root / text))
        if root not in path.parents or not names_file(path.relative_to(root).as_posix()):
            return None  # a link that leads elsewhere
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return None
    about = os.fstat(handle)
    if not stat.S_ISREG(about.st_mode):
        os.close(handle)
        return None
    with os.fdopen(handle, "rb") as source:
        if about.st_size > LARGEST:
            return Preview("", b"", f"not shown: {words.size(about.st_size)}, more than the {words.size(LARGEST)} a preview may have")
        if about.st_size > budget:
            return Preview("", b"", "not shown: the page would become too large")
        data = source.read(LARGEST)
    mime = sniff(data)
    return Preview(mime, data) if mime else Preview("", b"", "not shown: neither a picture, a sound nor a text")


def sniff(data: bytes) -> str | None:
    """The mime type by the first bytes; text where it is UTF-8 without control characters; None for anything else."""
    for magic, mime in _MAGIC:
        if re.match(magic, data, re.S):
            return mime
    start = data[:4096].lstrip(b"\xef\xbb\xbf \t\r\n")
    if start.startswith((b"<svg", b"<?xml", b"<!--", b"<!DOCTYPE svg")) and b"<svg" in start:
        return "image/svg+xml"
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    return None if re.search(r"[\x00-\x08\x0e-\x1f]", text) else "text/plain"
