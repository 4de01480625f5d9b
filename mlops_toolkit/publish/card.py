"""The model card: what a published model is, how good, where not, what it cost and where it comes from, as Markdown from the record alone. Pure.

The same text lies in the image and stands in the release, so nothing of the image itself (its digest, its tags) is in it. All text that is
not ours is escaped; every list has an end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

from mlops_toolkit.formats.manifest import Manifest
from mlops_toolkit.formats.signature import Tensor
from mlops_toolkit.models.base import short
from mlops_toolkit.publish.policy import Judged, Ruling
from mlops_toolkit.records.result import Check
from mlops_toolkit.records.run import Measure, MetricValue, Run
from mlops_toolkit.report import rows, training, words
from mlops_toolkit.report.escape import address, code, inline

FILE = "model-card.md"
MOST_ROWS, MOST_SLICES, MOST_PARAMS, MOST_LABELS = 40, 12, 40, 12
WATT_HOUR = 3600.0  # joules
CONFIDENCE = 0.95  # of an interval that is made here from a standard error


@dataclass(frozen=True)
class Previous:
    """The release before this one. name: what it was released as; url: its release's page, where there is one."""

    run: Run
    name: str
    url: str | None = None


@dataclass(frozen=True)
class Facts:
    """Everything that a card is made of.

    served      the manifest of the model's folder, None of a model that mlops.save did not write
    repository  the repository's page in a browser, None where there is none
    """

    judged: Judged
    ruling: Ruling
    served: Manifest | None = None
    previous: Previous | None = None
    repository: str | None = None

    @property
    def run(self) -> Run:
        return self.judged.run


def card(facts: Facts, *, level: int = 1) -> str:
    """The card. level: of its title, so that it can stand within another text."""
    title = "#" * level
    parts = [f"{title} {inline(facts.run.model, 100)}", _summary(facts)]
    for name, made in (
        ("How good it is", _metrics(facts)),
        ("Where it is worst", _slices(facts)),
        ("Limits", _limits(facts)),
        ("What goes in and comes out", _signature(facts.served)),
        ("What it was made of", _made(facts)),
        ("What it cost", _cost(facts)),
        ("Where it comes from", _lineage(facts)),
    ):
        if made:
            parts.append(f"{title}# {name}\n\n{made}")
    return "\n\n".join(parts) + "\n"


def _summary(facts: Facts) -> str:
    run, ruling = facts.run, facts.ruling
    gate = {
        "passed": "✅ its gate passed",
        "accepted": "✅ its gate passed, with what was said yes to",
        "undecided": "➖ its gate let it through with checks that are not decided",
        "ungated": "ℹ️ ungated",
        "overridden": "⚠️ published against its gate",
    }[ruling.word]
    who = f" by {inline(ruling.override.by, 100)}: {inline(ruling.override.reason, None)}" if ruling.override else ""
    said = f" · {inline(ruling.sentence, 400)}" if ruling.sentence else ""
    trained = f"Trained {words.date(run.started)}" if run.status != "reused" else f"Recorded {words.date(run.started)}"
    kind = f" {inline(_kind(facts.served), 80)}," if facts.served else ""
    size = f"{kind} {words.size(run.trained.size)}" if run.trained else kind.rstrip(",")
    commit = _commit(run.commit, facts.repository)
    return f"**{gate}{who}**{said}\n\n{trained} from {commit}, run {code(run.id)}{f':{size}' if size else ''}."


def _kind(served: Manifest | None) -> str:
    if served is None:
        return ""
    framework = f"{served.framework.get('name', '')} {served.framework.get('version', '')}".strip()
    form = "its own predict.py" if served.served.format == "handler" else served.served.format
    return f"{framework or served.native.format}, served by {form}"


def _commit(commit: str | None, repository: str | None) -> str:
    shown = code(words.short(commit) or "no commit")
    target = address(f"{repository}/commit/{commit}") if repository and commit and commit.isalnum() else None
    return f"[{shown}]({target})" if target else shown


# ── how good ──────────────────────────────────────────────────────────


def _metrics(facts: Facts) -> str:
    result, run = facts.judged.result, facts.run
    checks = {check.metric: check for check in rows.mine(result) if check.slice is None and not check.warning} if result else {}
    head = "| metric | value | 95 % interval | n | against the baseline | allowed | |\n|---|---:|---|---:|---|---|---|"
    lines = [_metric(name, metric, checks.get(name), result.policy if result else "ask") for name, metric in run.metrics.items()]
    lines += [_measure(name, measure, checks.get(name), result.policy if result else "ask") for name, measure in run.measures.items()]
    if not lines:
        return ""
    cut = [f"| … {len(lines) - MOST_ROWS} more | | | | | | |"] if len(lines) > MOST_ROWS else []
    suites = [_suite(name, one.data.n, one.data.task, one.data.digest) for name, one in sorted(run.evaluations.items()) if one.data]
    beside = f"Compared with {_baseline(facts)}." if result and result.baseline.run else ""
    return "\n".join([*suites, *([beside] if beside else []), *([""] if suites or beside else []), head, *lines[:MOST_ROWS], *cut])


