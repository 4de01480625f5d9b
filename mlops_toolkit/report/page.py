"""report.html: one file that needs nothing else. The verdict, every check, the charts, and a gallery of fixed and broken examples.

It loads nothing (its content security policy forbids it), runs one script of ours (known by its digest), and is whole
without it. All text passes `escape.clean` and the template's escaping.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

from mlops_toolkit.records.result import Example, Result
from mlops_toolkit.report import escape, others, rows, slices, training, words
from mlops_toolkit.report.charts import Chart
from mlops_toolkit.report.comment import EXPLAINED, against_what, names, title
from mlops_toolkit.report.previews import Preview
from mlops_toolkit.report.sentence import verdict_sentence

if TYPE_CHECKING:
    from jinja2 import Template

MOST_EXAMPLES, MOST_SLICES = 2_000, 2_000  # of each kind
_TEXT = 4_000  # characters of one preview


@dataclass(frozen=True)
class Bar:
    """An interval as a drawing: positions from −100 to 100, right is better; `cut` where it runs out of the picture.

    Left of `margin` is less than is allowed or asked for, right of `gain` more than is trusted.
    """

    low: float
    high: float
    at: float
    margin: float | None
    gain: float | None
    cut_low: bool
    cut_high: bool
    label: str


@dataclass(frozen=True)
class Line:
    """A row of the table of checks."""

    row: rows.Row
    bar: Bar | None
    interval: str
    margin: str


@dataclass(frozen=True)
class Shown:
    """One preview of an example: kind is image, audio, text or note; content is a data address or the text."""

    name: str
    kind: str
    content: str


@dataclass(frozen=True)
class Card:
    """One example of the gallery."""

    kind: str
    word: str
    ident: str
    cells: Sequence[tuple[str, str, bool]]  # label, text, whether it is wrong
    shown: Sequence[Shown]
    search: str


def page(result: Result, *, previews: Mapping[str, Preview] | None = None, charts: Sequence[Chart] = ()) -> str:
    """The page as text. previews: text of a preview column -> the file it names (see `previews.read`)."""
    css, script = _own("page.css"), _own("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    whole = [row for row in rows.ordered(rows.mine(result), result.policy) if row.check.slice is None]
    parts = rows.slices(result)
    base = names(result)[0]
    apart = [
        (escape.clean(section.title, 120), _lines(section.rows[:MOST_SLICES]), section.side.label or section.name)
        for section in others.sections(result)
    ]
    groups = (("Checks", _lines(whole), base), *apart, ("Slices", _lines(parts[:MOST_SLICES]), base))
    return _template().render(
        css=css,
        script=script,
        policy=policy,
        title=escape.clean(title(result)),
        tone=rows.tone(result),
        verdict=_word(result),
        sentence=escape.clean(result.sentence or verdict_sentence(result), 500),
        error=result.error and {"name": escape.clean(result.error.name), "message": _multiline(result.error.message)},
        facts=_facts(result),
        notes=[escape.clean(note, 500) for note in _notes(result)],
        names=[escape.clean(n, 40) for n in names(result)],
        first=rows.is_first(result),
        confidence=next((words.percent(c.confidence) for c in result.checks if c.low is not None), "95 %"),
        groups=[(label, lines, escape.clean(name, 40)) for label, lines, name in groups if lines],
        slices_left=max(0, len(parts) - MOST_SLICES),
        found=[
            ([(escape.clean(column, 40), escape.clean(value, 60)) for column, value in one.where], escape.clean(one.metric), one)
            for one in slices.found(result)
        ],
        found_say=slices.found_say(result, escape.clean).replace("`", ""),
        charts=[{"title": c.title, "alt": c.alt, "src": _data("image/png", c.png)} for c in charts if c.name != "changes"],
        cards=_cards(result, previews or {}),
        totals={"fixed": result.examples.fixed_total, "broken": result.examples.broken_total},
        measures=[
            (escape.clean(name), *(words.value(v, m.unit or "") for v in (m.baseline, m.head)))
            for name, m in sorted(result.measures.items())
        ],
        differences=[(d.section, escape.clean(d.name), _or_none(d.baseline), _or_none(d.head)) for d in result.differences],
        next=_next(result),
        explained=EXPLAINED,
    )


def _word(result: Result) -> str:
    """The verdict behind the model's name."""
    if result.error is not None or result.verdict is None:
        return "no verdict"
    if result.verdict == "fail":
        return "worse, accepted" if result.gate == "passed" else "worse"
    return {"bad": "worse", "ask": "needs a yes", "open": "not proven", "good": "not worse", "plain": "ungated"}[rows.tone(result)]


def _notes(result: Result) -> list[str]:
    side = result.baseline
    notes = [*result.notes, *training.notes(result), *([side.note] if side.note and side.note not in result.notes else [])]
    if side.behind:
        notes.append(f"the baseline lacks {words.count(len(side.behind), 'commit')} of the base branch: {', '.join(side.behind[:5])}")
    return notes


def _facts(result: Result) -> list[tuple[str, str]]:
    """Label and text of the lines beneath the verdict."""
    found = []
    if against := against_what(result.baseline):
        found.append(("against", against))
    found += [("and", section.title.removeprefix("Against ")) for section in others.sections(result)]
    head = " ".join(p for p in (result.head.branch or result.head.label, words.short(result.head.commit)) if p)
    if head:
        found.append(("this", head))
    if result.head.run:
        found.append(("run", result.head.run))
    if result.head.started:
        found.append(("started", words.date(result.head.started)))
    return [(label, escape.clean(text)) for label, text in found]


