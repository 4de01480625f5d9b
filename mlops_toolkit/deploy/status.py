"""`mlops status`: what runs where, since when, from which pull request, with which verdict; asked of the targets themselves."""

from __future__ import annotations

import argparse
import contextlib
import json
from collections.abc import Iterator
from typing import Any

from mlops_toolkit.announce import say as announced
from mlops_toolkit.config import read
from mlops_toolkit.deploy import policy
from mlops_toolkit.deploy.catch_up import Caught, catch_up
from mlops_toolkit.deploy.targets import Standing, open_target
from mlops_toolkit.deploy.where import Where, every, opened, place
from mlops_toolkit.errors import ENVIRONMENT, PASSED, EnvironmentFailure
from mlops_toolkit.report import words
from mlops_toolkit.report.escape import fenced, plain
from mlops_toolkit.rollout.accept import called
from mlops_toolkit.rollout.order import Release
from mlops_toolkit.world import World

MOST = 5


def run(args: argparse.Namespace, world: World) -> int:
    """0; 4 where a target cannot be asked, after all others were. What cannot be told (`--tell`) is said, and changes nothing."""

    def say(text: str) -> None:
        print(plain(text, 600), file=world.err, flush=True)

    configurations = read.load_all(read.discover(args.config, cwd=world.cwd, root=world.root), root=world.root)
    found: list[tuple[Where, Standing | EnvironmentFailure]] = []
    caught: list[Caught] = []
    for where in every(configurations, args.environment, args.model, world.context.matrix):
        with contextlib.closing(open_target(place(where, world, say, needed=False))) as target:
            try:
                standing = target.status()
                found.append((where, standing))
                caught.append(catch_up(where, standing, opened(where, world, needed=False), world) if args.tell else Caught())
            except EnvironmentFailure as error:
                found.append((where, error))
                caught.append(Caught())
    shown = ["\n".join(lines(*each)) for each in found]
    if args.json:
        documents = [{**document(*each), **_told(told)} for each, told in zip(found, caught, strict=True)]
        print(json.dumps(documents, ensure_ascii=True, allow_nan=False), file=world.out)
    else:
        print("\n".join(shown), file=world.out)
    for told in caught:
        for text in told.said:
            say(f"told {text}")
        announced(told.troubles, "status", world)
    code = ENVIRONMENT if any(isinstance(each, EnvironmentFailure) for _, each in found) else PASSED
    if world.context.ci:
        live = [what.live for _, what in found if isinstance(what, Standing) and what.live is not None]
        world.forge.output({"environment": args.environment, "release": called(live[0]) if len(live) == 1 else "", "exit": str(code)})
        world.forge.summary("\n\n".join(fenced(text) for text in shown) + "\n")
    return code


def _told(caught: Caught) -> dict[str, Any]:
    return {"told": [plain(text, 600) for text in caught.said], "not-told": [plain(reason, 600) for reason, _ in caught.troubles]}


def document(where: Where, what: Standing | EnvironmentFailure) -> dict[str, Any]:
    """One environment for --json."""
    head = {
        "environment": where.environment,
        "model": where.model,
        "name": where.name,
        "target": where.options.target,
        "url": where.options.url,
    }
    if isinstance(what, EnvironmentFailure):
        return {**head, "reached": False, "error": {"name": what.name, "message": plain(what.message, 600), "hint": what.hint}}
    order = {"id": what.under_way, "step": what.step, "text": plain(what.text, 600), "by": plain(what.who, 200)}
    return {
        **head,
        "reached": True,
        "error": None,
        "live": policy.told(what.live),
        "since": what.since or None,
        "final": what.final,
        "shares": dict(what.shares),
        "under-way": order if what.under_way else None,
        "good": [policy.told(one) for one in what.good],
        "withdrawn": [
            {"id": key, "release": policy.told(what.releases.get(key)), "reason": plain(why, 600)} for key, why in what.withdrawn.items()
        ],
        "trouble": [plain(text, 600) for text in what.trouble],
    }


def lines(where: Where, what: Standing | EnvironmentFailure) -> Iterator[str]:
    """One environment for people."""
    yield plain(
        f"{where.model} · {where.environment} ({where.options.target}{f' at {where.options.host}' if where.options.host else ''})", 200
    )
    if isinstance(what, EnvironmentFailure):
        yield f"  cannot be asked: {plain(what.message, 600)}"
        if what.hint:
            yield "    " + what.hint.replace("\n", "\n    ")
        return
    rows = list(_rows(what))
    wide = max(len(name) for name, _ in rows)
    for name, text in rows:
        yield f"  {name:<{wide}}  {plain(text, 600)}"


def _rows(what: Standing) -> Iterator[tuple[str, str]]:
    if what.live is None:
        yield "live", "nothing"
    else:
        yield "live", called(what.live) + (f", since {words.date(what.since)}" if what.since else "")
        yield from _about(what.live)
        if not what.final:
            yield "watched", "still: it goes back by itself if it turns out worse"
    if len(what.shares) > 1:
        parts = (
            f"{called(what.releases.get(key)) if key in what.releases else key} {share * 100:g} %" for key, share in what.shares.items()
        )
        yield "traffic", ", ".join(parts)
    if what.under_way:
        yield "under way", f"{what.text or what.step} (order {what.under_way}, given by {what.who or 'nobody knows whom'})"
    earlier = [one for one in what.good if what.live is None or one.id != what.live.id]
    if earlier:
        yield "back to", words.listed([called(one) for one in earlier], most=MOST)
    for key, why in list(what.withdrawn.items())[-MOST:]:
        yield "taken back", f"{called(what.releases.get(key)) if key in what.releases else key}: {why}"
    for text in what.trouble:
        yield "trouble", text


def _about(live: Release) -> Iterator[tuple[str, str]]:
    origin = [f"pull request #{live.pull_request}" if live.pull_request else "", f"commit {live.commit[:7]}" if live.commit else ""]
    origin += [f"run {live.run}" if live.run else ""]
    if any(origin):
        yield "from", ", ".join(filter(None, origin))
    if live.verdict:
        yield "verdict", f"{live.verdict}{f': {live.sentence}' if live.sentence else ''}"
    yield "image", live.image
