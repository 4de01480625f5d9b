"""`python FILE run ORDER.json | resume | status`: one order of one name, where its releases run, told as JSON lines on stdout.

The exit code is that of the order (0 deployed, 5 rolled back or refused), 4 where the engine cannot be reached or another agent took over,
143 after SIGTERM: then everything stays as it is, for whoever continues.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlops_toolkit._version import __version__
from mlops_toolkit.errors import DEFECT, USAGE, Cancelled, EnvironmentFailure, MlopsError, UsageError
from mlops_toolkit.rollout.codec import dumps, loads, read
from mlops_toolkit.rollout.driver import Observed, ReleaseFailure
from mlops_toolkit.rollout.execute import HELD, Executor
from mlops_toolkit.rollout.lock import Kept
from mlops_toolkit.rollout.order import Order
from mlops_toolkit.rollout.place import DRIVERS, Place, opened
from mlops_toolkit.rollout.state import fold
from mlops_toolkit.rollout.status import standing
from mlops_toolkit.rollout.tell import Event


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code."""
    arguments = _parser().parse_args(argv)
    try:
        return _done(arguments)
    except MlopsError as error:
        _failed(error.name, error.message, error.hint, error.where)
        return error.code
    except Exception as error:  # noqa: BLE001 -- whoever follows reads JSON lines, and must be told of a defect as of anything else
        traceback.print_exc()
        _failed("defect", f"a defect of the toolkit: {type(error).__name__}: {error}", "please report this with the lines above", None)
        return DEFECT


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="agent", description="Carries out a deployment where the model runs.", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=__version__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb, words in {"run": "carry out an order", "resume": "go on with the order under way", "status": "say what is live"}.items():
        one = verbs.add_parser(verb, help=words, description=words, allow_abbrev=False)
        if verb == "run":
            one.add_argument("order", metavar="ORDER.json", help="the order; `-`: from stdin")
        else:
            one.add_argument("--name", required=True, help="what is deployed")
        one.add_argument("--driver", required=True, help="what runs it: " + (", ".join(sorted(DRIVERS)) or "none is built in"))
        one.add_argument("--settings", metavar="FILE", help="the driver's settings, as JSON")
        one.add_argument("--text", action="store_true", help="sentences for people, no JSON")
    return parser


def _done(arguments: argparse.Namespace) -> int:
    order = read(Order, _json(arguments.order, "the order"), where=arguments.order) if arguments.verb == "run" else None
    settings = _json(arguments.settings, "the settings") if arguments.settings else {}
    if not isinstance(settings, dict):
        raise UsageError("invalid-order", "the settings must be an object", where=arguments.settings)
    place = opened(arguments.driver, order.name if order else arguments.name, settings)
    if arguments.verb == "status":
        print(dumps(standing(fold(place.journal.read()), _seen(place))), flush=True)
        return 0
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _cancel)
    place = Place(place.driver, place.journal, Kept(place.lock, HELD / 5), place.clock)
    owner = (
        f"{'order ' + order.id if order else 'whoever resumes'} on {socket.gethostname()}, process {os.getpid()} ({os.urandom(4).hex()})"
    )
    say = _say_text if arguments.text else _say
    return Executor(place, owner, say).run(order).code


def _seen(place: Place) -> Observed | None:
    try:
        return place.driver.observe()
    except (EnvironmentFailure, ReleaseFailure):
        return None


def _json(name: str, what: str) -> Any:
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise UsageError("no-such-order", f"{what} cannot be read: {error}", where=name) from error
    return loads(text, where=name)


def _cancel(number: int, _: object) -> None:
    raise Cancelled(number)


def _say(event: Event) -> None:
    print(dumps(event), flush=True)


def _say_text(event: Event) -> None:
    mark = {"begins": "…", "goes-on": " ", "done": "✓", "failed": "✗", "over": "="}[event.state]
    hint = f"\n    {event.outcome.hint}" if event.outcome and event.outcome.hint else ""
    print(f"{mark} {event.step:<8} {event.text}{hint}", flush=True)


def _failed(name: str, message: str, hint: str | None, where: str | None) -> None:
    data = {"name": name, "hint": hint, "where": where}
    _say(Event("end", "failed", message, {key: one for key, one in data.items() if one}))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BrokenPipeError:  # nobody follows any more: the order goes on with whoever resumes it
        sys.exit(USAGE)
