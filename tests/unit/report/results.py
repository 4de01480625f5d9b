"""Results as they happen: a regression, a harmless change, an undecided one, a first run, an error, many slices, and a hostile one."""

from __future__ import annotations

import math
import random

from mlops_toolkit.records.result import (
    Charts,
    Check,
    Confusion,
    Curve,
    Difference,
    Example,
    Examples,
    Failure,
    MeasureRow,
    Needs,
    Next,
    Point,
    Result,
    Side,
)
from mlops_toolkit.report.sentence import verdict_sentence

MAIN = Side(commit="a1b2c3d4e5f60718293a4b5c6d7e8f9001122334", run="20261120-101500-a1b2c3", label="main", branch="main")
HEAD = Side(commit="9f8e7d6c5b4a39281706f5e4d3c2b1a099887766", run="20261124-153700-9f8e7d", label="this PR", branch="faster-tokenizer")
HOSTILE = (
    "a|b",
    "two\nlines",
    "<!-- mlops:end -->",
    "</details>",
    "@team",
    "![x](http://evil.example/x.png)",
    "[x](http://evil.example)",
    "http://evil.example/a?b=c",
    "www.evil.example",
    "mail@evil.example",
    "`tick` ``two``",
    "$(rm -rf /)",
    "${{ secrets.TOKEN }}",
    "#12",
    "org/repo#12",
    "GH-12",
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "\u202egnp.exe",
    "zero\u200bwidth",
    "\x1b[31mred\x00",
    "&lt;b&gt; &amp; &#64;team",
    "# title",
    "- item",
    "1. item",
    "> quote",
    "***bold*** __b__ ~~s~~",
    "| --- |",
    "```\nfence",
    "    indented",
    "[ref]: http://evil.example",
    "[^1]: note",
    "$x^2$ and $$y$$",
    ":tada: :+1:",
    "עברית and العربية",
    "\\",
    "\\|",
    "",
    " ",
    "👩‍💻" * 3,
    "]]>",
    "x" * 10_000_000,
    "💥" * 500_000,
    "=",
    "===",
    "---",
    "+ plus",
    "\ud800",
    "{{ 7*7 }} {% raw %}",
    "<details><summary>x</summary>",
    "javascript:alert(1)",
)


def _points(value: float, n: int = 14) -> tuple[Point, ...]:
    noise = random.Random(7)
    made = []
    for day in range(n):
        at = value - 0.02 + 0.0012 * day + noise.gauss(0, 0.002)
        made.append(
            Point(
                run=f"202611{day + 1:02d}-101500-abcdef",
                commit=f"{day:02x}" * 20,
                at=f"2026-11-{day + 1:02d}T10:15:00Z",
                value=at,
                low=at - 0.006,
                high=at + 0.006,
            )
        )
    return tuple(made)


def _roc(power: float, name: str) -> Curve:
    x = tuple(i / 60 for i in range(61))
    return Curve(name, x, tuple(t**power for t in x))


def _examples(n_fixed: int = 12, n_broken: int = 45) -> Examples:
    make = lambda i, target, before, after: Example(
        id=f"mail-{i:05d}",
        target=target,
        baseline=before,
        head=after,
        preview={"text": f"Dear customer {i}, your parcel waits | click now", "language": "de"},
    )
    fixed = tuple(make(i, "ham", "spam", "ham") for i in range(n_fixed))
    broken = tuple(make(1000 + i, "spam", "spam", "ham") for i in range(n_broken))
    return Examples(fixed, broken, n_fixed, n_broken)


