"""The last that a release said before it was taken back, for people: somebody else's text, bounded, one line each, and nothing that commands a terminal. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence

LINES, LETTERS = 12, 300
READ = 60  # lines that these are found among: questions about its health are no news
_ASKED = ("/v2/health/", "/metrics")


def last(lines: Sequence[str], most: int = LINES) -> list[str]:
    """Of a log, the last lines that tell something: messages of its JSON lines, with the end of what was raised, and other lines as they are."""
    found: list[str] = []
    for line in reversed(lines):
        if len(found) >= most:
            break
        text = _clean(_message(line))
        if text and not (found and found[-1] == text):
            found.append(text)
    return found[::-1]


def _message(line: str) -> str:
    try:
        told = json.loads(line, strict=False)
    except (ValueError, RecursionError):
        return line
    if not isinstance(told, dict):
        return line
    message = str(told.get("message") or "")
    if any(one in message for one in _ASKED):
        return ""
    raised = [one for one in str(told.get("error.stack_trace") or "").splitlines() if one.strip()]
    why = str(told.get("error.message") or "") or (raised[-1] if raised else "")
    return message if not why or why in message else f"{message} ({why.strip()})"


def _clean(text: str) -> str:
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return line if len(line) <= LETTERS else line[: LETTERS - 1] + "…"
