"""What a run that ended in an error leaves for those who wait for it: report.json with the error's name, annotations, outputs, a status."""

from __future__ import annotations

import argparse
import contextlib
import re
from dataclasses import dataclass, replace
from pathlib import Path

from mlops_toolkit.announce import Ending, Trouble, announce
from mlops_toolkit.config.inputs import ACTIONS, OUTPUTS
from mlops_toolkit.errors import ConfigErrors, MlopsError
from mlops_toolkit.forge.base import Annotation
from mlops_toolkit.history.base import key_of
from mlops_toolkit.history.local import prepare
from mlops_toolkit.records import codec
from mlops_toolkit.records.result import Failure, Result
from mlops_toolkit.system.files import write_atomic
from mlops_toolkit.world import World

NAME = re.compile(r"^name:[ \t]*([A-Za-z0-9][A-Za-z0-9._-]{0,99})[ \t]*(?:#.*)?\r?$", re.MULTILINE)


@dataclass(frozen=True)
class _Known:
    """A model as far as its configuration can be read."""

    name: str
    where: str | None = None
    renew: bool = False


def failed(error: MlopsError, args: argparse.Namespace, world: World) -> None:
    """Leave the error where the CI's next steps and people look for the outcome."""
    state = Path(args.config).parent / ".mlops" if not any(c in args.config for c in "*?[") else Path(".mlops")
    state = world.cwd / state
    known = _models(args.config, world)
    only = known[0] if len(known) == 1 else _Known("model")
    result = Result(
        model=only.name,
        verdict=None,
        gate="none",
        sentence=f"no verdict: {error.message}",
        exit=error.code,
        config=only.where or args.config,
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
    from mlops_toolkit.report.summary import summary

    problems = error.problems if isinstance(error, ConfigErrors) else (error,)
    world.forge.annotate(tuple(_annotation(p.message, p.where, p.hint) for p in problems))
    values = {"verdict": "", "gate": "none", "models": "[]", "report": str(state / "report.json"), "exit": str(error.code)}
    declared = {output.name for output in OUTPUTS if args.verb in {ACTIONS[action].verb for action in output.actions}}
    world.forge.output({name: value for name, value in values.items() if name in declared})
    refused = [trouble for one in known or [only] for trouble in _post(result, one, args, world)]
    # The job that trains need not be able to post; the one that compares says it then.
    troubles = [(reason, hint) for reason, hint in refused if reason and args.verb in ("compare", "review")]
    for reason, hint in dict.fromkeys(troubles):
        print("\n  ".join(filter(None, (f"mlops {args.verb}: {reason}", hint))), file=world.err)
    world.forge.summary(summary(result, troubles=troubles))


def _post(result: Result, known: _Known, args: argparse.Namespace, world: World) -> list[Trouble]:
    """The check, the comment and the issue: without them the pull request would go on showing the verdict of an earlier push."""
    from mlops_toolkit.report.comment import comment

    matrix = world.context.matrix
    text = comment(replace(result, model=known.name, config=known.where or result.config))
    ending = Ending(
        model=known.name,
        matrix=matrix,
        key=key_of(known.where, known.name, matrix) if known.where else None,
        state="error",
        sentence=result.sentence,
        line=text.verdict_line,
        blocks=text.blocks,
        renew=known.renew,
    )
    wanted = not world.context.read_only_token and getattr(args, "comment", True)
    return announce(ending, world, comment=wanted)[1]


def _annotation(message: str, where: str | None, hint: str | None) -> Annotation:
    file, _, line = (where or "").rpartition(":")
    place = (file, int(line)) if file and line.isdigit() else (None, None)
    text = "\n".join(part for part in (f"{where}: {message}" if where and place[0] is None else message, hint) if part)
    return Annotation("error", text, "mlops", place[0], place[1])


def _models(config: str, world: World) -> list[_Known]:
    """Each model's name and its configuration's path, of those that can be found: none of them has a verdict now."""
    from mlops_toolkit.config import read

    paths: tuple[Path, ...] = ()
    with contextlib.suppress(MlopsError):
        paths = read.discover(config, cwd=world.cwd, root=world.root)
    return [found for path in paths for found in _named(path, world.root)]


def _named(path: Path, root: Path) -> list[_Known]:
    """What a configuration calls its model; of one that cannot be read, the line that says so: the check that a merge waits for has that name."""
    from mlops_toolkit.config import read

    try:
        loaded = read.load(path, root=root)
        return [_Known(loaded.config.name, loaded.where, renew=loaded.config.comment.when_worse == "new")]
    except MlopsError:
        pass
    try:
        with path.open("rb") as source:
            line = NAME.search(source.read(1 << 18).decode("utf-8", "replace"))
        return [_Known(line[1], path.resolve().relative_to(root.resolve()).as_posix())] if line else []
    except (OSError, ValueError):
        return []