CHARTS = Charts(
    confusion=Confusion(
        ("ham", "spam", "newsletter"), ((940, 20, 8), (14, 610, 6), (9, 3, 390)), ((931, 27, 10), (44, 578, 8), (11, 6, 385))
    ),
    roc=(_roc(0.16, "main"), _roc(0.24, "this PR")),
    pr=(
        Curve("main", tuple(i / 40 for i in range(41)), tuple(1 - 0.25 * (i / 40) ** 4 for i in range(41))),
        Curve("this PR", tuple(i / 40 for i in range(41)), tuple(1 - 0.4 * (i / 40) ** 3 for i in range(41))),
    ),
    calibration=(
        Curve("main", tuple((i + 0.5) / 10 for i in range(10)), tuple((i + 0.5) / 10 + 0.03 * math.sin(i) for i in range(10))),
        Curve("this PR", tuple((i + 0.5) / 10 for i in range(10)), tuple(((i + 0.5) / 10) ** 1.4 for i in range(10))),
    ),
    history={"accuracy": _points(0.972), "f1-macro": _points(0.965)},
)

DIFFERENCES = (
    Difference("params", "learning_rate", "0.001", "0.01"),
    Difference("params", "tokenizer", "bpe-32k", "bpe-8k"),
    Difference("environment", "torch", "2.8.0", "2.9.1"),
    Difference("cost", "training time", "1 h 12 min", "44 min 10 s"),
    Difference("cost", "peak memory", "11.2 GB", "8.9 GB"),
)


def _with_sentence(result: Result) -> Result:
    from dataclasses import replace

    return replace(result, sentence=verdict_sentence(result))


def regression() -> Result:
    """Accuracy really worse, f1 undecided, latency better, one slice much worse."""
    checks = (
        Check(
            "accuracy",
            baseline=0.9722,
            head=0.9412,
            change=-0.031,
            low=-0.044,
            high=-0.018,
            n=2000,
            margin=0.01,
            verdict="fail",
            leaning="beyond",
            unit="fraction",
            method="tango",
            disagree=92,
            better=15,
            worse=77,
        ),
        Check(
            "f1-macro",
            baseline=0.9655,
            head=0.9571,
            change=-0.0084,
            low=-0.0209,
            high=0.0041,
            n=2000,
            margin=0.0193,
            min=0.8,
            verdict="inconclusive",
            leaning="inside",
            unit="fraction",
            needs=Needs(9900, 0.024),
            method="influence",
        ),
        Check(
            "recall:spam",
            baseline=0.981,
            head=0.979,
            change=-0.002,
            low=-0.009,
            high=0.005,
            n=800,
            margin=0.01,
            verdict="pass",
            unit="fraction",
            method="tango",
        ),
        Check(
            "log-loss",
            direction="lower",
            baseline=0.1034,
            head=0.1511,
            change=-0.0477,
            low=-0.0612,
            high=-0.0342,
            n=2000,
            verdict="ungated",
            unit="",
        ),
        Check(
            "latency-ms",
            direction="lower",
            baseline=44.1,
            head=41.6,
            change=2.5,
            low=1.1,
            high=3.9,
            n=200,
            margin=4.41,
            max=50,
            verdict="pass",
            unit="ms",
            kind="measure",
        ),
        Check(
            "accuracy",
            slice="language=de",
            baseline=0.9601,
            head=0.8802,
            change=-0.0799,
            low=-0.12,
            high=-0.041,
            n=310,
            margin=0.03,
            verdict="fail",
            unit="fraction",
        ),
        Check(
            "accuracy",
            slice="language=fr",
            baseline=0.97,
            head=0.965,
            change=-0.005,
            low=-0.045,
            high=0.035,
            n=90,
            margin=0.03,
            verdict="inconclusive",
            leaning="inside",
            unit="fraction",
        ),
        Check(
            "accuracy",
            slice="long",
            baseline=0.98,
            head=0.972,
            change=-0.008,
            low=-0.02,
            high=0.004,
            n=640,
            margin=0.03,
            verdict="pass",
            unit="fraction",
        ),
    )
    return _with_sentence(
        Result(
            model="spam-filter",
            verdict="fail",
            gate="failed",
            sentence="",
            baseline=MAIN,
            head=HEAD,
            checks=checks,
            examples=_examples(),
            measures={
                "latency-ms": MeasureRow(44.1, 41.6, "lower", "ms"),
                "model-size": MeasureRow(44_100_000, 12_600_000, "lower", "bytes"),
                "parameters": MeasureRow(11_200_000, 3_100_000, None, None),
            },
            differences=DIFFERENCES,
            notes=("1 of 3 slices too small to say",),
            charts=CHARTS,
            next=Next(
                reproduce="mlops compare a1b2c3d",
                accept="accepted:\n  - check: accuracy\n    down-to: 0.941\n    reason: ''  # say why\n    until: 2026-12-24\n",
                more_data=("+7,900 examples would decide f1-macro",),
            ),
            blocks=True,
            exit=1,
            url="https://github.com/acme/spam/actions/runs/1234567890",
        )
    )


