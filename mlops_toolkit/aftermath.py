"""What a run that ended in an error leaves for those who wait for it: report.json with the error's name, annotations, outputs, a status."""

from __future__ import annotations

import argparse
from pathlib import Path

from mlops_toolkit.errors import ConfigErrors, MlopsError
from mlops_toolkit.forge.base import Annotation
from mlops_toolkit.history.local import prepare
from mlops_toolkit.records import codec
from mlops_toolkit.records.result import Failure, Result
from mlops_toolkit.system.files import write_atomic
from mlops_toolkit.world import World


def failed(error: MlopsError, args: argparse.Namespace, world: World) -> None:
    """Leave the error where the CI's next steps and people look for the outcome."""
    state = Path(args.config).parent / ".mlops" if not any(c in args.config for c in "*?[") else Path(".mlops")
    state = world.cwd / state
    name = _model(state, world)
    result = Result(
        model=name,
        verdict=None,
        gate="none",
        sentence=f"no verdict: {error.message}",
        exit=error.code,
        error=Failure(error.name, str(error)),
    )
    if world.context.ci or state.is_dir():
        prepare(state)
        write_atomic(state / "report.json", codec.dumps(result))
    if not world.context.ci:
        return
    problems = error.problems if isinstance(error, ConfigErrors) else (error,)
    world.forge.annotate(tuple(_annotation(p.message, p.where, p.hint) for p in problems))
    world.forge.output({"verdict": "", "gate": "none", "report": str(state / "report.json"), "exit": str(error.code)})
    if world.context.head:
        world.forge.status(world.context.head, name, "error", result.sentence, world.context.url)


def _annotation(message: str, where: str | None, hint: str | None) -> Annotation:
    file, _, line = (where or "").rpartition(":")
    place = (file, int(line)) if file and line.isdigit() else (None, None)
    text = "\n".join(part for part in (f"{where}: {message}" if where and place[0] is None else message, hint) if part)
    return Annotation("error", text, "mlops", place[0], place[1])


def _model(state: Path, world: World) -> str:
    """The model's name as far as it can be read; a broken configuration still needs something to call its status."""
    try:
        from mlops_toolkit.config import read

        return read.load(state.parent / "mlops.yaml", root=world.root).config.name
    except MlopsError:
        return "model"
