"""Entries as lines of the index: small, the same for the same runs, and safe to read whatever stands there."""

from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_toolkit.errors import InvalidFile
from mlops_toolkit.history.base import Entry, same_digest
from mlops_toolkit.history.entry import KEPT, SENTENCES, Index, from_line, of_record, of_run, to_line
from mlops_toolkit.records.run import GateOutcome, Measure, MetricValue, dumps
from tests.unit.history.repositories import record

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
RUN_IDS = st.builds("{:08d}-{:06d}-{:06x}".format, st.integers(0, 99999999), st.integers(0, 999999), st.integers(0, 0xFFFFFF))
ENTRIES = st.builds(
    Entry,
    id=RUN_IDS,
    key=TEXT.filter(bool),
    commit=st.none() | TEXT.filter(bool),
    tree=st.none() | TEXT.filter(bool),
    status=st.sampled_from(["succeeded", "failed", "running", "reused"]),
    started=TEXT.filter(bool),
    branch=st.none() | TEXT.filter(bool),
    event=st.none() | TEXT.filter(bool),
    pull_request=st.none() | st.integers(1, 10**9),
    fork=st.booleans(),
    dirty=st.booleans(),
    ci_run=st.none() | TEXT.filter(bool),
    gate=st.sampled_from([None, "passed", "failed", "undecided", "none"]),
    accepted=st.booleans(),
    train=st.none() | TEXT.filter(bool),
    evaluate=st.none() | TEXT.filter(bool),
    withdrawn=st.booleans(),
    released=st.booleans(),
    metrics=st.dictionaries(TEXT, st.floats(allow_nan=False, allow_infinity=False), max_size=4),
    sentence=TEXT,
)


@settings(deadline=None, max_examples=100)
@given(ENTRIES)
def test_a_line_gives_its_entry_back(entry: Entry) -> None:
    line = to_line(entry)
    assert b"\n" not in line
    assert from_line(line) == entry


@settings(deadline=None, max_examples=100)
@given(st.lists(ENTRIES, max_size=8), st.randoms())
def test_the_same_runs_give_the_same_bytes_in_whatever_order_they_came(entries: list[Entry], random: object) -> None:
    by_id = {e.id: e for e in entries}
    entries = list(by_id.values())
    shuffled = list(entries)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    index = Index({}, {}).with_entries(entries)
    assert Index({}, {}).with_entries(shuffled).dump() == index.dump()
    again = Index.parse(index.dump())
    assert again.dump() == index.dump()
    assert set(again.entries) == set(by_id)
    assert not again.strange


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=200) | st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | TEXT, lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from("ikctsbepfdrgyTEwRmnva"), inner), max_leaves=12).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_whatever_stands_in_the_index_is_read_or_noted_and_kept(raw: bytes) -> None:
    good = to_line(of_run(record(1)))
    index = Index.parse(raw + b"\n" + good + b"\n")
    assert record(1).id in index.entries
    kept = index.with_entries([of_run(record(2))]).dump().split(b"\n")
    assert [line for line in raw.split(b"\n") if line.strip() and _strange(line) and line not in kept] == []


def _strange(line: bytes) -> bool:
    try:
        from_line(line)
    except (ValueError, RecursionError):
        return True
    return False


def test_only_the_latest_runs_keep_their_sentence() -> None:
    index = Index({}, {}).with_entries(of_run(record(n)) for n in range(SENTENCES + 5))
    said = [bool(from_line(line).sentence) for line in index.dump().splitlines()]
    assert said == [False] * 5 + [True] * SENTENCES


def test_an_ordinary_line_is_short_and_an_extraordinary_run_does_not_make_it_long() -> None:
    many = {f"recall:class {n}": MetricValue(n / 1000 + 1 / 3, 10, "", "higher") for n in range(500)}
    line = to_line(of_run(record(1, metrics=many, gate=GateOutcome("passed", sentence="x" * 10_000))), sentence=True)
    assert len(from_line(line).metrics) == KEPT
    assert len(line) < 1000
    assert from_line(line).metrics["recall:class 0"] == 0.33333


def test_measures_follow_the_metrics_and_what_has_no_value_is_left_out() -> None:
    run = record(
        1,
        metrics={"auc": MetricValue(None, 3, "", "higher", state="one-class")},
        measures={"latency-ms": Measure((1.0, 2.0)), "none": Measure(())},
    )
    assert of_run(run).metrics == {"latency-ms": 1.5}


def test_a_record_read_in_parts_gives_the_same_entry_as_read_whole() -> None:
    run = record(
        3,
        slices={"a": {"accuracy": MetricValue(0.5, 3, "", "higher")}},
        params={"x": [1]},
        measures={"ms": Measure((1.0, 2.0))},
        withdrawn="why",
        dirty=True,
        pull_request=4,
    )
    assert of_record(dumps(run).encode(), where="x") == of_run(run)
    for broken in (b"", b"[]", b"{}", b'{"schema": 99}', b'{"schema": 1, "id": 5}', b'{"schema":1,"schema":1}'):
        with pytest.raises(InvalidFile):
            of_record(broken, where="x")


def test_fingerprints_are_shortened_and_compared_as_such() -> None:
    entry = of_run(record(1))
    assert entry.train == "0" * 20
    full = "sha256:" + "ab" * 32
    assert same_digest(dataclasses.replace(entry, train=("ab" * 32)[:20]).train, full)
    assert not same_digest(entry.train, full)
    assert not same_digest(None, None)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"i":"20260101-000000-aaaaaa","k":"k","s":"ok","p":"12"}', "pull request"),
        (b'{"i":"20260101-000000-aaaaaa","k":"k","s":"ok","p":true}', "pull request"),
        (b'{"i":"20260101-000000-aaaaaa","k":"k","s":"ok","g":"maybe"}', "gate"),
        (b'{"i":"20260101-000000-aaaaaa","k":"k","s":"ok","m":{"a":"1"}}', "metrics"),
        (b'{"i":"20260101-000000-aaaaaa","k":"k","s":"ok","m":{"a":1e999}}', "metrics"),
        (b'{"i":"20260101-000000-aaaaaa","k":"k"}', "without status"),
        (b'{"i":"20260101-000000-AAAAAA","k":"k","s":"ok"}', "run id"),
        (b'{"v":2,"i":"20260101-000000-aaaaaa"}', "newer version"),
        ("\ud800".encode("utf-8", "surrogatepass"), "decode"),
        (b'{"i":"20260101-000000-aaaaaa","k":"\\uD800","s":"ok"}', "encode"),
    ],
)
def test_a_line_that_is_none_says_why(line: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        from_line(line)
