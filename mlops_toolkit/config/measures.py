"""Which direction of a number is better, as far as its name tells: a table, never a guess.

A name's *head* is its last word once units, statistics and cut-offs are taken off (`val_latency_p95_ms` -> latency,
`precision@10` -> precision). The head is in the table or the direction is None and the user must say it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from mlops_toolkit.config.metrics_known import FAMILIES
from mlops_toolkit.config.quantities import Better

if TYPE_CHECKING:
    from mlops_toolkit.config.schema import Config


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_TIME = "latency time duration runtime"
_TIME_UNITS = _words("ns us ms sec secs second seconds millisecond milliseconds microseconds minutes hours")
_COUNTED = _words("tokens examples samples rows images requests frames steps queries items words documents predictions")

LOWER = _words(
    f"{_TIME} size parameters params memory cost price energy power flops gflops macs error errors loss wer cer ter mer perplexity ppl"
    " mse rmse mae mape smape logloss nll brier ece fid crossentropy misclassification"
)
HIGHER = _words(
    "accuracy acc precision recall sensitivity specificity f1 f2 fbeta auc auroc auprc rocauc ap map ndcg mrr bleu sacrebleu chrf rouge rouge1"
    " rouge2 rougel rougelsum meteor bertscore iou miou dice psnr ssim throughput qps rps fps r2 kappa mcc hit success win exactmatch em"
)
# Two words that mean something else than the last one alone.
_PAIRS: dict[str, Better] = {
    "log-loss": "lower",
    "exact-match": "higher",
    "cross-entropy": "lower",
    "roc-auc": "higher",
    "pr-auc": "higher",
}
# They differ between two measurements of the same thing: one number of these does not show a change.
NOISY = _words(f"{_TIME} memory cost price energy power throughput qps rps fps")
# Taken off the end of a name before its head is read.
_SUFFIXES = _TIME_UNITS | _words(
    "kb mb gb kib mib gib bytes usd eur joules watts mean avg average median total max peak rate score macro micro weighted l k percent pct"
    " count"
)
_STATISTIC = re.compile(r"p\d{1,3}|top|at|\d+k?")
_OF_A_LIST = re.compile(r"(?:p(?P<percent>\d{1,2}(?:\.\d{1,3})?)|mean):(?P<name>.+)")
# Measures that every run has without anybody's doing: name -> (unit, whether measuring again gives another number).
BUILT_IN: Mapping[str, tuple[str, bool]] = {
    "model-size-mb": ("MB", False),
    "parameters": ("", False),
    "peak-memory-mb": ("MB", True),
    "training-seconds": ("s", True),
}
_TASKS: frozenset[str] = frozenset(name for name, row in FAMILIES.items() if row.fraction)
_FRACTIONS = _words("accuracy acc precision recall sensitivity specificity f1 auc auroc auprc ap map iou miou dice r2 mcc kappa")


def direction(name: str, config: Config | None = None) -> Better | None:
    """Which direction of the metric or measure `name` is better; None where neither the configuration nor the table says.

    The configuration comes first: `measures:`, the rule's own `better:`, the metric as it was requested.
    """
    if config is not None and (said := _said(name, config)):
        return said
    if (row := FAMILIES.get(name.partition(":")[0].rpartition("/")[2])) and row.better:
        return row.better
    plain = _plain(name)
    if "-per-" in plain:
        return _per(plain)
    for pair, better in _PAIRS.items():
        if plain == pair or plain.endswith(f"-{pair}"):
            return better
    head = _head(plain)
    if head in LOWER:
        return "lower"
    if head in HIGHER:
        return "higher"
    return "lower" if plain.rpartition("-")[2] in _TIME_UNITS else None


def statistic(key: str) -> tuple[str, float | None] | None:
    """What a gate's key asks of a measure that is a list: `p95:latency-ms` is (latency-ms, 0.95), `mean:latency-ms` (latency-ms, None)."""
    where, slash, short = key.rpartition("/")
    found = _OF_A_LIST.fullmatch(short)
    if found is None or (found["percent"] is not None and not 0 < float(found["percent"]) < 100):
        return None
    return where + slash + found["name"], None if found["percent"] is None else float(found["percent"]) / 100


def noisy(name: str) -> bool:
    """Whether one number of this name cannot show a change, because measuring again gives another (times, throughput, energy)."""
    plain = _plain(name)
    return _per(plain) is not None or _head(plain) in NOISY or plain.rpartition("-")[2] in _TIME_UNITS


def bounded_fraction(name: str) -> bool:
    """Whether the metric is a share, so that a change of 0.1 is a tenth of its range (accuracy, `recall:spam`, val_f1)."""
    return name.partition(":")[0].rpartition("/")[2] in _TASKS or _head(_plain(name)) in _FRACTIONS


def metric_direction(family: str) -> Better | None:
    """The direction of a metric family of `metrics_known`; None for an unknown one and where the user says it (mean, quantile)."""
    row = FAMILIES.get(family)
    return row.better if row else None


def _said(name: str, config: Config) -> Better | None:
    suite, _, rest = name.partition("/")
    inside = config.evaluate.suites.get(suite) if config.evaluate else None
    short = rest if inside else name
    rule = config.gate.get(name)
    said = config.measures.get(name) or config.measures.get(short) or (rule.better if rule else None)
    if said is None and (of := statistic(name)):
        of_list = config.gate.get(of[0])
        said = config.measures.get(of[0]) or (of_list.better if of_list else None)
    if said or config.evaluate is None:
        return said
    for request in (inside or config.evaluate).metrics:
        if request.name == short:
            return request.better or metric_direction(request.family)
    return None


def _plain(name: str) -> str:
    """The last part of a dotted or slashed name, in lower case with hyphens."""
    last = re.split(r"[/.:]", name)[-1] or name
    return re.sub(r"[^a-z0-9]+", "-", last.casefold()).strip("-")


def _head(plain: str) -> str:
    words = plain.split("-")
    while len(words) > 1 and (words[-1] in _SUFFIXES or _STATISTIC.fullmatch(words[-1])):
        words.pop()
    return words[-1]


def _per(plain: str) -> Better | None:
    """`tokens-per-second` is better higher, `seconds-per-token` and `cost-per-request` lower; None where it is no such name."""
    above, per, below = plain.partition("-per-")
    if not per:
        return None
    counted = above.rpartition("-")[2]
    if below.split("-")[0] in (*_TIME_UNITS, "s", "minute", "hour"):
        return "higher" if counted in _COUNTED else None
    return "lower" if counted in _TIME_UNITS or _head(above) in LOWER else None
