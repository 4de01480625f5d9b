"""The job's summary page: the comment, folds opened one step further, within GitHub's limit of 1 MiB."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mlops_toolkit.records.result import Result
from mlops_toolkit.report.comment import EXPLAINED, comment
from mlops_toolkit.report.escape import fenced, inline

LIMIT = 1 << 20
_EXAMPLES = 50
_CUT = "\n\n…the rest is in the report page.\n"


def summary(
    result: Result,
    *,
    chart_urls: Mapping[str, str] | None = None,
    explained: str = EXPLAINED,
    troubles: Sequence[tuple[str, str | None]] = (),
) -> str:
    """The comment's Markdown with up to 50 examples listed, at most 1 MiB of UTF-8, cut between blocks.

    troubles: what could not be posted or kept, and each one's way out; they stand below the first line, where they are seen.
    """
    made = comment(result, chart_urls=chart_urls, examples=_EXAMPLES, explained=explained)
    text, left = made.verdict_line, LIMIT - len(made.verdict_line.encode()) - len(_CUT.encode())
    reasons = [f"⚠️ {inline(reason, None)}" for reason, _ in troubles]
    hints = [fenced(hint) for hint in dict.fromkeys(hint for _, hint in troubles if hint)]
    for block in [*reasons, *hints, *made.blocks]:
        left -= len(block.encode()) + 2
        if left < 0:
            return text + _CUT
        text += f"\n\n{block}"
    return text + "\n"
