"""The command line: which verb, with what; builds the World, catches every error once, and turns it into an exit code.

Nothing heavy is imported here: a verb is a "module:function" that is imported when it is named.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from mlops_toolkit import plug
from mlops_toolkit.arguments import parser
from mlops_toolkit.errors import DEFECT, ENVIRONMENT, Cancelled, EnvironmentFailure, MlopsError, of_system
from mlops_toolkit.system import streams

if TYPE_CHECKING:
    from mlops_toolkit.world import World

VERBS: dict[str, str] = {
    "init": "mlops_toolkit.init.run:run",
    "validate": "mlops_toolkit.init.validate:run",
    "doctor": "mlops_toolkit.doctor.run:run",
    "plan": "mlops_toolkit.plan.run:run",
    "train": "mlops_toolkit.train.run:run",
    "evaluate": "mlops_toolkit.evaluate.run:run",
    "compare": "mlops_toolkit.compare.run:run",
    "bisect": "mlops_toolkit.bisect.run:run",
    "report": "mlops_toolkit.compare.again:run",
    "review": "mlops_toolkit.review:run",
    "record": "mlops_toolkit.record.run:run",
    "measure": "mlops_toolkit.measure.run:run",
    "power": "mlops_toolkit.power.run:run",
    "publish": "mlops_toolkit.publish.run:run",
    "deploy": "mlops_toolkit.deploy.run:run",
    "rollback": "mlops_toolkit.deploy.rollback:run",
    "status": "mlops_toolkit.deploy.status:run",
    "inspect": "mlops_toolkit.inspection.run:run",
    "verify": "mlops_toolkit.verify.run:run",
    "serve": "mlops_toolkit.serving.run:run",
    "monitor": "mlops_toolkit.monitor.run:run",
    "history": "mlops_toolkit.history.verbs:run",
    "demo": "mlops_toolkit.demo.run:run",
}


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    with streams.lasting() as trouble:
        code = _run_verb(parser().parse_args(argv))
        lost = trouble()
        if lost is None or isinstance(lost, BrokenPipeError):  # a reader like `| head` has seen enough
            return code
        hint = "the exit code is this failure's; .mlops holds what the verb recorded"
        print(EnvironmentFailure("output-lost", f"standard output cannot be written: {lost.strerror}", hint=hint), file=sys.stderr)
        return code if code >= DEFECT else ENVIRONMENT


def _run_verb(args: argparse.Namespace) -> int:
    asked: list[int] = []
    try:
        with _signals(asked):
            code = _attempt(args, asked)
    except Cancelled as error:  # it came when the verb was over, and its outcome said
        return error.code
    return 128 + asked[0] if asked else code


def _attempt(args: argparse.Namespace, asked: list[int]) -> int:
    world: World | None = None
    try:
        world = _world(args)
        if world.wrong is not None:
            return _failed(world.wrong, args, world)
        if world.context.ci and args.verb in ("train", "review"):
            from mlops_toolkit import preflight

            preflight.before(args, world)
        code: int = plug.load("verb", VERBS, args.verb)(args, world)
        return code
    except MlopsError as error:
        return _failed(error, args, world)
    except OSError as error:
        refused = of_system(error)
        return _failed(refused, args, world) if refused else _defect(error, args, world)
    except Exception as error:  # noqa: BLE001  # the one place where a defect of ours becomes a sentence
        # A package that was being imported says ImportError for whatever stops it.
        return _failed(Cancelled(asked[0]), args, world) if asked else _defect(error, args, world)


def _world(args: argparse.Namespace) -> World:
    from mlops_toolkit import build

    return build.world(args)


@contextlib.contextmanager
def _signals(asked: list[int]) -> Iterator[None]:
    """SIGINT and SIGTERM end whatever runs by raising Cancelled in it, so that every `finally` is passed on the way out.

    asked: gets the signal too, for where the exception is taken for something else on its way.
    """

    def stop(signum: int, _frame: Any) -> None:
        asked.append(signum)
        raise Cancelled(signum)

    try:
        before = {s: signal.signal(s, stop) for s in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not in the main thread: the program that called us owns the signals
        yield
        return
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _failed(error: MlopsError, args: argparse.Namespace, world: World | None) -> int:
    """Say the error where people look: standard error, the CI's annotations and outputs, report.json."""
    text = str(error)
    if world is None:
        print(f"mlops {args.verb}: {text}", file=sys.stderr)
        return error.code
    print(f"mlops {args.verb}: {text}", file=world.err)
    if args.verb in ("plan", "train", "evaluate", "measure", "compare", "review"):
        with contextlib.suppress(Exception):
            from mlops_toolkit import aftermath

            aftermath.failed(error, args, world)
    if args.verb == "publish":
        with contextlib.suppress(Exception):
            from mlops_toolkit.publish import tell

            tell.failed(error, world)
    if args.verb in ("deploy", "rollback"):
        with contextlib.suppress(Exception):
            from mlops_toolkit.deploy import tell as deploying

            deploying.failed(error, world)
    if args.verb == "monitor" and args.action == "issue":
        with contextlib.suppress(Exception):
            from mlops_toolkit.monitor import issue

            issue.failed(error, world)
    return error.code


def _defect(error: Exception, args: argparse.Namespace, world: World | None) -> int:
    import traceback
    from pathlib import Path

    where = Path(".mlops") / "defect.txt"
    with contextlib.suppress(OSError):
        where.parent.mkdir(exist_ok=True)
        where.write_text("".join(traceback.format_exception(error)), "utf-8", "backslashreplace")
    made = MlopsError(
        "defect",
        f"a defect of ours: {type(error).__name__}: {error}",
        hint=f"please report it with {where} (it holds no secrets of yours, but look)",
    )
    made.code = DEFECT
    return _failed(made, args, world)
