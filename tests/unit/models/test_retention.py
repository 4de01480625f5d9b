"""Which models have had their time."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_toolkit.config.schema import Keep
from mlops_toolkit.errors import UsageError
from mlops_toolkit.models.base import Belongs
from mlops_toolkit.models.retention import Stored, expired

NOW = datetime(2026, 11, 24, tzinfo=timezone.utc)


def made(digest: str, belongs: Belongs, days: float) -> Stored:
    return Stored(digest, belongs, NOW - timedelta(days=days), 1)


def test_each_kind_has_its_rule() -> None:
    stored = [
        *(made(f"pr{i}", "pull-request", i) for i in (0, 3, 3.01)),
        *(made(f"main{i}", "main", i) for i in range(12)),
        made("release", "release", 9999),
    ]
    assert expired(stored, Keep(), NOW) == ("main11", "main10", "pr3.01")


def test_what_belongs_to_several_is_kept_by_any_of_them() -> None:
    stored = [made("a", "pull-request", 30), made("a", "release", 30), made("b", "pull-request", 30)]
    assert expired(stored, Keep(), NOW) == ("b",)


def test_a_count_counts_models_not_runs() -> None:
    stored = [made("a", "main", 3), made("b", "main", 2), made("b", "main", 1), made("c", "main", 0)]
    assert expired(stored, Keep(main="2"), NOW) == ("a",)
    assert expired(stored, Keep(main="0"), NOW) == ("a", "b", "c")


@pytest.mark.parametrize("rule", ["", "3 days", "-1", "1e3", "never"])
def test_a_rule_that_says_nothing_is_refused_even_when_nothing_is_stored(rule: str) -> None:
    with pytest.raises(UsageError) as caught:
        expired([], Keep(main=rule), NOW)
    assert (caught.value.name, caught.value.code) == ("bad-keep", 2)


RULES = st.sampled_from(["forever", "0", "1", "3", "1d", "12h", "0s"])


@given(
    st.lists(
        st.builds(made, st.sampled_from("abcdef"), st.sampled_from(["pull-request", "main", "release"]), st.integers(0, 5)), max_size=12
    ),
    st.builds(Keep, RULES, RULES, RULES),
    st.frozensets(st.sampled_from("abcdef")),
)
@settings(deadline=None, max_examples=200)
def test_whatever_is_named_or_kept_forever_stays(stored: list[Stored], keep: Keep, named: frozenset[str]) -> None:
    gone = expired(stored, keep, NOW, named=named)
    assert len(set(gone)) == len(gone)
    assert not named & set(gone)
    for belongs, rule in (("pull-request", keep.pull_request), ("main", keep.main), ("release", keep.release)):
        if rule == "forever":
            assert not {item.digest for item in stored if item.belongs == belongs} & set(gone)
