"""What a run that ended in an error leaves for those who wait for it: report.json with the error's name, annotations, outputs, a status."""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path

from mlops_toolkit.announce import Known, annotated, announce_error, known, say, without_verdict
from mlops_toolkit.config.inputs import ACTIONS, OUTPUTS
from mlops_toolkit.errors import MlopsError
from mlops_toolkit.history.local import prepare
from mlops_toolkit.records import codec
from mlops_toolkit.system.files import write_atomic
from mlops_toolkit.world import World


def failed(error: MlopsError, args: argparse.Namespace, world: World) -> None:
    """Leave the error where the CI's next steps and people look for the outcome."""
    state = Path(args.config).parent / ".mlops" if not any(c in args.config for c in "*?[") else Path(".mlops")
    state = (world.apart or world.cwd) / state
    models = _models(args.config, world)
    only = models[0] if len(models) == 1 else Known("model", matrix=world.context.matrix)
    result = without_verdict(error, only, world.context, config=args.config)
    if world.context.ci or state.is_dir():
        prepare(state)
        write_atomic(state / "report.json", codec.dumps(result))
    if not world.context.ci:
        return
    from mlops_toolkit.report.summary import summary

    world.forge.annotate(annotated(error))
    values = {"verdict": "", "gate": "none", "models": "[]", "report": str(state / "report.json"), "exit": str(error.code)}
    declared = {output.name for output in OUTPUTS if args.verb in {ACTIONS[action].verb for action in output.actions}}
    world.forge.output({name: value for name, value in values.items() if name in declared})
    wanted = getattr(args, "comment", True)
    made = [(one, without_verdict(error, one, world.context, config=args.config)) for one in models or [only]]
    refused = [trouble for one, each in made for trouble in announce_error(each, one, world, comment=wanted)]
    # The job that trains need not be able to post; the one that compares says it then.
    troubles = [(reason, hint) for reason, hint in refused if reason and args.verb in ("compare", "review")]
    say(troubles, args.verb, world)
    world.forge.summary(summary(result, troubles=troubles))


def _models(config: str, world: World) -> list[Known]:
    """Each model's name and its configuration's path, of those that can be found: none of them has a verdict now."""
    from mlops_toolkit.config import read

    paths: tuple[Path, ...] = ()
    with contextlib.suppress(MlopsError):
        paths = read.discover(config, cwd=world.cwd, root=world.root)
    return [found for path in paths if (found := known(path, world.root, world.context.matrix))]
