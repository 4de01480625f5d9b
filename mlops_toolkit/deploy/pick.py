"""Which published image a tag, a commit or a digest means: the one that the history says was published of it, by its digest. Pure.

Git's tag is only a name; what was published under it is on record with the run. A tag that was moved since means another commit than the one
that was published, and is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from mlops_toolkit.errors import MlopsError, UsageError
from mlops_toolkit.history import baseline
from mlops_toolkit.history.base import Entry
from mlops_toolkit.history.baseline import Step
from mlops_toolkit.records.publication import Publication
from mlops_toolkit.records.run import Run

MOVING = re.compile(r"[0-9]+(\.[0-9]+)?|latest|sha-.*")  # tags that mean another image tomorrow, or no release
VERSION = re.compile(r"v?[0-9]+\.[0-9]+\.[0-9]+([-+_].*)?")
MOST = 5  # releases that a message names

# found · running: a run of the commit is not over · unpublished: its run may be published, and is not · unrecorded: nothing is known of it
State = Literal["found", "running", "unpublished", "unrecorded"]


@dataclass(frozen=True)
class Asked:
    """What is to be deployed. tag: git's, None of a bare commit; at: the commit with its tree, None where it is not here; words: for people."""

    words: str
    tag: str | None = None
    at: Step | None = None


@dataclass(frozen=True)
class Choice:
    """The run and where it was published, or why there is none. note: in words; others: newest releases that there are."""

    state: State
    note: str
    entry: Entry | None = None
    run: Run | None = None
    publication: Publication | None = None
    others: tuple[str, ...] = ()


def pick(asked: Asked, entries: Sequence[Entry], run: Callable[[str], Run | None]) -> Choice:
    """The publication. UsageErrors `tag-moved`, `not-an-image`."""
    newest = sorted(entries, key=lambda entry: entry.id, reverse=True)
    here = [entry for entry in newest if asked.at is not None and baseline.belongs(entry, asked.at)]
    for entry in [*here, *(entry for entry in newest if entry.released and entry not in here)]:
        found = run(entry.id)
        published = _published(found, asked, here=entry in here) if found else None
        if found is None or published is None:
            continue
        if asked.at is not None and entry not in here:
            _moved(asked, entry)
        return Choice("found", f"run {entry.id}, published as {published.image}@{published.digest[:19]}…", entry, found, published)
    others = _released(newest, run)
    if any(entry.status == "running" for entry in here):
        return Choice("running", f"the run of {asked.words} is still going", others=others)
    usable = next((entry for entry in here if entry.status in ("succeeded", "reused") and not entry.fork and not entry.dirty), None)
    if usable is not None:
        return Choice("unpublished", f"{asked.words} is not published (its run is {usable.id})", usable, others=others)
    return Choice("unrecorded", f"no run of {asked.words} is recorded", others=others)


def _published(run: Run, asked: Asked, *, here: bool) -> Publication | None:
    """Where it was published as what was asked for: under the tag; of a bare commit at all."""
    images = [one for one in run.published if one.form == "image"]
    of_tag = [one for one in run.published if asked.tag is not None and (run.released == asked.tag or _has(one, asked.tag))]
    if of_tag and not any(one.form == "image" for one in of_tag):
        hint = "publish it as an image that serves it: publish: {as: image}, under another tag; an artifact is what KServe or Triton load themselves"
        raise UsageError("not-an-image", f"{asked.tag} was published as an artifact, which nothing here can run", hint=hint)
    if of_tag:
        return next(one for one in reversed(of_tag) if one.form == "image")
    return images[-1] if images and here and asked.tag is None else None


def _has(one: Publication, tag: str) -> bool:
    """Whether an image has the tag of this tag of git, which may name the model before it."""
    return any(tag == mine or re.fullmatch(rf".+[/@_-]{re.escape(mine)}", tag) for mine in one.tags if not MOVING.fullmatch(mine))


def _moved(asked: Asked, entry: Entry) -> None:
    assert asked.at is not None  # noqa: S101 -- the caller looked
    message = f"{asked.tag} is at {asked.at.commit[:7]} now, and what was published as it is of {(entry.commit or 'no commit')[:7]}"
    raise UsageError("tag-moved", message, where="the tag", hint="somebody moved the tag: release what is meant under a new one")


def _released(newest: Iterable[Entry], run: Callable[[str], Run | None]) -> tuple[str, ...]:
    names: list[str] = []
    for entry in newest:
        if len(names) == MOST:
            break
        if entry.released and not entry.withdrawn and (found := run(entry.id)) is not None and found.released:
            names.append(found.released)
    return tuple(dict.fromkeys(names))


def refusal(choice: Choice, asked: Asked, *, waited: str = "") -> MlopsError:
    """The error for a choice without an image. waited: how long, where one was waited for."""
    after = f", after {waited}" if waited else ""
    known = f"\nreleased: {', '.join(choice.others)}" if choice.others else ""
    if choice.state == "running":
        return UsageError("still-running", f"{choice.note}{after}", hint=f"deploy when it has ended and is published{known}")
    if choice.state == "unpublished":
        way = f"`mlops publish {asked.tag}`" if asked.tag else "tag it (v1.2.3) and publish the tag"
        return UsageError(
            "not-published", f"{choice.note}{after}", hint=f"{way}, or let the action publish-image run before this one{known}"
        )
    hint = "let the commit be judged, publish it, and deploy then"
    return UsageError("not-recorded", f"{choice.note}{after}", hint=f"{hint}{known}")


def version_of(choice: Choice, asked: Asked) -> str | None:
    """What people call the release: its image's version, else git's tag."""
    tags = choice.publication.tags if choice.publication else ()
    return next((tag for tag in tags if VERSION.fullmatch(tag)), None) or asked.tag
