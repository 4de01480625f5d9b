"""Whether a release is worse than the one before it, from what both counted: pass, fail or inconclusive, each with numbers and words. Pure.

Fail means *shown* worse than allowed, at the share of false alarms (`alpha`) that this look may spend; pass means shown not worse, at the
limits' own confidence, where a limit can be shown at all. docs/decisions/0042-a-rollout.md says why these intervals, benchmarks/canary.md how
often they are wrong.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from mlops_toolkit.rollout.actions import Judged, Verdict
from mlops_toolkit.rollout.intervals import difference, homogeneous, quantile, requests_needed, share
from mlops_toolkit.rollout.order import Limits
from mlops_toolkit.serve.drift import quantile as chi_squared

QUANTILE = 0.95


@dataclass(frozen=True)
class Counted:
    """What a release counted in a window. latency: upper bounds -> requests at or below; answers: output -> label -> rows."""

    requests: int = 0
    failed: int = 0
    latency: Mapping[float, int] = field(default_factory=dict)
    answers: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Finding:
    """One limit, held against what was counted."""

    limit: str
    verdict: Verdict
    text: str
    numbers: Mapping[str, Any] = field(default_factory=dict)


def judge(new: Counted, old: Counted | None, limits: Limits, alpha: float) -> tuple[Finding, ...]:
    """What every limit says. old: None where there is nothing to compare with; alpha: of a harmless release to be called worse, by each limit."""
    found: list[Finding] = []
    if limits.errors is not None:
        found.append(errors(new, old, limits.errors, alpha, limits.confidence))
    if limits.latency is not None and old is not None:
        found.append(slower(new, old, limits.latency, alpha, limits.confidence))
    if limits.most_latency is not None:
        found.append(slow(new, limits.most_latency, alpha, limits.confidence))
    if limits.predictions is not None and old is not None:
        found += answers(new, old, limits.predictions, alpha, limits.confidence)
    return tuple(found)


def together(found: tuple[Finding, ...]) -> Judged:
    """The whole: the worst, and what says so first."""
    order = ("fail", "inconclusive", "pass")
    sorted_ = sorted(found, key=lambda one: order.index(one.verdict))
    verdict: Verdict = sorted_[0].verdict if sorted_ else "pass"
    reasons = tuple(dict.fromkeys(one.text for one in sorted_ if one.verdict == verdict)) or ("nothing is looked at",)
    return Judged(verdict, reasons, {one.limit: {"verdict": one.verdict, **one.numbers} for one in found})


def errors(new: Counted, old: Counted | None, allowed: float, alpha: float, confidence: float) -> Finding:
    """The rise of the share of failed requests. Without an old one, the share itself is what may be at most `allowed`."""
    if not new.requests:
        return Finding("errors", "inconclusive", "no request has come yet", {"requests": 0})
    before, n_before = (old.failed, old.requests) if old is not None and old.requests else (0, 0)
    rise = new.failed / new.requests - (before / n_before if n_before else 0.0)
    low, high = _rise(new, before, n_before, alpha)
    verdict: Verdict = "fail" if low > allowed else "inconclusive"
    if verdict != "fail":
        low, high = _rise(new, before, n_before, (1 - confidence) / 2)
        verdict = "pass" if high < allowed else "inconclusive"
    text = f"{_percent(new.failed / new.requests)} of {new.requests} requests failed"
    if n_before:
        text += f", {_percent(before / n_before)} before: {_points(rise)} pp [{_points(low)}, {_points(high)}], allowed {_points(allowed)}"
    else:
        text += f" [{_percent(low)}, {_percent(high)}], allowed {_percent(allowed)}"
    numbers = {"requests": new.requests, "failed": new.failed, "before": before, "of": n_before, "change": rise, "low": low, "high": high}
    if verdict == "inconclusive":
        needs = requests_needed(new.failed, new.requests, before, n_before, allowed, (1 - confidence) / 2)
        text += f"; about {needs} requests would decide it" if needs else "; more than is allowed, and not yet more than chance"
        numbers["needs"] = needs or 0
    return Finding("errors", verdict, text, numbers)


def _rise(new: Counted, before: int, n_before: int, alpha: float) -> tuple[float, float]:
    if n_before:
        return difference(new.failed, new.requests, before, n_before, alpha)
    return share(new.failed, new.requests, alpha)


def slower(new: Counted, old: Counted, allowed: float, alpha: float, confidence: float) -> Finding:
    """The relative rise of the 95th percentile. Each side has half of what may be wrong.

    Of two that lie in the same bucket nobody can say which is slower: that no rise is to be seen is all there will ever be to say, and passes.
    """
    a, b = quantile(new.latency, QUANTILE, alpha / 2), quantile(old.latency, QUANTILE, alpha / 2)
    verdict: Verdict = "inconclusive"
    if a is not None and b is not None and a[0] >= b[2] * (1 + allowed) > 0:
        verdict = "fail"
    else:
        a, b = quantile(new.latency, QUANTILE, (1 - confidence) / 4), quantile(old.latency, QUANTILE, (1 - confidence) / 4)
    if a is None or b is None or math.isinf(max(a[1], b[1])) or (verdict != "fail" and math.isinf(max(a[2], b[2]))):
        n = min(_total(new.latency), _total(old.latency))
        return Finding("latency", verdict, f"too few answers to compare their 95th percentile ({n})", {"answers": n})
    high = a[2] / b[0] - 1 if b[0] else math.inf
    if verdict != "fail" and (high <= allowed or a[2] <= b[2]):
        verdict = "pass"
    change = a[1] / b[1] - 1 if b[1] else 0.0
    text = (
        f"95 of 100 requests took at most {_seconds(a[1])} [{_seconds(a[0])}, {_seconds(a[2])}], "
        f"{_seconds(b[1])} [{_seconds(b[0])}, {_seconds(b[2])}] before, allowed +{100 * allowed:g} %"
    )
    if verdict == "inconclusive":
        text += ": slower, and not shown to be slower than allowed" if change > allowed else ": no rise above what is allowed is shown"
    return Finding("latency", verdict, text, {"new": list(map(_finite, a)), "old": list(map(_finite, b)), "change": change})


def slow(new: Counted, most: float, alpha: float, confidence: float) -> Finding:
    """The 95th percentile itself."""
    sure, found = quantile(new.latency, QUANTILE, alpha), quantile(new.latency, QUANTILE, (1 - confidence) / 2)
    if sure is None or found is None:
        return Finding("most-latency", "inconclusive", "no answer was timed yet", {})
    verdict: Verdict = "fail" if sure[0] >= most else "pass" if found[2] <= most else "inconclusive"
    low, likely, high = sure if verdict == "fail" else found
    text = f"95 of 100 requests took at most {_seconds(likely)} [{_seconds(low)}, {_seconds(high)}], allowed {_seconds(most)}"
    return Finding("most-latency", verdict, text, {"new": [low, _finite(likely), _finite(high)]})


def answers(new: Counted, old: Counted, floor: float, alpha: float, confidence: float) -> Iterator[Finding]:
    """Whether the two give other answers: χ² of homogeneity, against the null's own quantile and an effect that is worth speaking of."""
    shared = [output for output in new.answers if output in old.answers]
    for output in shared:
        name = f"predictions:{output}" if len(shared) > 1 else "predictions"
        found = homogeneous(new.answers[output], old.answers[output])
        rows, before = sum(new.answers[output].values()), sum(old.answers[output].values())
        if found is None:
            verdict: Verdict = "inconclusive" if min(rows, before) < 20 else "pass"
            words = "too few answers to compare" if verdict == "inconclusive" else "all answers are one"
            yield Finding(name, verdict, f"{words} ({rows}, {before} before)", {"rows": rows, "before": before})
            continue
        statistic, df, scale = found
        chance = chi_squared(alpha / len(shared), df)
        effect = max(0.0, (statistic - df) * scale)
        differs = statistic > max(chance, df + floor / scale)
        usual = chi_squared((1 - confidence) / len(shared), df)
        sees = usual <= df + floor / scale  # whether an effect as large as the floor would stand out of chance
        verdict = "fail" if differs else "pass" if sees or effect == 0 else "inconclusive"
        text = f"{_what(output)} differ by {effect:.3f} from those before ({rows} rows, {before} before), allowed {floor:g}"
        if verdict == "inconclusive":
            needs = _rows_needed(usual - df, floor, before)
            text += f"; about {needs} rows would decide it" if needs else "; too few rows before to decide it"
        yield Finding(
            name, verdict, text, {"effect": effect, "statistic": statistic, "threshold": max(chance, df + floor / scale), "rows": rows}
        )


def _rows_needed(beyond: float, floor: float, before: int) -> int | None:
    rest = floor / beyond - 1 / before
    return math.ceil(1 / rest) if rest > 0 else None


def _what(output: str) -> str:
    return f"the answers of {output!r}" if output else "the answers"


def _total(latency: Mapping[float, int]) -> int:
    return max(latency.values(), default=0)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _percent(value: float) -> str:
    return f"{100 * value:.2g} %" if 0 < value < 0.1 else f"{100 * value:.1f} %".replace(".0 %", " %")


def _points(value: float) -> str:
    """Percentage points, signed."""
    text = f"{100 * abs(value):.1f}" if abs(value) >= 0.001 or value == 0 else f"{100 * abs(value):.2g}"
    return ("−" if value < 0 else "+") + text


def _seconds(value: float) -> str:
    if math.isinf(value):
        return "longer than any bucket"
    return f"{1000 * value:.3g} ms" if value < 1 else f"{value:.3g} s"