def harmless() -> Result:
    """Everything shown not worse."""
    checks = (
        Check(
            "accuracy",
            baseline=0.9722,
            head=0.9762,
            change=0.004,
            low=-0.0021,
            high=0.0101,
            n=2000,
            margin=0.01,
            verdict="pass",
            unit="fraction",
        ),
        Check(
            "f1-macro",
            baseline=0.9655,
            head=0.9641,
            change=-0.0014,
            low=-0.0081,
            high=0.0053,
            n=2000,
            margin=0.0193,
            min=0.8,
            verdict="pass",
            unit="fraction",
        ),
        Check(
            "latency-ms",
            direction="lower",
            baseline=44.1,
            head=44.3,
            change=-0.2,
            low=-1.4,
            high=1.0,
            n=200,
            margin=4.41,
            max=50,
            verdict="pass",
            unit="ms",
            kind="measure",
        ),
    )
    return _with_sentence(
        Result(
            "spam-filter",
            "pass",
            "passed",
            "",
            MAIN,
            HEAD,
            checks,
            examples=_examples(11, 3),
            next=Next(reproduce="mlops compare a1b2c3d"),
            charts=CHARTS,
        )
    )


def undecided() -> Result:
    """One check leans beyond its margin: needs a yes."""
    checks = (
        Check(
            "accuracy",
            baseline=0.91,
            head=0.897,
            change=-0.013,
            low=-0.0291,
            high=0.0031,
            n=1000,
            margin=0.01,
            verdict="inconclusive",
            leaning="beyond",
            unit="fraction",
            needs=Needs(12600, 0.032),
        ),
        Check(
            "f1-macro",
            baseline=0.90,
            head=0.898,
            change=-0.002,
            low=-0.019,
            high=0.015,
            n=1000,
            margin=0.01,
            verdict="inconclusive",
            leaning="inside",
            unit="fraction",
            needs=Needs(15000, 0.021),
        ),
    )
    return _with_sentence(
        Result(
            "ranker",
            "inconclusive",
            "undecided",
            "",
            MAIN,
            HEAD,
            checks,
            blocks=True,
            exit=3,
            next=Next(reproduce="mlops compare a1b2c3d", accept="accepted:\n  - check: accuracy\n    down-to: 0.897\n    reason: ''\n"),
        )
    )


def unproven() -> Result:
    """Undecided, but no check leans beyond its margin: nobody is asked."""
    checks = (
        Check(
            "accuracy",
            baseline=0.91,
            head=0.908,
            change=-0.002,
            low=-0.0141,
            high=0.0101,
            n=1000,
            margin=0.01,
            verdict="inconclusive",
            leaning="inside",
            unit="fraction",
            needs=Needs(4200, 0.015),
        ),
        Check(
            "f1-macro",
            baseline=0.90,
            head=0.904,
            change=0.004,
            low=-0.004,
            high=0.012,
            n=1000,
            margin=0.01,
            verdict="pass",
            unit="fraction",
        ),
    )
    return _with_sentence(Result("ranker", "inconclusive", "undecided", "", MAIN, HEAD, checks))


def first_run() -> Result:
    """Nothing to compare with; a gate is proposed."""
    checks = (
        Check("accuracy", head=0.9722, n=1797, verdict="ungated", unit="fraction", head_low=0.9636, head_high=0.9788, suggested=0.01),
        Check("f1-macro", head=0.9719, n=1797, verdict="ungated", unit="fraction", head_low=0.963, head_high=0.979, suggested=0.011),
    )
    gate = "gate:\n  accuracy: {max-drop: 1pp}\n  f1-macro: {max-drop: 1.1pp}\n"
    return _with_sentence(
        Result(
            "digits",
            "ungated",
            "none",
            "",
            Side(state="first-run", note="no earlier run of this model is recorded", label="main"),
            HEAD,
            checks,
            next=Next(reproduce="mlops compare", gate=gate),
        )
    )