def _next(result: Result) -> dict[str, object]:
    following = result.next
    return {
        "reproduce": escape.clean(following.reproduce, 300) if following.reproduce else None,
        "more_data": [escape.clean(text, 300) for text in following.more_data],
        "accept": _multiline(following.accept) if following.accept else None,
        "gate": _multiline(following.gate) if following.gate else None,
        "config": escape.clean(result.config),
        "url": escape.address(result.url) if result.url else None,
    }


def _or_none(text: str | None) -> str:
    return "none" if text is None else escape.clean(text, 200)


def _multiline(text: str, limit: int = _TEXT) -> str:
    """Several lines, each cleaned; what is beyond the limit is said to be."""
    lines = [re.match(r"[ \t]*", line)[0].expandtabs(4) + escape.clean(line, None) for line in text[:limit].splitlines()]  # type: ignore[index]
    return "\n".join(lines) + (f"\n… {len(text) - limit:,} more characters" if len(text) > limit else "")


def _lines(found: Sequence[rows.Row]) -> list[Line]:
    """Rows with their bars: fractions on one scale, other units each in shares of the baseline on another."""
    scaled = []
    for row in found:
        base = 1.0 if row.check.unit == "fraction" else abs(row.check.baseline or 0.0)
        scaled.append((row, 1 / base if base else None))
    reach = {kind: _reach([(r, by) for r, by in scaled if (r.check.unit == "fraction") == kind and by]) for kind in (True, False)}
    return [Line(row, _bar(row, by, reach[row.check.unit == "fraction"]) if by else None, *rows.alone(row.check)) for row, by in scaled]


def _reach(found: Sequence[tuple[rows.Row, float]]) -> float:
    ends = [0.0]
    for row, by in found:
        check = row.check
        ends += [abs(end) * by for end in (check.change, rows.asked(check)) if end is not None]
        ends += [check.gain * by] if check.gain is not None and row.word == "suspicious gain" else []
        if row.tone in ("bad", "ask") or check.slice is None:
            ends += [abs(end) * by for end in (check.low, check.high) if end is not None]
    return max(ends) * 1.08


def _bar(row: rows.Row, by: float, reach: float) -> Bar | None:
    check = row.check
    if check.change is None or reach <= 0:
        return None

    def place(number: float) -> float:
        return round(max(-100.0, min(100.0, number * by / reach * 100)), 2)

    low, high = (check.change if end is None else end for end in (check.low, check.high))
    return Bar(
        low=place(low),
        high=place(high),
        at=place(check.change),
        margin=None if (asked := rows.asked(check)) is None else place(asked),
        gain=None if check.gain is None or check.gain * by > reach else place(check.gain),
        cut_low=low * by < -reach,
        cut_high=high * by > reach,
        label=f"{row.change}{', allowed ' + row.allowed if row.allowed else ''}",
    )


def _cards(result: Result, previews: Mapping[str, Preview]) -> list[Card]:
    found = result.examples
    graded = any(e.weight is not None for e in (*found.fixed, *found.broken))
    kinds = [("broken", "worse" if graded else "broken", found.broken), ("fixed", "better" if graded else "fixed", found.fixed)]
    return [_card(kind, word, example, names(result), previews) for kind, word, examples in kinds for example in examples[:MOST_EXAMPLES]]


def _card(kind: str, word: str, example: Example, sides: tuple[str, str], previews: Mapping[str, Preview]) -> Card:
    ident = f"{example.suite}/{example.id}" if example.suite else example.id
    named = (("target", example.target), (sides[0], example.baseline), (sides[1], example.head))
    judged = example.target is not None and example.weight is None
    cells = [(escape.clean(label, 30), _or_none(text), judged and text != example.target) for label, text in named]
    shown = [_shown(escape.clean(name, 30), text, previews.get(text)) for name, text in example.preview.items()]
    search = " ".join([ident, *(text for _, text, _ in cells), *(s.content for s in shown if s.kind == "text")])
    return Card(kind, word, escape.clean(ident), cells, shown, escape.clean(search.casefold(), 600))


def _shown(name: str, text: str, preview: Preview | None) -> Shown:
    if preview is None:
        return Shown(name, "text", _multiline(text))
    if preview.note is not None:
        return Shown(name, "note", f"{escape.clean(text)} ({preview.note})")
    if preview.mime == "text/plain":
        return Shown(name, "text", _multiline(preview.data.decode("utf-8", "replace")))
    kind = preview.mime.partition("/")[0]
    return Shown(
        name,
        kind if kind in ("image", "audio") else "note",
        _data(preview.mime, preview.data) if kind in ("image", "audio") else escape.clean(text),
    )


def _data(mime: str, data: bytes) -> str:
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"


def _own(name: str) -> str:
    return files("mlops_toolkit.report").joinpath("templates").joinpath(name).read_text(encoding="utf-8")


@functools.cache
def _template() -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("mlops_toolkit.report", "templates")
    made = Environment(loader=loader, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=True)
    made.filters["clean"] = escape.clean
    return made.get_template("page.html.j2")