def _suite(name: str, n: int, task: str | None, digest: str) -> str:
    what = f"{inline(name, 60)}: " if name else "Measured on "
    kind = f" of {inline(task, 40)}" if task else ""
    return f"{what}{words.count(n, 'example')}{kind}, data {code(short(digest))}."


def _baseline(facts: Facts) -> str:
    side = facts.judged.result.baseline if facts.judged.result else None
    name = inline((side.label if side else None) or "the baseline", 60)
    return f"{name} ({_commit(side.commit, facts.repository)})" if side and side.commit else name


def _metric(name: str, metric: MetricValue, check: Check | None, policy: str) -> str:
    value, interval = _numbers(metric, check, check.unit if check else "")
    return _row(name, value, interval, f"{metric.n:,}", check, policy)


def _measure(name: str, measure: Measure, check: Check | None, policy: str) -> str:
    mean = sum(measure.values) / len(measure.values) if measure.values else None
    times = f"{len(measure.values):,} values" if len(measure.values) > 1 else ""
    return _row(name, inline(words.value(mean, measure.unit or (check.unit if check else ""))), "", times, check, policy)


def _row(name: str, value: str, interval: str, n: str, check: Check | None, policy: str) -> str:
    row = rows.row(check, policy) if check else None
    change = row.change if row and check and check.change is not None else ""
    allowed, word = (row.allowed, f"{row.icon} {row.word}") if row else ("", "")
    return f"| {inline(name)} | {value} | {interval} | {n} | {inline(change)} | {inline(allowed)} | {inline(word)} |"


def _slices(facts: Facts) -> str:
    """The slices that lie furthest below the whole, by the first metric that they have."""
    run, result = facts.run, facts.judged.result
    first = next((name for name in run.metrics if any(name in values for values in run.slices.values())), None)
    if first is None:
        return ""
    whole, unit = run.metrics[first], _unit(facts, first)
    checks = {check.slice: check for check in rows.mine(result) if check.metric == first and not check.warning} if result else {}
    sign = 1 if whole.direction == "higher" else -1
    found = [(name, values[first]) for name, values in run.slices.items() if first in values and values[first].value is not None]
    found.sort(key=lambda item: (sign * (item[1].value or 0.0), item[0]))

    def line(shown: str, name: str | None, metric: MetricValue) -> str:
        value, interval = _numbers(metric, checks.get(name), unit)
        return f"| {shown} | {value} | {interval} | {metric.n:,} |"

    lines = [line(inline(name), name, metric) for name, metric in found[:MOST_SLICES]]
    rest = f"\n\nand {words.count(len(found) - MOST_SLICES, 'slice')} more." if len(found) > MOST_SLICES else ""
    head = f"| slice | {inline(first)} | 95 % interval | n |\n|---|---:|---|---:|"
    return "\n".join([head, *lines, line("*all*", None, whole)]) + rest


def _numbers(metric: MetricValue, check: Check | None, unit: str) -> tuple[str, str]:
    """A value and its interval: as the gate had it, else from its standard error."""
    low, high = (check.head_low, check.head_high) if check else (None, None)
    if (low is None or high is None) and metric.value is not None and metric.standard_error:
        half = NormalDist().inv_cdf((1 + CONFIDENCE) / 2) * metric.standard_error
        low, high = metric.value - half, metric.value + half
    value = words.value(metric.value, unit, low=low, high=high) if metric.value is not None else metric.state
    interval = "" if low is None else f"{words.value(low, unit, low=low, high=high)} to {words.value(high, unit, low=low, high=high)}"
    return inline(value, 60), inline(interval)


def _unit(facts: Facts, metric: str) -> str:
    """A metric's unit, as its check says it."""
    return next((check.unit for check in (facts.judged.result.checks if facts.judged.result else ()) if check.metric == metric), "")


# ── what is not known, what goes in, what it is made of ───────────────


def _limits(facts: Facts) -> str:
    ruling, result = facts.ruling, facts.judged.result
    said = [f"Not decided: {one}" for one in ruling.undecided]
    said += [f"Said yes to: {one}" for one in ruling.accepted]
    said += [f"Published although {one}" for one in ruling.overridden]
    said += ruling.notes
    if result is not None:
        said += training.notes(result)
        worst = result.discovered.found[:3]
        said += [
            f"Worse than before where {' and '.join(f'{column} is {value}' for column, value in one.where.items())}: "
            f"{one.metric} {words.change(one.change, one.low, one.high, one.unit)} on {words.count(one.n, 'example')} (found by searching)"
            for one in worst
        ]
    return _listed(said, MOST_ROWS)


def _listed(sentences: Sequence[str], most: int) -> str:
    lines = [f"- {inline(text[:1].upper() + text[1:], 400, starts=True)}" for text in sentences[:most]]
    return "\n".join(lines + ([f"- … {len(sentences) - most} more"] if len(sentences) > most else []))


