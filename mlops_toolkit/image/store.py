"""What was built before: layers by what they were made of, blobs by their digest, in a folder that may be emptied at any time."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from mlops_toolkit.image.archive import Archive
from mlops_toolkit.system import files

MOST = 20 << 30  # bytes of blobs that are kept
RECENT = 3600.0  # seconds: what was used so lately may be in use by another process


@dataclass(frozen=True)
class Layer:
    """A layer that lies in the store.

    what        what it holds, in a word or two that people read
    digest      `sha256:…` of its bytes as they are sent
    diff_id     `sha256:…` of the tar archive inside
    media_type  OCI's
    file        where its bytes lie
    archive     what gives its bytes instead, where they lie nowhere
    """

    what: str
    digest: str
    diff_id: str
    size: int
    media_type: str
    file: Path
    archive: Archive | None = field(default=None, compare=False)


class Store:
    """`blobs/<hex>` and `known/<key>.json` below one folder. Whole or absent, however a process ends; the oldest goes when it grows too large."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def blob(self, digest: str) -> Path:
        """Where a blob lies, or would."""
        return self.folder / "blobs" / digest.removeprefix("sha256:")

    def has(self, digest: str, size: int) -> bool:
        """Whether a blob is there, by its size: its bytes are proven when they are sent. One that is there is kept longer."""
        place = self.blob(digest)
        try:
            there = place.stat().st_size == size
        except OSError:
            return False
        if there:
            with contextlib.suppress(OSError):
                os.utime(place)
        return there

    @contextlib.contextmanager
    def writing(self) -> Iterator[tuple[IO[bytes], Callable[[str], Path]]]:
        """A new file, and what gives it its place once its digest is known."""
        place = files.beside(self.blob("sha256:new"))
        place.parent.mkdir(parents=True, exist_ok=True)
        files.sweep(place.parent, older=RECENT)
        try:
            with place.open("xb") as out:

                def settle(digest: str) -> Path:
                    out.flush()
                    os.fsync(out.fileno())
                    place.replace(self.blob(digest))
                    return self.blob(digest)

                yield out, settle
        finally:
            with contextlib.suppress(OSError):
                place.unlink()

    def known(self, key: str) -> Any:
        """What was remembered under a key, None where nothing was, or what it says cannot be read."""
        try:
            return json.loads((self.folder / "known" / f"{key}.json").read_bytes())
        except (OSError, ValueError):
            return None

    def remember(self, key: str, data: Any) -> None:
        """Keep something under a key (letters, digits, `-`)."""
        files.write_atomic(self.folder / "known" / f"{key}.json", json.dumps(data, sort_keys=True))

    def layer(self, key: str, archive: Archive | None = None) -> Layer | None:
        """A layer that was remembered under a key, where its bytes are still there. archive: gives them where they never were."""
        said = self.known(key)
        try:
            made = Layer(
                str(said["what"]), str(said["digest"]), str(said["diff"]), int(said["size"]), str(said["type"]), self.blob(said["digest"])
            )
            kept = bool(said.get("kept", True))
        except (TypeError, KeyError, ValueError, AttributeError):
            return None
        if not kept:
            return replace(made, archive=archive) if archive is not None and archive.size == made.size else None
        return made if self.has(made.digest, made.size) else None

    def keep(self, key: str, layer: Layer) -> None:
        """Remember a layer under what it was made of."""
        said = {"what": layer.what, "digest": layer.digest, "diff": layer.diff_id, "size": layer.size, "type": layer.media_type}
        self.remember(key, {**said, "kept": layer.archive is None})

    def trim(self, most: int = MOST) -> None:
        """Let the blobs that were not used for longest go until `most` bytes are left, and what was remembered long ago."""
        found = []
        for path in self.folder.glob("blobs/*"):
            with contextlib.suppress(OSError):
                state = path.stat()
                found.append((state.st_mtime, state.st_size, path))
        total = sum(size for _, size, _ in found)
        for used, size, path in sorted(found):
            if total <= most or time.time() - used < RECENT:
                break
            with contextlib.suppress(OSError):
                path.unlink()
            total -= size
        for path in self.folder.glob("known/*.json"):
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > 180 * 86_400:
                    path.unlink()
