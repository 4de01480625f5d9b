"""The page for people: readable, and nothing that a branch, model or metric is called can be more than text in it."""

from __future__ import annotations

import dataclasses
import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_toolkit.history import page
from mlops_toolkit.history.base import Entry
from mlops_toolkit.history.entry import Index, of_run
from tests.unit.history.repositories import record

GITHUB = "https://github.com/o/r"
HOSTILE = [
    "a | b | c",
    "line\nbreak\r\n\n# heading",
    "<!-- mlops --> <script>alert(1)</script>",
    "</details></table>",
    "@team and @org/team",
    "![](http://evil.example/x.png) [x](javascript:alert(1))",
    "`code` ``` fence",
    "$(touch x) ${{ secrets.X }} $\\sum$",
    "https://evil.example www.evil.example",
    "\\| \\\\| \\",
    "&lt;img src=x onerror=alert(1)&gt;",
    "\x1b[2J\x00\u202e\u2028",
    "x" * 100_000,
    "*bold* _it_ ~~no~~ #12",
]


def page_of(*entries: Entry, repository: str | None = GITHUB) -> tuple[str, str]:
    """README.md and metrics.svg of an index of these entries."""
    made = page.files(Index({}, {}).with_entries(entries), repository)
    return made["README.md"].decode(), made["metrics.svg"].decode()


def test_the_latest_runs_stand_first_with_verdict_commit_and_pull_request() -> None:
    runs = [of_run(record(n, accuracy=0.9 + n / 1000, pull_request=n, event="pull_request")) for n in range(1, 31)]
    text, _ = page_of(*runs)
    rows = [line for line in text.splitlines() if line.startswith("| ✅")]
    assert len(rows) == page.LATEST
    assert rows[0] == (
        f"| ✅ | [{runs[-1].started[:16].replace('T', ' ')}](runs/2026-01/{runs[-1].id}/run.json) | spam | [#30]({GITHUB}/pull/30) "
        f"| [0000000]({GITHUB}/commit/{runs[-1].commit}) | accuracy 0.93 | spam: accuracy 0.93 |"
    )
    assert text.startswith("# Recorded runs\n")
    assert "30 runs of 1 model." in text


@pytest.mark.parametrize(
    ("changes", "sign", "said"),
    [
        ({"gate": "failed"}, "❌", "spam: accuracy 0.9"),
        ({"gate": "failed", "accepted": True}, "✅", "spam: accuracy 0.9 (accepted)"),
        ({"gate": "undecided"}, "⚠️", "spam: accuracy 0.9"),
        ({"gate": None, "sentence": "", "status": "interrupted"}, "·", "interrupted"),
        ({"withdrawn": True}, "🚫", "withdrawn"),
    ],
)
def test_a_row_says_how_the_run_ended(changes: dict[str, object], sign: str, said: str) -> None:
    text, _ = page_of(dataclasses.replace(of_run(record(1)), **changes))  # type: ignore[arg-type]
    assert text.splitlines()[-1].startswith(f"| {sign} |")
    assert text.splitlines()[-1].endswith(f"| {said} |")


def test_the_page_of_no_runs_is_a_page() -> None:
    text, picture = page_of()
    assert "0 runs of 0 models." in text
    assert "|" not in text
    ET.fromstring(picture)  # noqa: S314 — ours


def hostile(text: str) -> list[Entry]:
    """Two runs in which every text that somebody else chose is `text`."""
    base = of_run(record(1))
    one = dataclasses.replace(
        base, key=f"{text}|{text}|{text}", branch=text, event=text, commit=text, status=text, sentence=text, metrics={text: 0.5}
    )
    return [one, dataclasses.replace(one, id=record(2).id, metrics={text: 0.75}, started=text)]


def check(entries: list[Entry]) -> None:
    """Every row has its seven cells, and no mark of Markdown or HTML is left alive."""
    text, picture = page_of(*entries)
    body = text.split("|---|---|---|---|---|---|---|\n")[1]
    rows = body.splitlines()
    assert len(rows) == len(entries)
    for row in rows:
        cells = re.split(r"(?<!\\)(?:\\\\)*\|", row)
        assert len(cells) == 9, row
        ours = re.sub(
            r"\[(?:\\.|[^\]\\])*\]\(runs/[^)]*\)|\[#\d+\]\(https://github.com/o/r/pull/\d+\)|\[[0-9a-f]{7}\]\(https://github.com/o/r/commit/[0-9a-f]+\)",
            "",
            row,
        )
        alive = re.sub(r"\\[\\`*_{}\[\]()#!|~$]|&#\d+;", "", ours)
        assert not re.search(r"[<>@`*\[\]()\\#!$~]|://|www\.", alive), alive
        assert row.isprintable()
    root = ET.fromstring(picture)  # noqa: S314 — what is tested is that it is well-formed
    assert {element.tag.rpartition("}")[2] for element in root.iter()} <= {"svg", "title", "style", "g", "text", "path", "circle"}
    assert len(picture) < 50_000


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_stays_text(text: str) -> None:
    check(hostile(text))


@settings(deadline=None, max_examples=100)
@given(st.text(min_size=1, max_size=60))
def test_any_text_stays_text(text: str) -> None:
    check(hostile(text))


def test_the_picture_shows_main_and_not_pull_requests_and_says_so_in_words() -> None:
    main = [of_run(record(n, accuracy=0.9 + n / 100)) for n in range(1, 4)]
    proposed = of_run(record(9, accuracy=0.1, pull_request=5))
    text, picture = page_of(*main, proposed)
    assert "![spam accuracy 0.93 after 3 runs \\(0.91 to 0.93\\)](metrics.svg)" in text
    assert picture.count("<circle") == 3
    assert "0.91 – 0.93" in picture


def test_a_failed_run_is_a_red_point() -> None:
    runs = [of_run(record(n, accuracy=0.9 + n / 100)) for n in range(1, 4)]
    _, picture = page_of(runs[0], dataclasses.replace(runs[1], gate="failed"), runs[2])
    assert picture.count('class="f"') == 1
    assert picture.count('class="p"') == 2


@pytest.mark.parametrize("values", [[1.0, 1.0], [0.0, 0.0], [-1e300, 1e300], [1e-320, 2e-320], [1.7e308, -1.7e308]])
def test_any_numbers_make_points_within_the_picture(values: list[float]) -> None:
    _, picture = page_of(*[dataclasses.replace(of_run(record(n + 1)), metrics={"loss": value}) for n, value in enumerate(values)])
    heights = [float(y) for y in re.findall(r'cy="([^"]+)"', picture)]
    assert heights
    assert all(0 <= y <= page.HEIGHT for y in heights)
