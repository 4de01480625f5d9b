"""What was verified, as lines for people and as a document."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from mlops_toolkit.report.escape import plain
from mlops_toolkit.supply.decide import Row, refused, told
from mlops_toolkit.supply.facts import Facts

SIGNS = {"ok": "✓", "said": "⚠", "unproven": "○", "refused": "✗"}
LONGEST = 400


def lines(facts: Facts, rows: Sequence[Row], *, width: int = 100) -> list[str]:
    """A line a check, below it why it matters (and, of what is refused, what to do), and what all of it comes to."""
    made = [plain(facts.asked, LONGEST), *([] if facts.digest in facts.asked else [f"now {facts.digest}"]), ""]
    wide = max(len(row.what) for row in rows)
    for row in rows:
        made += _wrapped(f"{SIGNS[row.mark]} {row.what:<{wide}}  ", plain(row.text, LONGEST), width)
        made += _wrapped(" " * (wide + 4), row.why, width)
        if row.refusal is not None:
            hint = f"{row.refusal.name}: {plain(row.refusal.hint, LONGEST)}" if row.refusal.hint else row.refusal.name
            made += _wrapped(" " * (wide + 4) + "→ ", hint, width)
    return [*made, "", sentence(facts, rows)]


def _wrapped(start: str, text: str, width: int) -> list[str]:
    return textwrap.wrap(text, max(width, len(start) + 20), initial_indent=start, subsequent_indent=" " * len(start)) or [start.rstrip()]


def sentence(facts: Facts, rows: Sequence[Row]) -> str:
    """What all of it comes to."""
    wrong = refused(rows)
    if wrong:
        return f"refused: {', '.join(dict.fromkeys(error.name for error in wrong))}"
    if facts.key is None:
        return "nothing is wrong, but what is marked ○ is not proven: whoever may write to the registry may attach it (--key cosign.pub checks it)"
    return "verified"


def document(facts: Facts, rows: Sequence[Row]) -> dict[str, Any]:
    """For --json. verified: nothing is refused; proven: and a key signed what is said."""
    wrong = refused(rows)
    return {
        "schema": 1,
        "image": facts.asked,
        "repository": facts.name,
        "digest": facts.digest,
        "form": facts.form,
        "model": facts.model,
        "key": facts.key,
        "says": {name: plain(text, LONGEST) for name, text in told(facts).items()},
        "verified": not wrong,
        "proven": not wrong and facts.key is not None,
        "checks": [
            {"check": row.what, "mark": row.mark, "text": plain(row.text, LONGEST), "error": row.refusal.name if row.refusal else None}
            for row in rows
        ],
        "errors": [{"name": error.name, "message": plain(error.message, LONGEST), "hint": error.hint} for error in wrong],
        "sentence": sentence(facts, rows),
    }
