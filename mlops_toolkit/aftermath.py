"""What a run that ended in an error leaves for those who wait for it: report.json with the error's name, annotations, outputs, a status."""

from __future__ import annotations

import argparse
import contextlib
import re
from dataclasses import replace
from pathlib import Path

from mlops_toolkit.errors import ConfigErrors, MlopsError
from mlops_toolkit.forge.base import Annotation, Posted, Section, check_name
from mlops_toolkit.history.base import key_of
from mlops_toolkit.history.local import prepare
from mlops_toolkit.records import codec
from mlops_toolkit.records.result import Failure, Result
from mlops_toolkit.system.files import write_atomic
from mlops_toolkit.world import World

NAME = re.compile(r"^name:[ \t]*([A-Za-z0-9][A-Za-z0-9._-]{0,99})[ \t]*(?:#.*)?\r?$", re.MULTILINE)


def failed(error: MlopsError, args: argparse.Namespace, world: World) -> None:
    """Leave the error where the CI's next steps and people look for the outcome."""
    state = Path(args.config).parent / ".mlops" if not any(c in args.config for c in "*?[") else Path(".mlops")
    state = world.cwd / state
    known = _models(args.config, world)
    name, config = known[0] if len(known) == 1 else ("model", None)
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
    from mlops_toolkit.report.summary import summary

    problems = error.problems if isinstance(error, ConfigErrors) else (error,)
    world.forge.annotate(tuple(_annotation(p.message, p.where, p.hint) for p in problems))
    world.forge.output({"verdict": "", "gate": "none", "report": str(state / "report.json"), "exit": str(error.code)})
    nowhere: list[tuple[str, str | None]] = [(name, None)]
    posted = [one for name, where in known or nowhere for one in _post(result, name, where, args, world)]
    # The job that trains need not be able to post; the one that compares says it then.
    troubles = [(one.reason, one.hint) for one in posted if one.reason and args.verb in ("compare", "review")]
    for reason, hint in dict.fromkeys(troubles):
        print("\n  ".join(filter(None, (f"mlops {args.verb}: {reason}", hint))), file=world.err)
    world.forge.summary(summary(result, troubles=troubles))


def _post(result: Result, name: str, where: str | None, args: argparse.Namespace, world: World) -> list[Posted]:
    """The status, and the comment: without them the pull request would go on showing the verdict of an earlier push."""
    from mlops_toolkit.report.comment import comment

    context, forge = world.context, world.forge
    posted = []
    if context.head:
        posted.append(forge.status(context.head, check_name(name, context.matrix), "error", result.sentence, context.url))
    if where is not None and context.pull_request is not None and not context.read_only_token and getattr(args, "comment", True):
        text = comment(replace(result, model=name, config=where))
        number, attempt = context.age
        key = key_of(where, name, context.matrix)
        section = Section(key, text.verdict_line, text.blocks, commit=context.head, run=number, attempt=attempt)
        posted.append(forge.comment(context.pull_request, section))
    return posted


def _annotation(message: str, where: str | None, hint: str | None) -> Annotation:
    file, _, line = (where or "").rpartition(":")
    place = (file, int(line)) if file and line.isdigit() else (None, None)
    text = "\n".join(part for part in (f"{where}: {message}" if where and place[0] is None else message, hint) if part)
    return Annotation("error", text, "mlops", place[0], place[1])


def _models(config: str, world: World) -> list[tuple[str, str]]:
    """Each model's name and its configuration's path, of those that can be found: none of them has a verdict now."""
    from mlops_toolkit.config import read

    paths: tuple[Path, ...] = ()
    with contextlib.suppress(MlopsError):
        paths = read.discover(config, cwd=world.cwd, root=world.root)
    return [found for path in paths for found in _named(path, world.root)]


def _named(path: Path, root: Path) -> list[tuple[str, str]]:
    """What a configuration calls its model; of one that cannot be read, the line that says so: the check that a merge waits for has that name."""
    from mlops_toolkit.config import read

    try:
        loaded = read.load(path, root=root)
        return [(loaded.config.name, loaded.where)]
    except MlopsError:
        pass
    try:
        with path.open("rb") as source:
            line = NAME.search(source.read(1 << 18).decode("utf-8", "replace"))
        return [(line[1], path.resolve().relative_to(root.resolve()).as_posix())] if line else []
    except (OSError, ValueError):
        return []
