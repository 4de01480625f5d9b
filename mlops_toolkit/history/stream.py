"""What one commit on the history branch changes, as a stream for `git fast-import`: one process writes blobs, trees and commit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Draft:
    """A message, files by path (with their whole content), and paths that go first (a folder that is replaced, a run that is dropped)."""

    message: str
    files: Mapping[str, bytes] = field(default_factory=dict)
    gone: Sequence[str] = ()

    def paths(self) -> Iterable[str]:
        """Every path it touches."""
        return (*self.gone, *self.files)

    def stream(self, tip: str | None, tree: str | None, seconds: int, *, anew: bool = False) -> bytes:
        """The stream. tip: the commit it builds on, and its root tree; seconds: the commit's time (Unix); anew: keep the tip's content but not its ancestry."""
        parts = [b"feature done\n"]
        parts.append(f"commit refs/mlops/new\ncommitter mlops <mlops@localhost> {seconds} +0000\n".encode() + _data(self.message.encode()))
        if tip:
            parts.append(f"M 040000 {tree} \n".encode() if anew else f"from {tip}\n".encode())
        parts += [f"D {path}\n".encode() for path in self.gone]
        for path, content in self.files.items():
            parts += [f"M 100644 inline {path}\n".encode(), _data(content)]
        return b"".join([*parts, b"\ndone\n"])


def _data(content: bytes) -> bytes:
    return f"data {len(content)}\n".encode() + content + b"\n"
