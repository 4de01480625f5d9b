"""`mlops monitor issue`: what Alertmanager told, or Prometheus answers, as one issue of the repository, opened, kept and closed."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_toolkit.config.read import discover, load_all
from mlops_toolkit.errors import EnvironmentFailure, MlopsError, UsageError
from mlops_toolkit.forge.alarms import WORKFLOW
from mlops_toolkit.forge.base import Posted
from mlops_toolkit.monitor import tell, told
from mlops_toolkit.monitor.told import Told
from mlops_toolkit.monitor.wanted import chosen
from mlops_toolkit.world import World

if TYPE_CHECKING:
    import requests

TOKEN = "MLOPS_MONITOR_TOKEN"  # noqa: S105 (a variable's name)
SECONDS = 20
Keys = dict[tuple[str, str], list[told.Alarm]]


def run(args: argparse.Namespace, world: World) -> int:
    """0 where the issue says what rings, or is closed because nothing does.

    UsageError `no-workflow` for a --dispatch that names none; InvalidFile `not-alerts`; EnvironmentFailure `no-alerts` where they cannot
    be read, `issue-not-written`, `not-started`.
    """
    if args.dispatch and not WORKFLOW.fullmatch(args.dispatch):
        message = f"{args.dispatch[:100]!r} is no workflow's file"
        raise UsageError("no-workflow", message, where="--dispatch", hint="name a file of .github/workflows, like model.yml")
    environment = args.environment or ""
    if args.ask:
        loaded = load_all(discover(args.config, cwd=world.cwd, root=world.root), root=world.root)
        environment = chosen(loaded, environment)
        found = told.asked(_get(args.ask, world), where=args.ask)
        sections = _of_all(found, environment, [one.config.name for one in loaded])
    else:
        where, raw = _given(args, world)
        found = told.webhook(raw, where=where)
        sections = _by_model(found, environment)
    _say(found, world)
    return _post(sections, args, world)


def failed(error: MlopsError, world: World) -> None:
    """The exit code of a run that ended in an error. What became of the issue until then is told already; what is not told is empty."""
    world.forge.output({"exit": str(error.code)})


def _post(sections: Keys, args: argparse.Namespace, world: World) -> int:
    at = int(world.clock.now().timestamp())
    troubles: list[tuple[str, Posted]] = []
    urls: list[str] = []
    starts: list[str] = []
    for (environment, model), alarms in sorted(sections.items()):
        made = tell.section(alarms, environment, model, at=at)
        drifted = any(one.name in tell.DRIFT for one in alarms)
        became = world.forge.alarm(made, firing=bool(alarms), start=args.dispatch if drifted and args.dispatch else None)
        if became.posted.url:
            urls.append(became.posted.url)
        if became.posted.reason:
            troubles.append(("issue-not-written", became.posted))
        if became.started is not None:
            if became.started.reason:
                troubles.append(("not-started", became.started))
            else:
                starts.append(args.dispatch)
                print(f"{args.dispatch} was started for {model}", file=world.err)
        print(f"{model}: {len(alarms)} {'alarm rings' if len(alarms) == 1 else 'alarms ring'}", file=world.err)
    address, firing = next(iter(urls), None), sum(map(len, sections.values()))
    world.forge.output({"issue-url": address or "", "firing": str(firing), **({} if troubles else {"exit": "0"})})
    if args.json:
        print(json.dumps({"schema": 1, "issue": address, "firing": firing, "started": starts}), file=world.out)
    elif address:
        print(address, file=world.out)
    if troubles:
        name, first = troubles[0]
        raise EnvironmentFailure(name, first.reason or "", hint=first.hint)
    return 0


def _by_model(found: Told, environment: str) -> Keys:
    """What Alertmanager told, by environment and model; where all of one have ended, an empty list."""
    made: Keys = {}
    for alarm in found.alarms:
        if environment and alarm.key[0] != environment:
            continue
        ringing = made.setdefault(alarm.key, [])
        if alarm.firing:
            ringing.append(alarm)
    return made


def _of_all(found: Told, environment: str, names: Sequence[str]) -> Keys:
    """What Prometheus answered, of every model of this repository: also of those of which nothing rings."""
    made: Keys = {(environment, name): [] for name in names}
    for alarm in found.alarms:
        if alarm.key in made:
            made[alarm.key].append(alarm)
    return made


def _say(found: Told, world: World) -> None:
    if found.others:
        print(f"{found.others} that {'is' if found.others == 1 else 'are'} none of ours left out", file=world.err)
    if found.cut:
        print(f"{found.cut} more were cut off on their way here", file=world.err)


def _given(args: argparse.Namespace, world: World) -> tuple[str, bytes]:
    """Where the body comes from, and the body: a file, the event that a relay sent (`client_payload.alerts`), or standard input."""
    if args.alerts and args.alerts != "-":
        path = world.cwd / args.alerts
        try:
            with path.open("rb") as source:
                return args.alerts, source.read(told.MOST_BYTES + 1)
        except OSError as error:
            raise EnvironmentFailure("no-alerts", f"cannot be read: {error.strerror}", where=args.alerts) from error
    if not args.alerts and world.env.get("GITHUB_EVENT_NAME") == "repository_dispatch":
        return "the event's client_payload.alerts", json.dumps(_payload(world.env)).encode()
    if not args.alerts and sys.stdin.isatty():
        raise UsageError(
            "no-alerts", "there are no alarms to read", hint="--alerts FILE, --from http://prometheus:9090, or the body on standard input"
        )
    return "standard input", sys.stdin.buffer.read(told.MOST_BYTES + 1)


def _payload(env: Mapping[str, str]) -> object:
    try:
        event = json.loads(Path(env.get("GITHUB_EVENT_PATH", "")).read_bytes())
    except (OSError, ValueError):
        return None
    payload = event.get("client_payload") if isinstance(event, dict) else None
    return payload.get("alerts") if isinstance(payload, dict) else None


def _get(address: str, world: World) -> bytes:
    """Prometheus' alerts. The token, where there is one, goes to that address alone: a redirect is not followed."""
    import requests

    if not address.startswith(("http://", "https://")) or "@" in address:
        hint = f"write http://prometheus:9090; a token is given as ${TOKEN}"
        raise UsageError("no-alerts", "this is no address of Prometheus", where="--from", hint=hint)
    token = world.env.get(TOKEN, "")
    headers = {"authorization": f"Bearer {token}"} if token else {}
    try:
        answer = requests.get(f"{address.rstrip('/')}/api/v1/alerts", headers=headers, timeout=SECONDS, allow_redirects=False, stream=True)
        if answer.status_code != 200:
            raise EnvironmentFailure("no-alerts", f"Prometheus answered {answer.status_code}", where=address, hint=_hint(answer))
        return answer.raw.read(told.MOST_BYTES + 1, decode_content=True)
    except requests.RequestException as error:
        message = f"Prometheus cannot be reached ({type(error).__name__})"
        raise EnvironmentFailure("no-alerts", message, where=address, hint="run this where it can be: on a runner beside it") from error


def _hint(answer: requests.Response) -> str:
    if answer.status_code in (401, 403):
        return f"give a token that may read it as ${TOKEN}"
    return "give the address of Prometheus itself, as this machine reaches it"
