"""From all checks of one model to its verdict, gate and exit code: Holm over what fails, what was accepted, and the policy for doubt. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from mlops_toolkit.config.rules import Accepted, WhenUncertain
from mlops_toolkit.errors import GATE_FAILED, PASSED, UNDECIDED
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


def name_of(check: Check) -> str:
    """`accuracy`, or `accuracy [language=en]`: how a check is named in `accepted:`."""
    return f"{check.metric} [{check.slice}]" if check.slice else check.metric


def is_gated(check: Check) -> bool:
    """Whether the check can block at all."""
    return check.severity == "gate" and (check.margin is not None or check.min is not None or check.max is not None)


def settle(
    judged: Sequence[Judged], *, policy: WhenUncertain, confidence: float, accepted: Sequence[Accepted] = (), today: date
) -> Settled:
    """Every gated metric must be shown not worse; every gated slice must not be shown worse (unless it `must: pass`).

    Passing all needs no correction for their number (intersection–union); that one of many fails is held to Holm's level.
    """
    checks = [_accept(check, accepted, today) for check in _holm(judged, confidence)]
    gated = [check for check in checks if is_gated(check) and check.verdict != "ungated"]
    if not gated:
        return Settled(tuple(checks), "ungated", "none", False, PASSED)
    failing = [check for check in gated if check.verdict == "fail"]
    doubtful = [check for check in gated if check.verdict == "inconclusive" and (check.slice is None or check.must)]
    verdict: Verdict = "fail" if failing else "inconclusive" if doubtful else "pass"
    if any(check.accepted is None for check in failing):
        return Settled(tuple(checks), verdict, "failed", True, GATE_FAILED)
    open_doubts = [check for check in doubtful if check.accepted is None]
    said_yes = any(check.accepted is not None for check in (*failing, *doubtful))
    if open_doubts and policy == "fail":
        return Settled(tuple(checks), verdict, "failed", True, GATE_FAILED, said_yes)
    if open_doubts:
        asks = policy == "ask" and any(check.leaning == "beyond" for check in open_doubts)
        return Settled(tuple(checks), verdict, "undecided", asks, UNDECIDED if asks else PASSED, said_yes)
    return Settled(tuple(checks), verdict, "passed", False, PASSED, said_yes)


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
                message=f"its own interval says worse, but among {len(family)} checks one such is expected by chance",
            )
        checks.append(check)
    return checks


def _accept(check: Check, accepted: Sequence[Accepted], today: date) -> Check:
    """Mark a failing or doubtful check that `accepted:` covers: same check, not expired, and no worse than the value that was accepted.

    Against a loss the entry has done its work once the baseline itself is at or beyond that value: then it is ignored. `min` and `max`
    ask nothing of the baseline, and doubt may be accepted of a run that is better than it.
    """
    if check.verdict not in ("fail", "inconclusive") or check.head is None:
        return check
    for entry in accepted:
        if entry.check != name_of(check) or (entry.until and date.fromisoformat(entry.until) < today):
            continue
        limit = entry.down_to if check.direction == "higher" else entry.up_to
        if limit is None:
            continue
        sign = 1.0 if check.direction == "higher" else -1.0
        slack = 1e-9 * abs(limit)
        lost = check.verdict == "fail" and check.reason not in ("below-min", "above-max")
        spent = lost and check.baseline is not None and sign * check.baseline <= sign * limit + slack
        if sign * check.head >= sign * limit - slack and not spent:
            return replace(check, accepted=entry.reason)
    return check


def accepts_gate(accepted: Sequence[Accepted], today: date) -> bool:
    """Whether a loosened gate was said yes to."""
    return any(entry.check == "gate" and not (entry.until and date.fromisoformat(entry.until) < today) for entry in accepted)
