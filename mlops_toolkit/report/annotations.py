"""The verdict as lines for the CI's log and the diff view: at most ten of a level are shown, so the worst come first."""

from dataclasses import dataclass
from typing import Literal

from mlops_toolkit.records.result import Result
from mlops_toolkit.report import escape, rows
from mlops_toolkit.report.comment import title
from mlops_toolkit.report.sentence import detailed, verdict_sentence

MOST, LONGEST = 10, 1_000


@dataclass(frozen=True)
class Annotation:
    """One line; message and title are plain text without control characters."""

    level: Literal["error", "warning", "notice"]
    message: str
    title: str
    file: str | None = None
    line: int | None = None


def annotations(result: Result) -> tuple[Annotation, ...]:
    """The sentence of the whole (error, warning or notice), then each worse or undecided check, and each broken warning, worst first."""
    name = escape.plain(title(result), 80) or "mlops"
    tone = rows.tone(result)
    level: Literal["error", "warning", "notice"] = "error" if tone == "bad" else "warning" if tone == "ask" else "notice"
    made = [Annotation(level, escape.plain(result.sentence or verdict_sentence(result), LONGEST), name, result.config)]
    for row in rows.ordered(result.checks, result.policy):
        warns = row.check.severity == "warn" and row.check.verdict == "fail"
        if row.tone in ("bad", "ask") or warns:
            why = f": {row.why}" if row.why else ""
            message = escape.plain(f"{detailed(row)} {row.word}{why}", LONGEST)
            made.append(
                Annotation("error" if row.tone == "bad" else "warning", message, f"{name}: {escape.plain(row.name, 80)}", result.config)
            )
    return tuple(a for level in ("error", "warning", "notice") for a in [x for x in made if x.level == level][:MOST])
