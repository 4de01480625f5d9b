"""The verdict as one sentence of plain text: what a reader of the notification mail needs to know, worst first."""

from __future__ import annotations

from mlops_toolkit.records.result import Check, Result
from mlops_toolkit.report import escape, gaps, words
from mlops_toolkit.report.rows import Row, asked, limit, name, ordered, shown, signed, unproven


def verdict_sentence(result: Result) -> str:
    """The sentence for `Result.sentence`, from everything else in the result: plain text on one line, no emoji, no final stop.

    Order: an error; what failed, worst first; what is undecided and needs a yes; what is not proven; what was shown not
    worse; a first run or nothing gated, with the numbers there are.
    """
    if result.error is not None:
        return f"no verdict: {escape.clean(result.error.message, 300)}"
    rows = ordered(result.checks, result.policy)
    warned = sum(r.check.severity == "warn" and r.check.verdict == "fail" for r in rows)
    return _joined([_said(result, tuple(r for r in rows if not r.check.warning)), words.count(warned, "warning") if warned else ""])


def _said(result: Result, rows: tuple[Row, ...]) -> str:
    bad = [r for r in rows if r.tone == "bad"]
    asks = [r for r in rows if r.tone == "ask"]
    if bad:
        return _joined([_first(bad[0]), _more(len(bad) - 1, "worse"), f"{len(asks)} undecided" if asks else ""])
    if asks:
        return _asks(asks)
    if result.baseline.state == "first-run":
        return _first_run(rows)
    gated = [r for r in rows if (r.check.slice is None or r.check.must) and r.check.severity == "gate" and r.check.verdict != "ungated"]
    if result.baseline.state == "same-model":
        return "same model as the baseline, nothing changed"
    if result.verdict == "ungated" or not gated:
        seen = [_brief(r.check) for r in rows if r.check.slice is None]
        return "nothing is gated" + (f": {words.listed(seen)}" if seen else "")
    still = [r for r in gated if r.tone == "open"]
    accepted = [r for r in rows if r.check.accepted is not None]
    parts = [_accepted(accepted)] if accepted else []
    good = [r for r in gated if r.tone == "good"]
    if still:
        rest = f"{words.count(len(good), 'other')} shown not worse" if good else ""
        parts.append(_joined([f"{unproven(still[0].check)}: {detailed(still[0])}", _more(len(still) - 1, "not proven"), rest]))
    elif good:
        by_change = sorted(good, key=lambda r: r.check.change is None)
        ends = "shown not worse" if any(asked(r.check) is not None for r in good) else "within the limits"
        ends = "shown to be better" if all(r.check.improve is not None for r in good) else ends
        parts.append(f"{words.listed([_brief(r.check) for r in by_change])}: {ends}")
    return "; ".join(parts) or "nothing to compare"


def _joined(parts: list[str]) -> str:
    return ", ".join(p for p in parts if p)


def _more(n: int, word: str) -> str:
    return f"+{n} more {word}" if n > 0 else ""


def _asks(asks: list[Row]) -> str:
    first = asks[0].check
    needs, needed = first.needs, ""
    if needs is not None and needs.n is not None and not needs.together:  # together with seeds: the lines below say so
        needed = f"about {needs.n:,} {escape.clean(needs.of, 60)} would decide it (have {needs.there(first.n):,})"
    leaning = "undecided, leaning worse" if first.improve is None or (first.change or 0.0) < 0 else "undecided, less than asked"
    said = f"{leaning if first.leaning == 'beyond' else 'not proven'}: {detailed(asks[0])}"
    return _joined([said, needed, _more(len(asks) - 1, "undecided")])


def _first_run(rows: tuple[Row, ...]) -> str:
    values = [f"{_plain(r.check)} {r.head}" for r in rows if r.check.slice is None and r.check.against is None and r.check.head is not None]
    judged = any(r.check.verdict == "pass" for r in rows)
    return (
        "first run, nothing to compare with yet"
        + (f": {words.listed(values)}" if values else "")
        + (", within the limits" if judged else "")
    )


def _first(row: Row) -> str:
    """A failing check, with the word for it where the numbers alone would read as good news."""
    word = f"{row.word}: " if row.word in ("suspicious gain", "not improved") else ""
    return f"{word}{detailed(row)}"


def _accepted(rows: list[Row]) -> str:
    check = rows[0].check
    bound = f" {check.accepted_as}" if check.accepted_as else ""
    said = f"{detailed(rows[0])} accepted{bound} ({escape.clean(check.accepted or '', 80)})"
    return said + (f", {_more(len(rows) - 1, 'accepted')}" if rows[1:] else "")


def _plain(check: Check) -> str:
    return escape.clean(name(check), 60)


def _brief(check: Check) -> str:
    """`accuracy +0.4 pp`, or the value where there is no change."""
    change, low, high = shown(check)
    if change is None:
        return f"{_plain(check)} {gaps.size(check, check.head) if gaps.is_gap(check) else words.value(check.head, check.unit)}"
    return f"{_plain(check)} {words.alone(change, low, high, check.unit)}"


def detailed(row: Row) -> str:
    """`accuracy −3.1 pp (likely −4.4 to −1.8; allowed −1.0)`, `f1-macro 0.791 (below 0.8)`, `f1-macro 0.81 (too close to …)`, or the reason in words."""
    check = row.check
    if gaps.is_gap(check) and check.groups:
        better, worse = (escape.clean(group, 30) for group in check.groups)
        return f"{_plain(check)} {row.head} between {better} and {worse} (allowed {row.allowed})"
    if check.verdict == "fail" and check.reason in ("below-min", "above-max", None) and (outside := limit(check)):
        return f"{_plain(check)} {row.head} ({outside})"
    if check.reason in ("near-min", "near-max") and check.message:
        return f"{_plain(check)} {row.head} ({check.message})"
    change, low, high = shown(check)
    if change is None:
        reason = check.message or (check.reason or "no value").replace("-", " ")
        return f"{_plain(check)}: {escape.clean(reason, 160)}"
    inside = []
    if low is not None and high is not None and low < high:
        inside.append(f"likely {words.bound(low, low, high, check.unit)} to {words.bound(high, low, high, check.unit)}")
    if check.reason == "suspicious-gain" and check.gain is not None:
        inside.append(f"at most {signed(check, check.gain)} expected")
    elif check.improve is not None:
        inside.append(f"asked at least {signed(check, check.improve)}")
    elif check.margin is not None:
        inside.append(f"allowed {signed(check, -check.margin)}")
    return _brief(check) + (f" ({'; '.join(inside)})" if inside else "")
