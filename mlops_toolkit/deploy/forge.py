"""Telling the forge where a release runs: its Deployments, and the pull requests that the release contains."""

from __future__ import annotations

from collections.abc import Iterator

from mlops_toolkit.deploy.recorded import Change, Trouble
from mlops_toolkit.deploy.where import Where
from mlops_toolkit.forge.base import Deployment, Reached, Section
from mlops_toolkit.history import lineage
from mlops_toolkit.history.base import History, key_of
from mlops_toolkit.report import words
from mlops_toolkit.report.escape import address, inline
from mlops_toolkit.rollout.accept import called
from mlops_toolkit.rollout.order import Order, Release
from mlops_toolkit.world import World

MOST_COMMITS = 100  # of a release that are looked at for their pull requests
MOST_COMMENTS = 30


def deployment(where: Where, order: Order, release: Release | None, state: Reached, text: str, world: World) -> Iterator[Trouble]:
    """Bring the record of this order to a state; where there is no forge nothing is said."""
    if not world.context.ci or release is None:
        return
    commit = _full(release.commit, world)
    made = Deployment(order.id, where.environment, where.name, commit, release.version, where.options.url, world.context.url)
    posted = world.forge.deployment(made, state, text)
    if posted.reason:
        yield posted.reason, posted.hint


def _full(commit: str | None, world: World) -> str:
    found = world.git.commit(commit) if world.git and commit and len(commit) < 40 else None
    return found.sha if found else commit or ""


def contained(release: Release, before: Release | None, history: History | None, world: World) -> tuple[int, ...]:
    """The pull requests that came with a release, between it and the one before it; of a first one, or one on another line, its own."""
    own = (release.pull_request,) if release.pull_request is not None else ()
    if world.git is None or history is None or release.commit is None or before is None or before.commit is None:
        return own
    steps, _ = lineage.walk(world.git, release.commit, history.ancestry, frozenset({before.commit}), MOST_COMMITS)
    if before.commit not in {step.commit for step in steps}:
        return own
    trees = {entry.tree: entry.pull_request for entry in history.entries() if entry.pull_request is not None and not entry.fork}
    found: list[int] = []
    for step in steps:
        if step.commit == before.commit:
            break
        merged = world.forge.merged_by(step.commit)
        found += merged if merged else [number for number in [trees.get(step.tree)] if number is not None]
    return tuple(dict.fromkeys((*own, *found)))


def comments(
    where: Where, made: tuple[Change, ...], before: Release | None, history: History | None, now: str, world: World
) -> Iterator[Trouble]:
    """Say on each pull request that a release contains that it is live, or was taken back: one section, which is written over then."""
    if not world.context.ci:
        return
    live = next((change.release for change in made if change.live), None)
    for change in made:
        if not change.live and change.withdrawn is None:
            continue
        earlier = before if change.live else (live or before)
        numbers = contained(change.release, earlier if earlier and earlier.id != change.release.id else None, history, world)
        section = _section(where, change, now, world)
        reasons = {
            (posted.reason, posted.hint) for number in numbers[:MOST_COMMENTS] if (posted := world.forge.comment(number, section)).reason
        }
        yield from ((reason, hint) for reason, hint in reasons if reason)


def _section(where: Where, change: Change, now: str, world: World) -> Section:
    model, place, release = inline(where.model, 100), inline(where.environment, 60), inline(called(change.release), 80)
    if change.live:
        line = f"✅ {model}: live in {place} since {words.date(now)} · {release}"
    else:
        line = f"⚠️ {model}: taken back from {place} on {words.date(now)} · {release} · {inline(change.withdrawn or '', 300)}"
    run, attempt = world.context.age
    url, job = address(where.options.url or ""), address(world.context.url or "")
    links = [f"[{text}]({link})" for text, link in (("where it runs", url), ("what was done", job)) if link]
    key = key_of(where.loaded.where, where.model, world.context.matrix)
    return Section(f"deploy|{where.environment}|{key}", line, (" · ".join(links),) if links else (), change.release.commit, run, attempt)
