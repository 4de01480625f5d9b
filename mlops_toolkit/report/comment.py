"""The pull request's comment: a first line that reads well in the notification mail, then blocks in order of reading.

What stands in it is decided here, how it is laid out in `layout`. Every block has a budget, so that the
whole of one model stays under MOST characters and a block under BLOCK; what is left out is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from mlops_toolkit.config.project import page
from mlops_toolkit.records.result import Difference, Example, MeasureRow, Result, Side
from mlops_toolkit.report import escape, others, rows, slices, training, words
from mlops_toolkit.report.findings import findings
from mlops_toolkit.report.layout import Part, blocks
from mlops_toolkit.report.sentence import verdict_sentence

T = TypeVar("T")
MOST, BLOCK = 60_000, 20_000
OPEN_ROWS = 8
_BUDGET = {
    "table": 6_000,
    "rest": 6_000,
    "why": 4_000,
    "notes": 4_000,
    "worst slices": 1_500,
    "slices": 8_000,
    "others": 6_000,
    "discovered": 4_000,
    "examples": 4_000,
    "charts": 4_000,
    "measures": 3_000,
    "changes": 5_000,
    "more data": 2_000,
}
_YAML, _URL = 3_000, 500
EXPLAINED = page("docs/intervals.md")
_PLURAL = {
    "model": "part of the model",
    "params": "parameter",
    "environment": "environment entry",
    "data": "data entry",
    "command": "command",
    "gate": "gate rule",
}


@dataclass(frozen=True)
class Comment:
    """verdict_line: the first line, Markdown. blocks: the rest, Markdown, in order; a cap may drop them from the end."""

    verdict_line: str
    blocks: tuple[str, ...]

    @property
    def text(self) -> str:
        """All of it, as it is posted."""
        return "\n\n".join([self.verdict_line, *self.blocks]) + "\n"


def comment(
    result: Result,
    *,
    chart_urls: Mapping[str, str] | None = None,
    chart_alts: Mapping[str, str] | None = None,
    examples: int = 10,
    explained: str = EXPLAINED,
) -> Comment:
    """The comment of one model. chart_urls: chart name -> address of its picture (or a local path); chart_alts: what to say of it.

    examples: how many fixed and how many broken examples are listed. explained: the address of a page on what an interval is.
    The same result gives the same text.
    """
    said = {**_context(result, chart_urls or {}, chart_alts or {}, examples), "explained": escape.address(explained)}
    return Comment(verdict_line(result), blocks(said))


def verdict_line(result: Result) -> str:
    """`❌ spam-filter: accuracy −3.1 pp (likely −4.4 to −1.8; allowed −1.0) · against main a1b2c3d`, Markdown on one line."""
    said = escape.inline(result.sentence or verdict_sentence(result), 400)
    parts = [f"{rows.ICONS[rows.tone(result)]} {escape.colon(escape.inline(title(result)))} {said}"]
    if against := against_what(result.baseline):
        parts.append(f"against {escape.inline(against)}")
    if result.head.self_reported:
        parts.append("self-reported")
    parts += [escape.inline(note, 200) for note in result.notes if _is_loud(note)]
    return " · ".join(parts)


def title(result: Result) -> str:
    """`spam-filter`, or `spam-filter (python 3.12)` for a leg of a matrix."""
    return f"{result.model} ({result.matrix})" if result.matrix else result.model


def against_what(side: Side) -> str | None:
    """`main a1b2c3d`, `main.parquet`; None on a first run."""
    if side.state == "first-run":
        return None
    return (
        " ".join(p for p in (side.label or side.branch, words.short(side.commit), "(self-reported)" if side.self_reported else None) if p)
        or None
    )


def names(result: Result) -> tuple[str, str]:
    """What the two columns are called; numbers that were not computed here are marked, however long the name."""
    left, right = result.baseline.label or result.baseline.branch or "baseline", result.head.label or "this PR"
    return _marked(left, result.baseline), _marked(right, result.head)


def _marked(label: str, side: Side) -> str:
    return f"{escape.clean(label, 14)}, self-reported" if side.self_reported else label


def _is_loud(note: str) -> bool:
    return note.casefold().startswith("gate loosened")


def fit(items: Sequence[T], line: Callable[[T], str], budget: int, most: int | None = None) -> Part:
    """The first items, as lines, that fit the budget of characters; no further ones are rendered."""
    kept: list[str] = []
    for item in items[:most]:
        made = line(item)
        budget -= len(made) + 1
        if budget < 0:
            break
        kept.append(made)
    return Part(tuple(kept), len(items) - len(kept))


def _cells(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _row(row: rows.Row) -> str:
    numbers = [escape.number(text) for text in (row.baseline, row.head, row.change)]
    bounds = ", ".join(escape.number(bound) for bound in row.allowed.split(", "))  # a wide table breaks between them
    return _cells([name(row), *numbers, bounds, f"{row.icon} {escape.inline(row.word + _of_slice(row))}"])


def _of_slice(row: rows.Row) -> str:
    """How many examples of a slice would tell, where its row is all that is said of it."""
    needs = row.check.needs
    if row.check.slice is None or row.tone != "open" or needs is None or needs.n is None or needs.together:
        return ""
    return f" (about {needs.n:,} {needs.of if needs.of != 'examples' else ''}".rstrip() + " would tell)"


def name(row: rows.Row, *, starts: bool = False) -> str:
    """`accuracy [language=de]`, escaped, its brackets ours."""
    check = row.check
    metric = escape.inline(check.metric, starts=starts) or "*(empty)*"
    part = "" if check.slice is None else f" [{escape.inline(check.slice)}]"
    return f"{metric}{part}{f' against {escape.inline(check.against)}' if check.against else ''}{' (warning)' if check.warning else ''}"


def _whys(found: Sequence[rows.Row]) -> list[tuple[str, list[rows.Row]]]:
    """Each reason once, with the checks it is of."""
    grouped: dict[str, list[rows.Row]] = {}
    for row in found:
        if row.why:
            grouped.setdefault(row.why, []).append(row)
    return list(grouped.items())


def _why(reason: tuple[str, Sequence[rows.Row]]) -> str:
    said, of = reason
    some = words.listed([name(row, starts=n == 0) for n, row in enumerate(of[:4])] + [""] * (len(of) - 4), most=4)
    return f"- {escape.colon(some)} {escape.inline(said, 240)}"


def _first_row(row: rows.Row) -> str:
    interval, margin = rows.alone(row.check)
    return _cells([name(row), *map(escape.number, (row.head, interval, margin, row.allowed)), f"{row.icon} {escape.inline(row.word)}"])


def header(result: Result) -> str:
    """The two first lines of the table of checks."""
    confidence = next((c.confidence for c in result.checks), 0.95)
    if rows.is_first(result):
        columns = [escape.inline(names(result)[1], 30), f"{words.percent(confidence)} interval", "margin it can decide", "allowed", ""]
        return _cells(["metric", *columns]) + "\n| :-- | --: | --: | --: | --: | :-- |"
    left, right = (escape.inline(n, 30) for n in names(result))
    return (
        _cells(["metric", left, right, f"change ({words.percent(confidence)} interval)", "allowed", ""])
        + "\n| :-- | --: | --: | --: | --: | :-- |"
    )


def _context(result: Result, chart_urls: Mapping[str, str], chart_alts: Mapping[str, str], examples: int) -> dict[str, object]:
    first, per_slice = rows.overall(result), rows.slices(result)
    open_rows = first[:OPEN_ROWS]
    line = _first_row if rows.is_first(result) else _row
    return {
        "header": header(result),
        "table": fit(open_rows, line, _BUDGET["table"]),
        "rest": fit(first[OPEN_ROWS:], line, _BUDGET["rest"]),
        "why": fit(_whys(first), _why, _BUDGET["why"]),
        "notes": fit(_notes(result), "- {}".format, _BUDGET["notes"]),
        "worst_slices": fit(slices.worst(result), line, _BUDGET["worst slices"]),
        "slices": fit(per_slice, line, _BUDGET["slices"]),
        "discovered": fit(slices.found(result), slices.found_line, _BUDGET["discovered"]),
        "discovered_header": slices.found_header(*(escape.inline(n, 30) for n in names(result))),
        "discovered_say": slices.found_say(result),
        "slices_say": slices.say(per_slice),
        "others": [_other(result, section) for section in others.sections(result)],
        "images": _images(chart_urls, {**findings(result), **chart_alts}) if chart_urls else Part(),
        "examples": _examples(result, examples),
        "measures": fit(_measures(result), _measure, _BUDGET["measures"]),
        "names": [escape.inline(n, 30) for n in names(result)],
        "changes": fit(result.differences, _difference, _BUDGET["changes"]),
        "changes_say": escape.inline(_changes_say(result.differences)),
        "reproduce": escape.code(result.next.reproduce, 300) if result.next.reproduce else None,
        "accept": _yaml(result.next.accept),
        "gate": _yaml(result.next.gate),
        "config": escape.code(result.config),
        "more_data": fit(result.next.more_data, lambda text: f"- more data: {escape.inline(text, 240)}", _BUDGET["more data"], 8),
        "url": escape.address(result.url) if result.url and len(result.url) <= _URL else None,
        "confidence": next((words.percent(c.confidence) for c in result.checks if c.low is not None or c.head_low is not None), None),
        "of": "value" if rows.is_first(result) else "change",
        "judged": any(c.verdict in ("pass", "fail") and c.low is not None for c in result.checks),
        "training": training.quiet(result),
        "error": _error(result),
    }


def _other(result: Result, section: others.Section) -> dict[str, object]:
    """What else the gate is held against: a table of its own, folded unless something in it stops the merge or asks."""
    confidence = next((c.confidence for c in result.checks), 0.95)
    return {
        "title": escape.inline(section.title, 120),
        "outcome": escape.inline(section.outcome),
        "header": others.header(section, names(result)[1], confidence),
        "table": fit(section.rows, _row, _BUDGET["others"]),
        "why": fit(_whys(section.rows), _why, _BUDGET["why"]),
        "open": section.open,
    }


def _error(result: Result) -> dict[str, str] | None:
    if result.error is None:
        return None
    message = result.error.message
    long = len(message) > 300 or "\n" in message.strip()
    return {"name": escape.code(result.error.name), "message": escape.fenced(message[:4000]) if long else ""}


def _notes(result: Result) -> list[str]:
    said = [escape.inline(note, 400, starts=True) for note in result.notes if not _is_loud(note)]
    said += [escape.inline(note, 400, starts=True) for note in training.notes(result)]
    side = result.baseline
    if side.note and side.note not in result.notes:
        said.append(escape.inline(side.note, 400, starts=True))
    if side.behind:
        missing = ", ".join(escape.code(text, 60) for text in side.behind[:5])
        more = f", and {len(side.behind) - 5} more" if len(side.behind) > 5 else ""
        said.append(f"the baseline lacks {words.count(len(side.behind), 'commit')} of the base branch: {missing}{more}")
    return said


def _images(urls: Mapping[str, str], alts: Mapping[str, str]) -> Part:
    lines = []
    for name, url in urls.items():
        target = escape.address(url) if "://" in url else "".join(c for c in url if c.isalnum() or c in "/._-~")
        if target and len(target) <= _URL:
            lines.append(f"![{escape.alt(alts.get(name) or name, 300)}]({target})\n")
    return fit(lines, str, _BUDGET["charts"])


def _examples(result: Result, most: int) -> dict[str, object] | None:
    found = result.examples
    if not (found.fixed_total or found.broken_total):
        return None
    graded = any(e.weight is not None for e in (*found.fixed, *found.broken))
    columns = tuple(dict.fromkeys(key for e in (*found.broken[:most], *found.fixed[:most]) for key in e.preview))[:3]
    left, right = names(result)
    head = _cells(["id", "target", escape.inline(left, 30), escape.inline(right, 30), *(escape.inline(c, 30) for c in columns)])
    line = lambda e: _example(e, columns)
    return {
        "header": head + "\n|" + " :-- |" * (4 + len(columns)),
        "fixed": fit(found.fixed, line, _BUDGET["examples"], most),
        "broken": fit(found.broken, line, _BUDGET["examples"], most),
        "fixed_total": found.fixed_total,
        "broken_total": found.broken_total,
        "say": f"{found.fixed_total:,} {'better' if graded else 'fixed'}, {found.broken_total:,} {'worse' if graded else 'broken'}",
        "words": ("got better", "got worse") if graded else ("fixed", "broken"),
    }


def _example(example: Example, columns: Sequence[str]) -> str:
    ident = f"{example.suite}/{example.id}" if example.suite else example.id
    cells = [ident, example.target, example.baseline, example.head]
    shown = [escape.code(example.preview[c], cell=True) if c in example.preview else "" for c in columns]
    return _cells([*(escape.code(cell, cell=True) for cell in cells), *shown])


def _measures(result: Result) -> list[tuple[str, MeasureRow]]:
    checked = {c.metric for c in result.checks if c.kind == "measure"}
    return [(name, found) for name, found in sorted(result.measures.items()) if name not in checked]


def _measure(named: tuple[str, MeasureRow]) -> str:
    name, found = named
    return _cells([escape.inline(name), *(escape.number(words.value(v, found.unit or "")) for v in (found.baseline, found.head))])


def _difference(found: Difference) -> str:
    return _cells([found.section, *(escape.code(text, cell=True) for text in (found.name, found.baseline, found.head))])


def _changes_say(found: Sequence[Difference]) -> str:
    counts = {section: sum(d.section == section for d in found) for section in dict.fromkeys(d.section for d in found)}
    irregular = {"model": "parts of the model", "environment": "environment entries", "data": "data entries"}
    return ", ".join("cost" if s == "cost" else words.count(n, _PLURAL[s], irregular.get(s)) for s, n in counts.items())


def _yaml(text: str | None) -> str | None:
    if not text or not text.strip() or len(text) > _YAML:
        return None
    return escape.fenced(text, "yaml")
