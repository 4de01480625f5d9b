"""Work side by side: answers in order, one level of it, and the same numbers as one thing after the other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from mlops_toolkit.config import requests
from mlops_toolkit.stats import chunks
from mlops_toolkit.stats.metrics import resolve
from mlops_toolkit.stats.paired import paired_many
from mlops_toolkit.stats.sample import Sample

MANY = 1 << 20


def test_that_answers_come_in_order_whatever_is_done_first() -> None:
    """The first piece waits for the second."""
    second = threading.Event()

    def work(which: int) -> int:
        if which == 0:
            assert second.wait(30)
        second.set()
        return which

    assert list(chunks.in_order([0, 1, 2], work, rows=MANY)) == [0, 1, 2]


def test_that_what_is_begun_beside_goes_on_while_more_is_begun() -> None:
    """The first piece ends once the second did; within a piece nothing runs side by side again."""
    second = threading.Event()

    def work(which: int) -> tuple[bool, set[int]]:
        inside = set(chunks.in_order(range(8), lambda _: threading.get_ident(), rows=MANY))
        met = second.wait(30) if which == 0 else second.set() is None
        return met, inside

    with chunks.beside(MANY) as start:
        answers: list[Callable[[], tuple[bool, set[int]]]] = [start(work, 0), start(work, 1)]
        found = [answer() for answer in answers]
    assert all(met for met, _ in found)
    assert all(len(inside) == 1 for _, inside in found)


def test_that_an_error_of_a_piece_is_raised_where_its_answer_is_asked_for() -> None:
    def work(_: int) -> int:
        raise MemoryError("no room")

    with pytest.raises(MemoryError, match="no room"), chunks.beside(MANY) as start:
        start(work, 0)()


@pytest.mark.parametrize("beside", [False, True])
def test_that_whoever_asks_to_stop_need_not_wait_for_all_pieces(beside: bool) -> None:
    """As after SIGTERM: the piece at hand is ended, no other is begun."""
    begun, goes_on, pieces = threading.Event(), threading.Event(), list[int]()

    def piece(which: int) -> None:
        pieces.append(which)
        begun.set()
        assert goes_on.wait(30)

    def work(_: int) -> None:
        list(chunks.in_order(range(1_000), piece, rows=MANY))

    def stopped(rows: object) -> None:
        assert begun.wait(30)
        threading.Timer(0.2, goes_on.set).start()
        raise KeyboardInterrupt

    if beside:
        with pytest.raises(KeyboardInterrupt), chunks.beside(MANY) as start:
            stopped(start(work, 0))
    else:

        def items() -> Iterator[int]:
            yield 0
            stopped(None)

        with pytest.raises(KeyboardInterrupt):
            list(chunks.in_order(items(), work, rows=MANY))
    assert pieces == [0]


@pytest.mark.parametrize("weighted", [False, True])
def test_that_slices_begun_before_the_whole_is_done_get_the_same_numbers(weighted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Metrics of labels, of means, and of orders: bit by bit, in threads and without; slices in any order beside all rows."""
    rng, n, labels = np.random.default_rng(5), 4_000, ("a", "b", "c")
    target = rng.integers(0, 3, n).astype(np.int32)
    weight = rng.choice([0.5, 2.0], n) if weighted else None
    sides = []
    for _ in range(2):
        logit = rng.normal(size=(n, 3))
        logit[np.arange(n), target] += 1.0
        prob = np.asfortranarray(np.exp(logit) / np.exp(logit).sum(axis=1, keepdims=True))
        sides.append(Sample(n, target, prob.argmax(axis=1).astype(np.int32), labels, prob=prob, weight=weight))
    names = ("roc-auc", "accuracy", "average-precision", "log-loss", "brier", "f1-macro")
    metrics = [resolve(requests.metric(name), labels=labels, where=name) for name in names]
    part = rng.integers(0, 5, n)
    rows = {"first": part == 0, "": None, **{f"{i}": part == i for i in range(1, 5)}}
    found = []
    for least in (1, 1 << 60):
        monkeypatch.setattr(chunks, "_WORTHWHILE", least)
        found.append(paired_many(metrics, *sides, rows_by_slice=rows))
    assert list(found[0]) == list(rows)
    assert repr(found[0]) == repr(found[1])
    assert all(one.low is not None for results in found[0].values() for one in results)
