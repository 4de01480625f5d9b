"""Text from users, models and branches made harmless inside Markdown and HTML: it stays text, whatever it holds.

GitHub renders in two steps: Markdown to HTML, then over the text of that HTML mentions, issue numbers and emoji. The first
is stopped by backslashes, the second only by a character in between: a zero-width space (U+200B). Inside code spans the
second does not happen at all.
"""

from __future__ import annotations

import re
import unicodedata

LIMIT = 80
_GAP = "\u200b"
_ELLIPSIS = "…"
_OPEN, _CLOSE = "\u2068", "\u2069"
_KEPT = {"\u200d", "\ufe0f", _OPEN, _CLOSE}  # joins emoji, colours them; isolates
_DIRECTED = re.compile(
    "[\u0590-\u08ff\u2068\u2069\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]"
)  # where right-to-left letters are
_SPACES = re.compile(r"\s+")
_BREAKS = re.compile(r"\r\n|[\r\n\u0085\u2028\u2029]")
_LOUD = re.compile(r"[\\`*~|$]|<(?=[A-Za-z/!?])|\](?=[(\[:])|\[(?=\^)|(?<=!)\[|(?<![^\W_])_|_(?![^\W_])|&(?=#|\w)")
_QUIET = {"&": "&amp;", "$": "<span>$</span>"}  # two bare dollars would be a formula
_WORDS = re.compile(r"[\[\], ]+")
_OURS = re.compile(r"(?:[+−≥≤]?\d[\d.]*(?:e[+−-]?\d+)?|[+−≥≤]|[A-Za-zµ°%/]{1,12})?")
_START = re.compile(r"^(?:[-+=#:>\[]|\d{1,9}(?=[.)]))")


def clean(text: str, limit: int | None = LIMIT) -> str:
    """One line of visible characters, at most `limit` of them (the last an ellipsis; None: no limit). Cleaning twice changes nothing.

    Line breaks show as ↵; control characters, invisible ones (zero-width, bidirectional overrides, unassigned) as �;
    text with right-to-left letters is isolated, so that it cannot reorder what stands beside it.
    """
    if limit is not None:
        text = text[: 4 * limit + 16]  # a 10 MB cell is cut before it is looked at
    text = _BREAKS.sub("↵", text)
    text = _SPACES.sub(" ", text).strip(" ")
    if limit is not None and len(text) > limit:
        text = text[: limit - 1].rstrip() + _ELLIPSIS
    if not text.isprintable():
        text = "".join(c if c.isprintable() or c in _KEPT else "�" for c in text)
    return _isolated(text) if _DIRECTED.search(text) else text


def _isolated(text: str) -> str:
    """Right-to-left letters stand within isolates, and every isolate is closed."""
    depth, bare, out = 0, False, []
    for char in text:
        if char == _CLOSE and depth == 0:
            char = "�"
        depth += (char == _OPEN) - (char == _CLOSE)
        bare |= depth == 0 and unicodedata.bidirectional(char) in ("R", "AL")
        out.append(char)
    made = "".join(out) + _CLOSE * depth
    return f"{_OPEN}{made}{_CLOSE}" if bare else made


def _hush(text: str) -> str:
    """Stops what happens to text beside Markdown: mentions, issue numbers, links without brackets, emoji names, our own markers."""
    text = text.replace("<!--", f"<{_GAP}!--")
    text = re.sub(r"(@(?=\S)|#(?=\w))", rf"\1{_GAP}", text)  # behind an @ also a dot: `b@.a` would be an address of mail
    text = text.replace("://", f":{_GAP}//")
    text = re.sub(r"(?i)(mailto|xmpp|javascript|data):(?=\S)", rf"\1:{_GAP}", text)
    text = re.sub(r"(?i)www\.", lambda found: f"{found[0][:3]}{_GAP}.", text)
    text = re.sub(r"(?i)\bgh-(?=\d)", f"GH{_GAP}-", text)
    return re.sub(r":(?=[A-Za-z0-9_+-]+:)", f":{_GAP}", text)


def inline(text: str, limit: int | None = LIMIT, *, starts: bool = False) -> str:
    """Text for a paragraph, a list item or a table cell: no markup, no link, no mention, no cell border of its own.

    starts: it begins its line, where also a dash, a number or a bracket would mean something. Only what would mean
    something gets its backslash, so that the source stays readable too.
    """
    text = _LOUD.sub(lambda found: _QUIET.get(found[0], "\\" + found[0]), _hush(clean(text, limit)))
    if starts and (found := _START.match(text)):
        text = f"{found[0]}\\{text[found.end() :]}" if text[0].isdigit() else f"\\{text}"
    return text


def colon(escaped: str) -> str:
    """Escaped text with our colon behind it, which must not complete an emoji: `recall:cat:` would be one."""
    return f"{escaped}{_GAP}:" if re.search(r":[A-Za-z0-9_+-]+$", escaped) else f"{escaped}:"


def number(text: str) -> str:
    """A number in our own words, whose unit may be somebody's text: unbroken where it holds nothing else, else as `inline`."""
    return re.sub(r" (?![≥≤])", "\u00a0", text) if all(_OURS.fullmatch(word) for word in _WORDS.split(text)) else inline(text)


def code(text: str | None, limit: int | None = LIMIT, *, cell: bool = False) -> str:
    """Text as a code span; `cell`: inside a table cell, where a | needs its backslash even in code."""
    if text is None:
        return "*none*"
    text = clean(text, limit)
    if not text:
        return "*(empty)*"
    text = text.replace("<!--", f"<{_GAP}!--")
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    text = text.replace("|", "\\|") if cell else text
    return f"{fence}{pad}{text}{pad}{fence}"


def fenced(text: str, language: str = "") -> str:
    """Several lines as a code block whose fence nothing in the text can close; our own markers cannot be forged in it."""
    lines = [
        "".join(c if c.isprintable() or c in _KEPT else "�" for c in line.replace("\t", "    ")).rstrip()
        for line in _BREAKS.split(text.strip("\n"))
    ]
    body = "\n".join(lines).replace("<!--", f"<{_GAP}!--")
    longest = max((len(run) for run in re.findall(r"`+", body)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{body}\n{fence}"


def alt(text: str, limit: int = 400) -> str:
    """Text for the brackets of an image."""
    return re.sub(r"\\.|[\[\]^]", lambda found: found[0] if len(found[0]) == 2 else "\\" + found[0], inline(text, limit))


def address(url: str) -> str | None:
    """A link target made of harmless characters, or None where it is no http(s) address."""
    if not re.fullmatch(r"https?://[^\s<>\"'`\\|^{}\x00-\x1f]+", url):
        return None
    return url.replace("(", "%28").replace(")", "%29").replace("[", "%5B").replace("]", "%5D")


def plain(text: str, limit: int | None = None) -> str:
    """Text for logs, XML and status lines: one line, no control characters."""
    return clean(text, limit)
