"""What the comment says of the luck of training: what was counted, and of which seed the examples and charts are. Plain text."""

from __future__ import annotations

from mlops_toolkit.records.result import Check, Result, name_of
from mlops_toolkit.report import words

NOT_INCLUDED = "the luck of training is not included: neither run was trained with several seeds, nor was an earlier one on this line"
QUIET = "Training noise is not included: it was these very models that were compared."


def notes(result: Result) -> list[str]:
    """Sentences for the notes; none where the very model was judged."""
    luck = result.training
    if luck.scope == "artifact" or result.error is not None or result.baseline.state == "same-model":
        return []
    if luck.source is None:
        return [NOT_INCLUDED] if any(check.low is not None or _own(check) for check in result.checks) else []
    left = [check for check in result.checks if _left_out(check)]
    said = _counted(result)
    if luck.alike:
        whose = " and ".join({"baseline": "the baseline's trainings", "head": "this run's trainings"}[side] for side in luck.alike)
        said.append(f"{whose} all gave the very same answers: where the training does not read $MLOPS_SEED, its luck is not counted")
    if left:
        said.append(f"the luck of training is not included in: {words.listed([name_of(check) for check in left], most=6)}")
    return said


def _own(check: Check) -> bool:
    """Whether the head's own value is judged by an interval."""
    return check.head_low is not None and not (check.min is None and check.max is None)


def _left_out(check: Check) -> bool:
    """Whether a change is shown with an interval in which the luck of training is not counted."""
    return check.kind == "metric" and check.low is not None and check.training is None and check.method != "exact"


def _counted(result: Result) -> list[str]:
    luck = result.training
    if luck.source == "history":
        what = "one training a side is compared" if luck.seeds[0] else "one training is judged"
        return [
            f"{what}: how far the luck of training moves a metric is known from {'runs' if ' and ' in (luck.run or '') else 'run'} {luck.run}, and counted"
        ]
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
