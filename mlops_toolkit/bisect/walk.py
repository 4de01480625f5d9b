"""Which recorded runs a walk over the base branch's line visits, and between which commits each of its steps lies. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from mlops_toolkit.history.base import Entry
from mlops_toolkit.history.baseline import Question, Step, belongs, objection

MERGED = re.compile(r"\(#([0-9]{1,9})\)$|^Merge pull request #([0-9]{1,9}) ")
# A walk wants what main was, be it good or not; what was withdrawn is said to have been measured wrongly.
TAKEN = (None, "its gate failed")


@dataclass(frozen=True)
class Visit:
    """A run, and the commit of the line that it is of. place: of the commit on the line, 0 the newest."""

    entry: Entry
    step: Step
    place: int


@dataclass(frozen=True)
class Walk:
    """visits: oldest first. passed: (run id, why not) of runs on the line that were not taken."""

    visits: tuple[Visit, ...] = ()
    passed: tuple[tuple[str, str], ...] = ()

    def without(self, refused: dict[str, str]) -> Walk:
        """Less these runs, with their reasons."""
        kept = tuple(visit for visit in self.visits if visit.entry.id not in refused)
        return Walk(kept, (*self.passed, *((v.entry.id, refused[v.entry.id]) for v in self.visits if v.entry.id in refused)))


def walk(steps: Sequence[Step], entries: Iterable[Entry], key: str) -> Walk:
    """One run a commit: the one of that very commit before one of the same tree, a CI's before a laptop's, the latest."""
    mine, question = [entry for entry in entries if entry.key == key], Question(key)
    visits, passed, seen = [], dict[str, str](), set[str]()
    for place, step in enumerate(steps):
        here = [entry for entry in mine if belongs(entry, step) and entry.id not in seen]
        whys = {entry.id: objection(question, entry, step) for entry in here}
        usable = [entry for entry in here if whys[entry.id] in TAKEN]
        passed |= {run: why for run, why in whys.items() if why is not None and why not in TAKEN}
        if usable:
            best = max(usable, key=lambda e: (e.commit == step.commit, e.event != "laptop", e.id))
            seen |= {entry.id for entry in here}
            visits.append(Visit(best, step, place))
    return Walk(tuple(reversed(visits)), tuple(passed.items()))


def latest(made: Walk, most: int) -> Walk:
    """The newest visits, where there are more than can be held."""
    early = made.visits[:-most] if len(made.visits) > most else ()
    return made.without({visit.entry.id: f"only the latest {most} runs are read" for visit in early})


def same_examples(made: Walk, digest: Callable[[Visit], str | None]) -> Walk:
    """The visits that were measured on the examples that most of them share (of several such, the latest)."""
    digests = {visit.entry.id: digest(visit) for visit in made.visits}
    counts = [(sum(d == mine for d in digests.values()), place) for place, mine in enumerate(digests.values()) if mine is not None]
    if not counts:
        return made.without(dict.fromkeys(digests, "its predictions were not kept"))
    shared = list(digests.values())[max(counts)[1]]
    refused = {
        run: "its predictions were not kept" if mine is None else "it was measured on other examples"
        for run, mine in digests.items()
        if mine != shared
    }
    return made.without(refused)


def between(steps: Sequence[Step], older: Visit, newer: Visit) -> tuple[Step, ...]:
    """The commits after one visit up to another, oldest first: what may have moved the metric."""
    return tuple(reversed(steps[newer.place : older.place]))


def pull_request(step: Step, entry: Entry | None) -> int | None:
    """The pull request that brought a commit: as its message says, or as its run does."""
    found = MERGED.search(step.subject)
    number = int(found[1] or found[2]) if found else None
    return number or (entry.pull_request if entry is not None and entry.tree == step.tree else None)
