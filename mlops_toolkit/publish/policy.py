"""Whether a recorded run may be published: its own gate must not have failed nor wait for a yes, by the policy it was judged under. Pure.

What stands against it is told at once, each with its way out. Somebody may decide otherwise, by name and reason: that is recorded with the
run, printed on the image and told in the release. What nobody may override is in `pick`: a stranger's model, one of no commit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from mlops_toolkit.errors import UsageError
from mlops_toolkit.records.result import Check, Result, name_of
from mlops_toolkit.records.run import GateOutcome, Run
from mlops_toolkit.report import rows
from mlops_toolkit.report.escape import plain

LONGEST = 300  # of a reason, which stands in annotations and notes
Word = Literal["passed", "accepted", "undecided", "ungated", "overridden"]


@dataclass(frozen=True)
class Override:
    """Who decided that it is published all the same, and why."""

    by: str
    reason: str


@dataclass(frozen=True)
class Allowed:
    """Whether a configuration lets models be released that nothing judged: `publish.ungated` and `self-reported` of mlops.yaml."""

    ungated: bool = False
    self_reported: bool = True


@dataclass(frozen=True)
class Judged:
    """A run with what it was judged by. of: whose report it is: the run's own, or of a reused run without one its source's."""

    run: Run
    gate: GateOutcome | None = None
    result: Result | None = None
    of: str = ""


@dataclass(frozen=True)
class Ruling:
    """It may be published. word: how the gate stands, as it is printed on the image.

    undecided  checks that were let through without being decided, in words
    accepted   what was said yes to, with the reason; notes: what a reader must know beside
    overridden what stood against it, where somebody decided otherwise (`override`)
    """

    word: Word
    sentence: str
    undecided: tuple[str, ...] = ()
    accepted: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    overridden: tuple[str, ...] = ()
    override: Override | None = None


def judged(run: Run, result: Result | None, source: Run | None = None, its: Result | None = None) -> Judged:
    """A run's own gate and report; of a reused one that was never compared itself, its source's."""
    if run.gate is None and run.status == "reused" and source is not None:
        return Judged(run, source.gate, its, source.id)
    return Judged(run, run.gate, result, run.id)


def rule(what: Judged, allowed: Allowed, override: Override | None = None) -> Ruling:
    """The ruling. A UsageError named by what stands against it first: `withdrawn`, `gate-failed`, `gate-undecided`, `not-judged`, `ungated`, `self-reported`."""
    against = list(_against(what, allowed))
    result, gate = what.result, what.gate
    undecided = tuple(_undecided(result))
    accepted = gate.said_yes if gate else ()
    notes = tuple(_notes(what))
    sentence = gate.sentence if gate else ""
    if against and override is None:
        name, message, hint = against[0]
        others = "".join(f"\nand {other}" for _, other, _ in against[1:])
        way = (
            f'\nor decide otherwise, by name and reason, which is recorded: mlops publish --run {what.run.id} --override "REASON" --by NAME'
        )
        raise UsageError(name, message, where=f"run {what.run.id}", hint=f"{hint}{others}{way}")
    if against:
        return Ruling("overridden", sentence, undecided, accepted, notes, tuple(message for _, message, _ in against), override)
    if override is not None:
        notes = (*notes, "an override was given, and nothing stood against it: none is recorded")
    word: Word = "accepted" if gate and gate.accepted else "undecided" if undecided else "passed"
    if gate is None or gate.gate == "none":
        word = "ungated"
    return Ruling(word, sentence, undecided, accepted, notes)


def override(reason: str, by: str) -> Override | None:
    """The override as it was given: None where neither word was. UsageErrors `no-reason`, `no-name`."""
    if not reason.strip() and not by.strip():
        return None
    if not reason.strip():
        raise UsageError(
            "no-reason", "a gate is overridden for a reason that others can read", where="override", hint='--override "REASON"'
        )
    if not by.strip():
        raise UsageError(
            "no-name", "a gate is overridden by somebody with a name", where="by", hint="--by NAME; in a CI it is who started the run"
        )
    return Override(plain(by.strip(), 100), plain(reason.strip(), LONGEST))


def _against(what: Judged, allowed: Allowed) -> Iterator[tuple[str, str, str]]:
    """Name, sentence and way out of everything that stands against it, the gravest first."""
    run, gate, result = what.run, what.gate, what.result
    if run.withdrawn is not None:
        yield "withdrawn", f"it was withdrawn: {plain(run.withdrawn, LONGEST)}", "publish another run: `mlops history list` shows them"
    if gate is None:
        yield "not-judged", "it was never compared: nothing says whether it is worse", "`mlops compare` judges it"
    elif gate.gate == "failed":
        yield (
            "gate-failed",
            f"its gate failed: {_said(gate)}",
            "make it better, or say yes to it under `accepted:` and have it judged again",
        )
    elif gate.gate == "undecided" and (result is None or result.blocks):
        why = "waits for a yes" if result is not None else "is undecided, and its report is not there to say whether it waits for a yes"
        yield (
            "gate-undecided",
            f"its gate {why}: {_said(gate)}",
            "say yes under `accepted:`, or let more examples decide; then have it judged again",
        )
    elif gate.gate == "none" and not allowed.ungated and not (result is not None and _waits(result)):
        hint = "add a `gate:` (the first report proposes one), or let it through in mlops.yaml: publish: {ungated: allow}"
        yield "ungated", "nothing is gated: no number had to be good enough", hint
    if run.self_reported and not allowed.self_reported:
        hint = "evaluate it here: `evaluate.run`; or `self-reported: allow`"
        yield "self-reported", "its numbers were reported by whoever trained it, and mlops.yaml refuses those", hint


def _said(gate: GateOutcome) -> str:
    return plain(gate.sentence, LONGEST) or "nothing more is recorded"


def _waits(result: Result) -> bool:
    """Whether there is a gate, which had nothing to be held against yet: the first run of a model."""
    return any(
        check.severity == "gate" and check.baseline is None and (rows.asked(check) is not None or check.gain is not None)
        for check in result.checks
    )


def _undecided(result: Result | None) -> Iterator[str]:
    """Gated checks that were let through without being decided, the whole metrics first."""
    checks: list[Check] = (
        [c for c in result.checks if c.verdict == "inconclusive" and c.severity == "gate" and not c.warning] if result else []
    )
    small = [check for check in checks if rows.is_small_slice(check)]
    for check in sorted((c for c in checks if c not in small and c.accepted is None), key=lambda check: check.slice is not None):
        row = rows.row(check, result.policy if result else "ask")
        yield plain(f"{name_of(check)}: {row.word}, {row.change}; allowed {row.allowed}", LONGEST)
    if small:
        slices = "1 slice is" if len(small) == 1 else f"{len(small)} slices are"
        yield f"{slices} too small to say"


def _notes(what: Judged) -> Iterator[str]:
    run, result, gate = what.run, what.result, what.gate
    if what.of != run.id:
        yield f"it was not trained anew: its numbers and its report are those of run {what.of}"
    elif run.status == "reused" and run.source:
        yield f"it was not trained anew: run {run.source} made the same"
    if gate is not None and gate.gate == "none":
        first = result is not None and _waits(result)
        yield "it is the first one: margins had nothing to be held against" if first else "ungated: no number had to be good enough"
    if run.self_reported:
        yield "its numbers were reported by whoever trained it, and not computed here"
    if len(run.seeds) > 1:
        yield f"it is the first of {len(run.seeds)} trainings (seed {run.seeds[0].seed}); the gate judged all of them"