def _signature(served: Manifest | None) -> str:
    if served is None:
        return ""
    lines = [f"| {which} | {_tensor(one)} |" for which, one in _tensors(served)]
    return "\n".join(["| | name | type | unit | labels |\n|---|---|---|---|---|", *lines[:MOST_ROWS]])


def _tensors(served: Manifest) -> Iterator[tuple[str, Tensor]]:
    yield from (("in", one) for one in served.signature.inputs)
    yield from (("out", one) for one in served.signature.outputs)


def _tensor(one: Tensor) -> str:
    labels = words.listed([inline(label, 40) for label in one.labels or ()], most=MOST_LABELS)
    return f"{inline(one.name)} | {inline(one.text)} | {inline(one.unit or '', 20)} | {labels}"


def _made(facts: Facts) -> str:
    run = facts.run
    told: dict[str, str | None] = {
        "code": f"{run.commit or 'no commit'}{f' on {run.branch}' if run.branch else ''}",
        "model": run.trained.digest if run.trained else None,
        "training inputs": run.fingerprints.train,
        "seed": None if run.seed is None else str(run.seed),
        "Python": run.environment.python,
        "packages": run.environment.packages or run.environment.lock,
        "GPU": run.environment.gpu,
        "served with": ", ".join(facts.served.runtime) if facts.served and facts.served.runtime else None,
        "trained elsewhere": run.elsewhere.uri if run.elsewhere else None,
    }
    lines = [f"| {name} | {code(text, 200, cell=True)} |" for name, text in told.items() if text]
    params = [f"| {code(name, cell=True)} | {code(str(value), 120, cell=True)} |" for name, value in _flat(run.params)]
    more = f"\n\n{len(params) - MOST_PARAMS} parameters more are in the record." if len(params) > MOST_PARAMS else ""
    table = "\n".join(["| | |\n|---|---|", *lines])
    return table + ("\n\n" + "\n".join(["| parameter | value |\n|---|---|", *params[:MOST_PARAMS]]) + more if params else "")


def _flat(params: Mapping[str, object], prefix: str = "") -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []
    for name, value in params.items():
        path = f"{prefix}{name}"
        found += _flat(value, f"{path}.") if isinstance(value, Mapping) and value else [(path, value)]
    return found


def _cost(facts: Facts) -> str:
    took, run = facts.run.resources, facts.run
    told = [
        ("time", words.seconds(took.wall_seconds) if took.wall_seconds is not None else None),
        ("GPU time", words.seconds(took.gpu_seconds) if took.gpu_seconds else None),
        ("memory at most", words.size(took.peak_memory) if took.peak_memory else None),
        ("energy", f"{words.trimmed(took.energy_joules / WATT_HOUR / 1000, 3)} kWh" if took.energy_joules else None),
        ("trainings", f"{run.trainings} of the same inputs" if run.trainings > 1 else None),
        ("candidates", f"chosen from {run.elsewhere.tried}" if run.elsewhere and run.elsewhere.tried > 1 else None),
    ]
    return "\n".join(f"- {name}: {inline(text)}" for name, text in told if text)


# ── where from ────────────────────────────────────────────────────────


def _lineage(facts: Facts) -> str:
    before = facts.previous
    if before is None:
        return "It is the first release of this model."
    name = inline(before.name, 80)
    target = address(before.url) if before.url else None
    shown = f"[{name}]({target})" if target else name
    said = f"The release before it is {shown} (run {code(before.run.id)} of {_commit(before.run.commit, facts.repository)})."
    same = before.run.trained and facts.run.trained and before.run.trained.digest == facts.run.trained.digest
    if same:
        return f"{said} It is the very same model."
    lines = [line for metric, now in facts.run.metrics.items() if (line := _moved(metric, before.run.metrics.get(metric), now, facts))]
    other = [metric for metric in facts.run.metrics if metric not in before.run.metrics]
    new = f"\n\nNot measured then: {words.listed([inline(one) for one in other], most=8)}." if other else ""
    return (
        f"{said}\n\n" + "\n".join(["| metric | then | now | change |\n|---|---:|---:|---:|", *lines[:MOST_ROWS]]) + new
        if lines
        else said + new
    )


def _moved(name: str, then: MetricValue | None, now: MetricValue, facts: Facts) -> str | None:
    if then is None or then.value is None or now.value is None:
        return None
    unit = _unit(facts, name)
    differs = then.signature != now.signature or _data(facts.run) != _data(facts.previous.run if facts.previous else facts.run)
    change = "measured otherwise" if differs else words.change(now.value - then.value, None, None, unit)
    return f"| {inline(name)} | {inline(words.value(then.value, unit))} | {inline(words.value(now.value, unit))} | {inline(change)} |"


def _data(run: Run) -> Mapping[str, str]:
    return {suite: one.data.digest for suite, one in run.evaluations.items() if one.data}
