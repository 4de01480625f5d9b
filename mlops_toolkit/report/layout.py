"""How the comment is laid out: a function a block. Everything that comes in is escaped; blank lines matter to Markdown.

Written here and in no template: loading a template language takes longer than all that most comparisons have to say.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Said = Mapping[str, Any]


@dataclass(frozen=True)
class Part:
    """The lines of a table or list that fit its budget, and how many did not."""

    lines: tuple[str, ...] = ()
    left: int = 0


def blocks(said: Said) -> tuple[str, ...]:
    """The blocks that have something to say, in order of reading. said: what `comment` decided, by name."""
    made = (_tight(lay(said), keep=lay in (_table, _next)) for lay in _ORDER)
    return tuple(block for block in made if block)


def _tight(text: str, *, keep: bool) -> str:
    """Without blank lines in a row; where `keep`, what is fenced in stays as it is."""
    return text.strip() if keep and "```" in text else re.sub(r"\n{3,}", "\n\n", text.strip())


def _left_out(part: Part) -> str:
    return f"…and {part.left:,} more in the report page.\n" if part.left else ""


def _lines(part: Part) -> str:
    return "".join(f"{line}\n" for line in part.lines)


def _rows(header: str, part: Part) -> str:
    return f"{header}\n{_lines(part)}\n{_left_out(part)}\n"


def _folded(summary: str, text: str) -> str:
    return f"<details><summary>{summary}</summary>\n\n{text.strip()}\n\n</details>\n"


def _table(said: Said) -> str:
    text, error = "", said["error"]
    if error:
        text += f"error {error['name']}\n\n{error['message']}\n\n"
    if said["table"].lines:
        text += _rows(said["header"], said["table"]) + "\n"
        rest = said["rest"]
        if rest.lines:
            text += _folded(f"{len(rest.lines) + rest.left} more", _rows(said["header"], rest))
    return text


def _notes(said: Said) -> str:
    why, notes = said["why"], said["notes"]
    return f"{_lines(why)}{_lines(notes)}\n{_left_out(why)}\n{_left_out(notes)}"


def _others(said: Said) -> str:
    text = ""
    for other in said["others"]:
        against = f"{_rows(other['header'], other['table'])}\n{_lines(other['why'])}\n{_left_out(other['why'])}"
        if other["open"]:
            text += f"**{other['title']}**\n\n{against}\n\n"
        else:
            text += _folded(f"{other['title']}: {other['outcome']}", against) + "\n"
    return text


def _slices(said: Said) -> str:
    text = ""
    if said["worst_slices"].lines:
        text += f"The worst slices:\n\n{_rows(said['header'], said['worst_slices'])}\n"
    if said["slices"].lines:
        text += _folded(f"Slices: {said['slices_say']}", _rows(said["header"], said["slices"]))
    return text


def _discovered(said: Said) -> str:
    found = said["discovered"]
    if not found.lines:
        return ""
    many = len(found.lines) + found.left
    text = f"{_rows(said['discovered_header'], found)}\n{said['discovered_say']}"
    return _folded(f"Worse on {many} slice{'s' if many > 1 else ''} that nobody declared", text)


def _examples(said: Said) -> str:
    found = said["examples"]
    if not found:
        return ""
    text = ""
    for word, kind in ((found["words"][1], "broken"), (found["words"][0], "fixed")):
        part, total = found[kind], found[f"{kind}_total"]
        if part.lines:
            first = f", the first {len(part.lines)}" if len(part.lines) < total else ""
            text += f"**{total:,} {word}**{first}\n\n{found['header']}\n{_lines(part)}\n"
    return _folded(f"Examples: {found['say']}", text)


def _charts(said: Said) -> str:
    return _folded("Charts", _lines(said["images"])) if said["images"].lines else ""


def _measures(said: Said) -> str:
    if not said["measures"].lines:
        return ""
    left, right = said["names"]
    return _folded("Other measures", _rows(f"| measure | {left} | {right} |\n| :-- | --: | --: |", said["measures"]))


def _changes(said: Said) -> str:
    if not said["changes"].lines:
        return ""
    left, right = said["names"]
    return _folded(
        f"What else changed: {said['changes_say']}", _rows(f"| | | {left} | {right} |\n| :-- | :-- | :-- | :-- |", said["changes"])
    )


def _interval(said: Said) -> str:
    judged = " ✅ all of it is allowed, ❌ none of it is, else these examples cannot tell." if said["judged"] else ""
    training = f" {said['training']}" if said["training"] else ""
    explained = f" [What is an interval?]({said['explained']})" if said["explained"] else ""
    return (
        f"<sub>`[low, high]` is where the true {said['of']} likely lies: the examples are only a sample, and such a range holds it "
        f"{said['confidence']} of the time.{judged}{training}{explained}</sub>\n\n"
    )


def _next(said: Said) -> str:
    text = _interval(said) if said["confidence"] else ""
    more, url = said["more_data"], said["url"]
    if not (said["reproduce"] or said["accept"] or said["gate"] or more.lines or url):
        return text
    text += "**Next**\n\n"
    if said["reproduce"]:
        text += f"- reproduce: {said['reproduce']}\n"
    text += _lines(more)
    if url:
        text += f"- [the run]({url})\n"
    if said["accept"]:
        text += f"\nAccept, by adding to {said['config']}:\n\n{said['accept']}\n\n"
    if said["gate"]:
        text += f"\nA gate for a start, in {said['config']}:\n\n{said['gate']}\n\n"
    return text


_ORDER: tuple[Callable[[Said], str], ...] = (
    *(_table, _notes, _others, _slices, _discovered, _examples, _charts, _measures, _changes, _next),
)
