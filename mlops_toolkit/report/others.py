"""The part of a comment that says how the gate ended against what else it is held against: the last release, a pinned run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mlops_toolkit.records.result import Result, Side
from mlops_toolkit.report import escape, rows, words

RELEASE = "release"


@dataclass(frozen=True)
class Section:
    """One of them. title: plain text, `Against the last release v1.2 (a1b2c3d)`; outcome: how its checks ended, in words.

    open: something in it stops the merge or asks, so that it is not folded away
    """

    name: str
    side: Side
    title: str
    outcome: str
    rows: tuple[rows.Row, ...]
    open: bool


def sections(result: Result) -> Iterator[Section]:
    """In the order of `against:`; those that nothing was held against have no rows, and are told of among the notes."""
    for name, side in result.others.items():
        found = rows.ordered((check for check in result.checks if check.against == name), result.policy)
        if found:
            worst = [row for row in found if row.tone in ("bad", "ask")]
            yield Section(name, side, f"Against {called(name, side)}", _outcome(found), found, bool(worst))


def called(name: str, side: Side) -> str:
    """`the last release v1.2 (a1b2c3d)`, `v1.0 (a1b2c3d)`."""
    label = side.label or name
    what = ("the last release" + (f" {label}" if label != RELEASE else "")) if name == RELEASE else label
    commit = words.short(side.commit)
    return what + (f" ({commit})" if commit and not label.startswith(commit) else "")


def _outcome(found: tuple[rows.Row, ...]) -> str:
    """`accuracy −1.4 pp: worse`, or `3 checks not worse`."""
    counts = [
        (sum(row.tone == tone for row in found), word)
        for tone, word in (("bad", "worse"), ("ask", "leaning worse"), ("open", "undecided"), ("good", "not worse"), ("plain", "not gated"))
    ]
    return ", ".join(f"{n:,} {word}" for n, word in counts if n)


def header(section: Section, head: str, confidence: float) -> str:
    """The two first lines of its table; `head` is what the head's column is called."""
    columns = ["metric", escape.inline(section.side.label or section.name, 30), escape.inline(head, 30)]
    cells = [*columns, f"change ({words.percent(confidence)} interval)", "allowed", ""]
    return f"| {' | '.join(cells)} |\n| :-- | --: | --: | --: | --: | :-- |"
