"""What a command was seen to read while it evaluated another commit's model: that model's files, and files of this checkout that it had no business with.

The kernel tells; where it does not (another system, a file server, a command that runs elsewhere) nothing is known and nothing is claimed.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlops_toolkit.system.git import Git
from mlops_toolkit.system.opened import watching

CACHES = "__pycache__"


@dataclass(frozen=True)
class Seen:
    """What was read. model: whether the baseline's model was opened, None where it has no file of its own (its code is the model).

    ours: files of this checkout, as paths in it; None where nobody could watch.
    """

    model: bool | None = False
    ours: tuple[str, ...] | None = None

    @property
    def proves(self) -> bool:
        """Whether it was the baseline's model that answered, as far as files tell."""
        return self.ours == () and self.model in (True, None)


@contextlib.contextmanager
def witness(
    *, theirs: Sequence[Path] | None, git: Git, models: Sequence[Path], code: bool, allowed: Callable[[str], bool]
) -> Iterator[Callable[[], Seen]]:
    """Watch while a command runs; what is yielded tells afterwards.

    theirs   the files or folders of the baseline's model in its checkout; None: it has none
    models   this checkout's own model; code: whether its tracked files are watched too, but those `allowed` (paths from the top)
    """
    root = git.root.resolve()
    tracked = {name for name in git.names("ls-files", "-z", "--full-name", ":/") if not allowed(name)} if code else set()
    homes = {(root / name).parent for name in tracked}
    homes |= {home / CACHES for home in homes if (home / CACHES).is_dir()}
    ours, told = [Path(os.path.realpath(path)) for path in models], [Path(os.path.realpath(path)) for path in theirs or ()]
    with watching([*_folders(told), *_folders(ours), *sorted(homes)]) as opened:

        def tell() -> Seen:
            found = opened.look()
            if found is None:
                return Seen(None if theirs is None else False)
            strange = [path for path in sorted(found) if _below(path, ours) or _source(path, root) in tracked]
            return Seen(
                None if theirs is None else any(_below(path, told) for path in found),
                tuple(dict.fromkeys(_source(path, root) or str(path) for path in strange)),
            )

        yield tell


def _folders(places: Sequence[Path]) -> list[Path]:
    return [
        Path(folder) for place in places for folder in ([where for where, _, _ in os.walk(place)] if place.is_dir() else [place.parent])
    ]


def _below(path: Path, places: Sequence[Path]) -> bool:
    return any(path == place or path.is_relative_to(place) for place in places)


def _source(path: Path, root: Path) -> str:
    """The tracked file that a path stands for: of a module's compiled form, the module."""
    if path.parent.name == CACHES:
        path = path.parent.parent / f"{path.name.partition('.')[0]}.py"
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else ""
