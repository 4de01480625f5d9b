"""What a review asks of GitHub: counted, within its limit, and as docs/cost.md says it."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from tests.world import cost
from tests.world.cost import MOST, PAGE, ROW, Cost


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Cost]:
    return {row.name: row for row in cost.measure(tmp_path_factory.mktemp("cost"))}


def test_an_ordinary_pull_request_stays_within_its_limit(rows: dict[str, Cost]) -> None:
    """In one job, and in two with a plan in front."""
    for name in ("first push, one job", "second push", "changes no input", "regression"):
        [row] = [row for row in rows.values() if name in row.name]
        assert 0 < row.calls <= MOST, row
    together = [row for name, row in rows.items() if name.startswith(("two jobs", "`plan`"))]
    assert len(together) == 3
    assert sum(row.calls for row in together) <= MOST


def test_the_page_says_what_is_counted(rows: dict[str, Cost]) -> None:
    """Calls to the last one; git's requests as near as its versions agree, bytes as compression and the length of numbers let them be."""
    told = cost.named(PAGE.read_text())
    counted = cost.named(cost.page(list(rows.values())))
    assert list(told) == list(counted)
    for name, (calls, size, trips, git) in counted.items():
        said = told[name]
        assert said[0] == calls, name
        assert said[2] == pytest.approx(trips, rel=0.1, abs=2), name
        assert said[1] == pytest.approx(size, rel=0.1, abs=2), name
        assert said[3] == pytest.approx(git, rel=0.1, abs=2), name


def test_the_page_is_as_its_command_writes_it(rows: dict[str, Cost]) -> None:
    assert ROW.sub("", PAGE.read_text()) == ROW.sub("", cost.page(list(rows.values())))


def test_nothing_is_asked_twice_but_what_may_have_changed(rows: dict[str, Cost]) -> None:
    """A list of comments or issues is read again after it was written to; a status is set when it begins and when it ends."""
    for row in rows.values():
        for call, times in Counter(row.asked).items():
            again = re.search(r"^GET .*/(comments|issues)\?|^GET .*/issues/\d+$|^POST .*/statuses/", call)
            assert times <= (2 if again else 1), (row.name, call)


def test_a_job_that_only_reads_writes_nothing(rows: dict[str, Cost]) -> None:
    [fork] = [row for name, row in rows.items() if name.startswith("fork: train")]
    assert fork.asked == ()
