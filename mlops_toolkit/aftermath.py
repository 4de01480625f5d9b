"""What a run that ended in an error leaves for those who wait for it: report.json with the error's name, annotations, outputs, a status."""

from __future__ import annotations

import argparse
from pathlib import Path

from mlops_toolkit.errors import ConfigErrors, MlopsError
from mlops_toolkit.forge.base import Annotation, Section
from mlops_toolkit.history.base import key_of
from mlops_toolkit.history.local import prepare
from mlops_toolkit.records import codec
from mlops_toolkit.records.result import Failure, Result
from mlops_toolkit.system.files import write_atomic
from mlops_toolkit.world import World


def failed(error: MlopsError, args: argparse.Namespace, world: World) -> None:
    """Leave the error where the CI's next steps and people look for the outcome."""
    state = Path(args.config).parent / ".mlops" if not any(c in args.config for c in "*?[") else Path(".mlops")
    state = world.cwd / state
    known = _model(state, world)
    name, config = known or ("model", None)
    result = Result(
        model=name,
        verdict=None,
        gate="none",
        sentence=f"no verdict: {error.message}",
        exit=error.code,
        config=config or args.config,
        ci_run=world.context.run,
        attempt=world.context.attempt,
        url=world.context.url,
        # Not its hint: that may quote what the user's command printed last.
        error=Failure(error.name, f"{error.where}: {error.message}" if error.where else error.message),
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
    if known and not world.context.read_only_token and getattr(args, "comment", True):
        _comment(result, key_of(known[1], name, None), world)


def _comment(result: Result, key: str, world: World) -> None:
    """Without it the pull request would go on showing the verdict of an earlier push."""
    from mlops_toolkit.report.comment import comment

    context = world.context
    if context.pull_request is None:
        return
    text = comment(result)
    number = int(context.run) if context.run and context.run.isdigit() else 0
    section = Section(key, text.verdict_line, text.blocks, commit=context.head, run=number, attempt=context.attempt)
    world.forge.comment(context.pull_request, section)


def _annotation(message: str, where: str | None, hint: str | None) -> Annotation:
    file, _, line = (where or "").rpartition(":")
    place = (file, int(line)) if file and line.isdigit() else (None, None)
    text = "\n".join(part for part in (f"{where}: {message}" if where and place[0] is None else message, hint) if part)
    return Annotation("error", text, "mlops", place[0], place[1])


def _model(state: Path, world: World) -> tuple[str, str] | None:
    """The model's name and its configuration's path; None where there is none that can be read, or several."""
    from mlops_toolkit.config import read

    try:
        loaded = read.load(state.parent / "mlops.yaml", root=world.root)
    except MlopsError:
        return None
    return loaded.config.name, loaded.where
