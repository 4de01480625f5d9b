"""Where the models of several seeds lie while they are trained and evaluated: a folder of ours, one place a seed, taken in turn to `train.output`.

A command may write to $MLOPS_MODEL or, knowing nothing of seeds, to `train.output` itself; an evaluation may read either. So the first
seed's model stands at the output whenever nobody works, and another's only while it is evaluated. What a kill left otherwise is put right
by `settle`, which knows the models by their digests.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mlops_toolkit.errors import EnvironmentFailure, MlopsError
from mlops_toolkit.models import tree
from mlops_toolkit.models.digest import Cache, digest
from mlops_toolkit.records.run import Model

FOLDER = "seeds"


@dataclass(frozen=True)
class Seats:
    """folder: ours, of one training of one model; output: the work tree's `train.output`; env: where digests are remembered."""

    folder: Path
    output: Path
    env: Mapping[str, str]

    @classmethod
    def of(cls, state: Path, model: str, fingerprint: str, matrix: str | None, output: Path, env: Mapping[str, str]) -> Seats:
        """Those of a training with this fingerprint. state: the `.mlops` folder."""
        leg = f"-{hashlib.sha256(matrix.encode()).hexdigest()[:8]}" if matrix else ""
        return cls(state / FOLDER / f"{model}{leg}-{fingerprint.rpartition(':')[2][:16]}", output, env)

    def place(self, seed: int) -> Path:
        """A model's own place. Its name is the output's, whose ending may say what format it is."""
        return self.folder / str(seed) / self.output.name

    def away(self, seed: int) -> None:
        """What stands at the output goes to a seed's place."""
        with self._whole(self.place(seed)):
            _move(self.output, self.place(seed))

    @contextlib.contextmanager
    def taken(self, seed: int, first: int) -> Iterator[None]:
        """While it holds, a seed's model stands at the output, where the first one's stands before and after."""
        with self._whole(self.output):
            self.away(first)
            _move(self.place(seed), self.output)
        try:
            yield
        finally:
            with self._whole(self.output):
                self.away(seed)
                _move(self.place(first), self.output)

    def settle(self, models: Mapping[int, Model], first: int) -> None:
        """The first seed's model at the output again, should a kill have left another's there."""
        with self._whole(self.output):
            if first not in models or self.holds(self.output, models[first]) or not self.holds(self.place(first), models[first]):
                return
            if self.output.exists():
                here = next((seed for seed, model in models.items() if self.holds(self.output, model)), None)
                if here is None and any(self.output.iterdir() if self.output.is_dir() else [1]):
                    return  # somebody's own: fetching the model says so
                if here is not None:
                    self.away(here)
            _move(self.place(first), self.output)

    def holds(self, path: Path, model: Model) -> bool:
        """Whether a model lies there unchanged."""
        try:
            return path.exists() and digest(path, cache=Cache.of(self.env)).digest == model.digest
        except MlopsError:
            return False

    def others(self) -> None:
        """Remove what earlier trainings of this model left: their models are in the store, or nobody asked to keep them."""
        family = self.folder.name.rpartition("-")[0]
        for folder in self.folder.parent.glob("*-*"):
            if folder.name.rpartition("-")[0] == family and folder != self.folder:
                tree.remove(folder)

    @contextlib.contextmanager
    def _whole(self, path: Path) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise EnvironmentFailure(
                "model-in-the-way", f"cannot move the models of the seeds: {error.strerror}", where=str(path)
            ) from error


def _move(source: Path, to: Path) -> None:
    """A model to a place that is empty then: in one step where the system can.

    What a link leads to is moved, and the folder of a link or a mounted volume stays, empty.
    """
    real, at = source.resolve(), to.resolve()
    at.parent.mkdir(parents=True, exist_ok=True)
    if not source.is_symlink() and not at.exists():
        with contextlib.suppress(OSError):  # another disk, a mounted volume
            real.rename(at)
            return
    with tree.beside(at) as temporary:
        if real.is_dir():
            temporary.mkdir(parents=True)
            for child in sorted(real.iterdir()):
                shutil.move(child, temporary / child.name)
            if not source.is_symlink():
                with contextlib.suppress(OSError):
                    real.rmdir()
        else:
            shutil.move(real, temporary)
        if at.is_dir() and to.is_symlink():
            for child in sorted(temporary.iterdir()):
                shutil.move(child, at / child.name)
        else:
            if at.is_dir() and not any(at.iterdir()):
                with contextlib.suppress(OSError):
                    at.rmdir()
            tree.exchange(temporary, at)
