"""What the comment says of the luck of training: what was counted, and of which seed the examples and charts are. Plain text."""

from __future__ import annotations

from mlops_toolkit.records.result import Result
from mlops_toolkit.report import words

NOT_INCLUDED = "the luck of training is not included: neither run was trained with several seeds, nor was an earlier one on this line"
QUIET = "Training noise is not included: it was these very models that were compared."


def notes(result: Result) -> list[str]:
    """Sentences for the notes; none where the very model was judged."""
    luck = result.training
    if luck.scope == "artifact" or result.error is not None or result.baseline.state == "same-model":
        return []
    if luck.source is None:
        return [NOT_INCLUDED] if any(check.low is not None for check in result.checks) else []
    if luck.source == "history":
        return [f"one training a side: how far the luck of training moves a metric is known from run {luck.run}, and counted"]
    base, head = luck.seeds
    if luck.paired:
        said = f"{words.count(len(head), 'training')} a side, paired by seed ({_seeds(head)}): numbers are means, intervals count the luck of training"
        said += f"; left out, as only one side has them: {_seeds(luck.left_out)}" if luck.left_out else ""
    elif not base:
        said = f"{words.count(len(head), 'training')} (seeds {_seeds(head)}): numbers are means, intervals count the luck of training"
    else:
        said = f"{words.count(len(base), 'training')} of the baseline (seeds {_seeds(base)}) and {len(head)} of this run ({_seeds(head)}), not paired"
        said += ": numbers are means, intervals count the luck of training"
        said += ", of which the single one is taken to have as much" if 1 in (len(base), len(head)) else ""
    what = "examples, charts and discovered slices" if result.discovered.found else "examples and charts"
    return [said, f"{what} are of seed {head[0]}"]


def quiet(result: Result) -> str | None:
    """A clause beside what an interval is, where the luck of training is in none."""
    shown = any(check.low is not None for check in result.checks)
    return QUIET if shown and result.training.scope == "artifact" and result.baseline.state != "same-model" else None


def _seeds(seeds: tuple[int, ...]) -> str:
    return words.listed([str(seed) for seed in seeds], most=10)
