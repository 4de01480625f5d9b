"""From all checks of one model to its verdict, gate and exit code: Holm over what fails, what was accepted, and the policy for doubt. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mlops_toolkit.config.rules import WhenUncertain
from mlops_toolkit.errors import GATE_FAILED, PASSED, UNDECIDED
from mlops_toolkit.gate import needed
from mlops_toolkit.gate.acceptance import Yes, mark
from mlops_toolkit.gate.judge import Judged
from mlops_toolkit.records.result import Check, Gate, Verdict
from mlops_toolkit.stats import rule


@dataclass(frozen=True)
class Settled:
    """The outcome over all checks. accepted: a failure or doubt that would have blocked was said yes to."""

    checks: tuple[Check, ...]
    verdict: Verdict
    gate: Gate
    blocks: bool
    exit: int
    accepted: bool = False
    notes: tuple[str, ...] = ()


def is_gated(check: Check) -> bool:
    """Whether the check can block at all."""
    return check.severity == "gate" and any(one is not None for one in (check.margin, check.improve, check.gain, check.min, check.max))


def settle(judged: Sequence[Judged], *, policy: WhenUncertain, confidence: float, yes: Yes | None = None) -> Settled:
    """Every gated metric must be shown not worse; every gated slice must not be shown worse (unless it `must: pass`).

    Passing all needs no correction for their number (intersection–union); that one of many fails is held to Holm's level.
    """
    checks, notes = mark(_holm(judged, confidence), yes or Yes())
    outcome = _outcome(checks, policy)
    return replace(outcome, checks=tuple(needed.completed(check) for check in checks), notes=notes)


def _outcome(checks: Sequence[Check], policy: WhenUncertain) -> Settled:
    gated = [check for check in checks if is_gated(check) and check.verdict != "ungated"]
    if not gated:
        return Settled((), "ungated", "none", False, PASSED)
    failing = [check for check in gated if check.verdict == "fail"]
    doubtful = [check for check in gated if check.verdict == "inconclusive" and (check.slice is None or check.must)]
    verdict: Verdict = "fail" if failing else "inconclusive" if doubtful else "pass"
    if any(check.accepted is None for check in failing):
        return Settled((), verdict, "failed", True, GATE_FAILED)
    open_doubts = [check for check in doubtful if check.accepted is None]
    said_yes = any(check.accepted is not None for check in (*failing, *doubtful))
    if open_doubts and policy == "fail":
        return Settled((), verdict, "failed", True, GATE_FAILED, said_yes)
    if open_doubts:
        asks = policy == "ask" and any(check.leaning == "beyond" for check in open_doubts)
        return Settled((), verdict, "undecided", asks, UNDECIDED if asks else PASSED, said_yes)
    return Settled((), verdict, "passed", False, PASSED, said_yes)


def _holm(judged: Sequence[Judged], confidence: float) -> list[Check]:
    """Checks whose own interval says fail but that Holm does not reject become inconclusive, reason `multiplicity`."""
    family = [
        i for i, j in enumerate(judged) if j.p is not None and is_gated(j.check) and j.check.verdict in ("fail", "inconclusive", "pass")
    ]
    rejected = dict(zip(family, rule.holm([judged[i].p or 0.0 for i in family], (1 - confidence) / 2), strict=True))
    checks = []
    for i, one in enumerate(judged):
        check = one.check
        if check.verdict == "fail" and i in rejected and not rejected[i]:
            check = replace(
                check,
                verdict="inconclusive",
                leaning="beyond",
                reason="multiplicity",
                message=f"worse by its own interval, but not at the stricter level that {len(family)} checks together ask for: it may be chance",
                needs=one.needs(1 - (1 - confidence) / len(family)),
            )
        checks.append(check)
    return checks
