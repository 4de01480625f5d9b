"""The comment on a terminal: rendered where it is one, else as Markdown whose tables stand in columns.

Only the Markdown that `layout` writes is understood; a general renderer costs a second of imports on a small
machine and breaks its tables at 100 columns.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence

BOLD, DIM, CODE, LINK, END = "\x1b[1m", "\x1b[2m", "\x1b[36m", "\x1b[4m", "\x1b[0m"
_FOLD = re.compile(r"<details><summary>(.*?)</summary>")
_OURS = re.compile(r"</?(?:details|sub|span)>")
_CELL = re.compile(r"(?<!\\)\|")
_INLINE = re.compile(
    r"(?P<tick>`+)(?P<code>.+?)(?P=tick)(?!`)|\*\*(?P<bold>.+?)\*\*|(?P<bang>!?)\[(?P<text>(?:\\.|[^\]\\])*)\]\((?P<url>[^)]*)\)|\\(?P<char>.)|&amp;"
)
_WHOLE = re.compile(
    r"[❌⚠➖✅ℹ]\ufe0f? \S+|\[[+−\d][^\]]*\],?|(?:[≥≤] )?[+−]?\d[\d.,]*(?: (?:pp|ms|s|MB|GB|kB|%),?)?(?!\S)|\S+"
)  # what is never broken: an interval, a number
_LEAST = 14
ROWS = 10  # of one table; a table of a hundred slices would scroll the verdict away

Span = tuple[str, str]  # style, text


def terminal(markdown: str, *, width: int = 100, color: bool = False) -> str:
    """The comment's Markdown for a terminal of `width` columns.

    color: it is one that shows colours and bold: rendered, tables cut to the width. Otherwise it stays Markdown (for a log,
    a file, a pipe), folds opened and tables aligned. Text from users has no control characters any more (see escape.py).
    """
    opened = _OURS.sub("", _FOLD.sub(r"**\1**", markdown))
    opened = re.sub(r"\n{3,}", "\n\n", opened.replace("\u00a0", " ")).strip() + "\n"
    if not color:
        return "\n".join(_blocks(opened, _columns, lambda line: [line], lambda line: [line])).rstrip("\n") + "\n"
    drawn = _blocks(
        opened.replace("\u200b", ""),
        lambda table: _drawn(table, width),
        lambda line: _wrapped(line, width),
        lambda line: [] if line.lstrip().startswith("```") else [f"  {CODE}{line}{END}"],
    )
    return "\n".join(drawn).rstrip("\n") + "\n"


def _blocks(
    markdown: str, table: Callable[[list[str]], list[str]], text: Callable[[str], list[str]], fenced: Callable[[str], list[str]]
) -> Iterator[str]:
    rows, fence = list[str](), ""
    for line in [*markdown.splitlines(), ""]:
        marks = re.match(r" *(`{3,})", line)
        if fence or marks:
            yield from table(rows)
            yield from fenced(line)
            rows, fence = [], ("" if marks and fence == marks[1] else fence or (marks[1] if marks else ""))
        elif line.startswith("|"):
            rows.append(line)
        else:
            yield from table(rows)
            yield from text(line)
            rows = []


def _cells(table: list[str]) -> tuple[list[list[str]], list[bool]]:
    cells = [[cell.strip() for cell in _CELL.split(line)[1:-1]] for line in table]
    return [row for n, row in enumerate(cells) if n != 1], [rule.endswith(":") and not rule.startswith(":") for rule in cells[1]]


def _columns(table: list[str]) -> list[str]:
    """The same table in columns; still Markdown."""
    if len(table) < 2:
        return table
    cells, right = _cells(table)
    widths = [max(3, *(columns(row[i]) for row in cells)) for i in range(len(right))]
    lines = [
        "| " + " | ".join(_padded(cell, columns(cell), w, r) for cell, w, r in zip(row, widths, right, strict=True)) + " |" for row in cells
    ]
    rule = "| " + " | ".join("-" * (w - 1) + ":" if r else ":" + "-" * (w - 1) for w, r in zip(widths, right, strict=True)) + " |"
    return [lines[0], rule, *lines[1:]]


def _drawn(table: list[str], width: int) -> list[str]:
    """The table rendered: header dim; where it would be too wide, cells go on below, and names are cut but numbers never."""
    if len(table) < 2:
        return table
    cells, right = _cells(table)
    left = len(cells) - 1 - ROWS if len(cells) - 1 > ROWS + 2 else 0
    spans = [[list(_spans(cell)) for cell in row] for row in (cells[: ROWS + 1] if left else cells)]
    widths = _widths(spans, right, width)
    lines = []
    for n, row in enumerate(spans):
        folded = [[_cut(line, w) for line in _folded(cell, w)] for cell, w in zip(row, widths, strict=True)]
        for at in range(max(map(len, folded))):
            parts = [(cell[at] if at < len(cell) else [], w, r) for cell, w, r in zip(folded, widths, right, strict=True)]
            lines.append("  ".join(_padded(_styled(one, "" if n else DIM), _wide(one), w, r) for one, w, r in parts).rstrip())
    return [*lines, *([f"{DIM}… {left:,} more rows are in .mlops/comment.md{END}"] if left else [])]


def _widths(rows: Sequence[Sequence[Sequence[Span]]], right: Sequence[bool], width: int) -> list[int]:
    """How wide each column is drawn: words give way first, numbers only as far as they stay whole."""
    widths = [max((_wide(row[i]) for row in rows), default=0) for i in range(len(right))]
    whole = [max((columns(part) for row in rows for part in _parts(row[i])), default=0) for i in range(len(right))]
    least = [most if is_number else min(now, _LEAST) for now, most, is_number in zip(widths, whole, right, strict=True)]
    for may in ([i for i, is_number in enumerate(right) if not is_number], range(len(right))):
        while sum(widths) + 2 * len(widths) - 2 > width and (wide := [i for i in may if widths[i] > least[i]]):
            widths[max(wide, key=lambda i: widths[i])] -= 1
    return widths


def _parts(spans: Sequence[Span]) -> list[str]:
    return _WHOLE.findall("".join(text for _, text in spans))


def _folded(spans: Sequence[Span], width: int) -> list[list[Span]]:
    """The cell in lines of this width, broken between what is to stay whole."""
    if _wide(spans) <= width:
        return [list(spans)]
    lines, used = [list[Span]()], 0
    for style, text in spans:
        for part in _WHOLE.findall(text):
            gap = " " if used else ""
            if used and used + 1 + columns(part) > width:
                lines, used, gap = [*lines, []], 0, ""
            lines[-1].append((style, gap + part))
            used += columns(gap + part)
    return lines


def _padded(cell: str, wide: int, width: int, right: bool) -> str:
    space = " " * (width - wide)
    return space + cell if right else cell + space


def _spans(text: str) -> Iterator[Span]:
    at = 0
    for found in _INLINE.finditer(text):
        if found.start() > at:
            yield "", text[at : found.start()]
        at = found.end()
        if found["code"] is not None:
            yield CODE, found["code"].strip().replace("\\|", "|")
        elif found["bold"] is not None:
            yield BOLD, found["bold"]
        elif found["url"] is not None:
            yield "", re.sub(r"\\(.)", r"\1", found["text"]) + (": " if found["text"] else "")
            yield LINK, found["url"]
        else:
            yield "", found["char"] or "&"
    if at < len(text):
        yield "", text[at:]


def _wide(spans: Sequence[Span]) -> int:
    return sum(columns(text) for _, text in spans)


def _cut(spans: Sequence[Span], width: int) -> list[Span]:
    if _wide(spans) <= width:
        return list(spans)
    kept, left = list[Span](), width - 1
    for style, text in spans:
        fits = ""
        for char in text:
            left -= columns(char)
            if left < 0:
                return [*kept, (style, fits + "…")]
            fits += char
        kept.append((style, fits))
    return kept


def _styled(spans: Sequence[Span], over: str = "") -> str:
    return "".join(f"{style or over}{text}{END}" if (style or over) and text else text for style, text in spans)


def _wrapped(line: str, width: int) -> list[str]:
    """A paragraph or list item, broken between words."""
    bullet = re.match(r"( *)- ", line)
    first = f"{bullet[1]}• " if bullet else ""
    body = line[bullet.end() :] if bullet else line
    words = [(style, word) for style, text in _spans(body) for word in re.split(r"(?<= )", text) if word]
    lines, current, used = list[str](), list[Span](), len(first)
    for style, word in words:
        if used + columns(word.rstrip()) > width and current:
            lines.append(_styled(current).rstrip())
            current, used = [], len(first)
        current.append((style, word))
        used += columns(word)
    lines.append(_styled(current))
    return [first + lines[0], *(" " * len(first) + rest for rest in lines[1:])]


def columns(text: str) -> int:
    """How many columns of a terminal the text takes."""
    wide = 0
    for char in text:
        if char == "\ufe0f":  # makes the sign before it an emoji, two columns wide
            wide += 1
        elif unicodedata.category(char) not in ("Cf", "Mn", "Me"):
            wide += 2 if unicodedata.east_asian_width(char) in "WF" else 1
    return wide