def failed() -> Result:
    """An error before any verdict."""
    return _with_sentence(
        Result(
            "spam-filter",
            None,
            "none",
            "",
            MAIN,
            HEAD,
            error=Failure("duplicate-id", 'preds.csv row 7, column id: "mail-00007" stands twice (first in row 3)'),
            exit=5,
            url="https://github.com/acme/spam/actions/runs/1",
        )
    )


def many_slices(n: int = 60) -> Result:
    """Sixty slices of two metrics, most too small to say."""
    noise = random.Random(3)
    checks = [
        Check(
            "accuracy",
            baseline=0.92,
            head=0.921,
            change=0.001,
            low=-0.004,
            high=0.006,
            n=9000,
            margin=0.01,
            verdict="pass",
            unit="fraction",
        )
    ]
    for i in range(n):
        half = 0.01 + 0.08 * noise.random()
        change = noise.gauss(-0.004, 0.02)
        low, high = change - half, change + half
        verdict = "pass" if low > -0.03 else "fail" if high < -0.03 else "inconclusive"
        checks.append(
            Check(
                "accuracy",
                slice=f"country={'abcdefghij'[i % 10] * (2 + i // 10)}-{i}",
                baseline=0.92,
                head=0.92 + change,
                change=change,
                low=low,
                high=high,
                n=40 + i * 7,
                margin=0.03,
                verdict=verdict,
                leaning="inside" if change > -0.03 else "beyond",
                unit="fraction",
            )  # type: ignore[arg-type]
        )
    return _with_sentence(Result("geo-ranker", "fail", "failed", "", MAIN, HEAD, tuple(checks), blocks=True, exit=1))


def hostile(text: str) -> Result:
    """The one text everywhere a user, a model or a branch could have put it."""
    side = Side(commit="a1b2c3d", state="behind", note=text, label=text, branch=text, behind=(text,) * 7)
    checks = (
        Check(
            text,
            baseline=0.9,
            head=0.8,
            change=-0.1,
            low=-0.12,
            high=-0.08,
            n=100,
            margin=0.01,
            verdict="fail",
            unit="fraction",
            message=text,
        ),
        Check(
            text,
            slice=text,
            baseline=1,
            head=2,
            change=1,
            low=0.5,
            high=1.5,
            n=100,
            margin=0.01,
            verdict="inconclusive",
            leaning="beyond",
            unit=text,
            accepted=text,
            message=text,
        ),
    )
    example = Example(id=text, target=text, baseline=text, head=text, preview={text: text, "p": text}, suite=text)
    return Result(
        model=text,
        verdict="fail",
        gate="failed",
        sentence="",
        baseline=side,
        head=Side(label=text),
        checks=checks,
        examples=Examples((example,) * 3, (example,) * 3, 3, 3),
        measures={text: MeasureRow(1, 2, None, text)},
        differences=(Difference("params", text, text, text), Difference("environment", text, text, text)),
        notes=(text, "gate loosened: " + text),
        charts=Charts(
            confusion=Confusion((text, "b"), ((1, 2), (3, 4)), ((2, 1), (3, 4))),
            roc=(Curve(text, (0, 1), (0, 1)), Curve("b", (0, 1), (0, 1))),
            history={text: _points(0.9, 3)},
        ),
        next=Next(reproduce=text, accept=text, gate=text, more_data=(text,)),
        matrix=text,
        url=None if text.startswith("http") else text,
        config=text,
    )


ALL = {
    "regression": regression,
    "harmless": harmless,
    "undecided": undecided,
    "unproven": unproven,
    "first-run": first_run,
    "failed": failed,
    "many-slices": many_slices,
}
