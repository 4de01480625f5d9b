"""The job's summary page: the comment, folds opened one step further, within GitHub's limit of 1 MiB."""

from __future__ import annotations

from collections.abc import Mapping

from mlops_toolkit.records.result import Result
from mlops_toolkit.report.comment import comment

LIMIT = 1 << 20
_EXAMPLES = 50
_CUT = "\n\n…the rest is in the report page.\n"


def summary(result: Result, *, chart_urls: Mapping[str, str] | None = None, explained: str | None = None) -> str:
    """The comment's Markdown with up to 50 examples listed, at most 1 MiB of UTF-8, cut between blocks."""
    made = comment(result, chart_urls=chart_urls, examples=_EXAMPLES, explained=explained)
    text, left = made.verdict_line, LIMIT - len(made.verdict_line.encode()) - len(_CUT.encode())
    for block in made.blocks:
        left -= len(block.encode()) + 2
        if left < 0:
            return text + _CUT
        text += f"\n\n{block}"
    return text + "\n"
