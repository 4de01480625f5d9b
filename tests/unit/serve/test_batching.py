"""Requests that wait are answered together, each as if it were alone; what nobody waits for is not computed."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_toolkit.serve.batching import Batcher, NotRowwise, Work
from mlops_toolkit.serve.refusals import Refused
from mlops_toolkit.serve.speed import Speed


class Model:
    """Doubles its rows; notes which rows it saw at once, and in which thread."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds, self.batches, self.threads = seconds, list[list[float]](), set[str]()

    def __call__(self, inputs: Any) -> dict[str, Any]:
        time.sleep(self.seconds)
        self.threads.add(threading.current_thread().name)
        x = inputs["x"]
        self.batches.append(x[:, 0].tolist())
        if 13 in x[:, 0]:
            raise ValueError("thirteen")
        if 14 in x[:, 0]:
            raise SystemExit(1)
        return {"y": 2 * x[:, 0]}


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 20))


def batcher(model: Any, **more: Any) -> Batcher:
    made = Batcher("m", loop=asyncio.get_running_loop(), **{"max_batch": 8, "latency_target": 10.0, "max_wait": 10.0, **more})
    made.answer = model
    return made


def ask(to: Batcher, *values: float, width: int = 1, limit: float = 10.0) -> asyncio.Future[Any]:
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    x = np.array([[value] * width for value in values], np.float64)
    to.submit(Work({"x": x}, len(values), time.perf_counter() + limit, lambda work, found: future.set_result(found)))
    return future


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.integers(0, 20), min_size=1, max_size=12), min_size=1, max_size=12), st.booleans())
def test_each_gets_its_own_answer(requests: list[list[int]], inline: bool) -> None:
    """Whatever waits with it: bad ones (13 raises, 14 ends the thread) fail alone, in whichever batch they were."""

    async def test() -> None:
        model = Model(0.001)
        made = batcher(model)
        made.inline = inline
        found = await asyncio.gather(*(ask(made, *values) for values in requests))
        for values, answer in zip(requests, found, strict=True):
            if 13 in values or 14 in values:
                assert isinstance(answer, Exception)
                assert ("thirteen" in str(answer)) or ("SystemExit" in str(answer))
            else:
                assert answer["y"].tolist() == [2 * value for value in values]
        assert all(len(batch) <= 8 or batch in requests for batch in model.batches)
        assert made.empty()
        assert made.waiting == 0
        made.stop()

    run(test)


def test_nobody_waits_for_company_and_the_batch_grows_with_the_queue() -> None:
    async def test() -> None:
        model = Model(0.02)
        made = batcher(model)
        first = ask(made, 1)
        await asyncio.sleep(0.01)  # it is being computed
        others = [ask(made, value) for value in range(2, 14) if value != 13]
        await asyncio.gather(first, *others)
        assert model.batches == [[1], [2, 3, 4, 5, 6, 7, 8, 9], [10, 11, 12]]
        assert model.threads == {"model m"}

    run(test)


def test_what_is_computed_in_no_time_is_not_handed_to_a_thread() -> None:
    """And what turns out to take its time, is."""

    async def test() -> None:
        model = Model()
        made = batcher(model)
        made.inline = True
        await asyncio.gather(*(ask(made, value) for value in range(3)))
        assert model.threads == {threading.main_thread().name}
        assert model.batches == [[0, 1, 2]]
        made.learn(1, 0.01)
        for _ in range(100):
            made.learn(1, 0.01)
        await ask(made, 5)
        assert "model m" in model.threads

    run(test)


def test_shapes_that_differ_are_not_joined() -> None:
    async def test() -> None:
        model = Model(0.005)
        made = batcher(model)
        made.key = lambda inputs: inputs["x"].shape[1:]
        first = ask(made, 0)
        await asyncio.sleep(0.002)
        others = [ask(made, value, width=1 + value % 2) for value in range(1, 7)]
        await asyncio.gather(first, *others)
        assert sorted(map(sorted, model.batches[1:])) == [[1, 3, 5], [2, 4, 6]]

    run(test)


@pytest.mark.parametrize("inline", [False, True])
def test_where_all_of_one_shape_are_given_up_those_of_another_are_answered(inline: bool) -> None:
    """At once, and not when somebody else comes."""

    async def test() -> None:
        begun, go = threading.Event(), threading.Event()

        def model(inputs: Any) -> dict[str, Any]:
            begun.set()
            go.wait(10)
            return {"y": inputs["x"][:, 0]}

        made = batcher(model)
        made.key = lambda inputs: inputs["x"].shape[1:]
        made.inline = inline
        if inline:
            go.set()
        else:
            ask(made, 0, limit=0.0)
            await asyncio.to_thread(begun.wait, 10)
        gone, stays = ask(made, 1, width=2, limit=0.0), ask(made, 2)
        made.expire(time.perf_counter(), Refused("too-slow", "late"))
        assert isinstance(await gone, Refused)
        go.set()
        assert (await asyncio.wait_for(stays, 5))["y"].tolist() == [2]
        assert made.waiting == 0

    run(test)


def test_who_would_wait_too_long_is_refused_at_once() -> None:
    """By rows and speed, not by requests: and is told when to come again."""

    async def test() -> None:
        model = Model(0.05)
        made = batcher(model, max_batch=2, max_wait=0.12)
        made.learn(1, 0.05)
        made.learn(2, 0.05)
        taken: list[asyncio.Future[Any]] = []
        begun = time.perf_counter()
        with pytest.raises(Refused) as refused:
            taken.extend(ask(made, value) for value in range(20))
        assert time.perf_counter() - begun < 0.05
        assert 4 <= len(taken) <= 8
        assert refused.value.status == 429
        assert refused.value.retry_after is not None
        await asyncio.gather(*taken)
        assert (await ask(made, 1))["y"].tolist() == [2]

    run(test)


def test_what_nobody_waits_for_is_not_computed() -> None:
    async def test() -> None:
        model = Model(0.1)
        made = batcher(model, max_batch=1)
        first, late, other = ask(made, 1), ask(made, 2, limit=0.02), ask(made, 3, limit=5)
        await asyncio.sleep(0.05)
        # The oldest first: deadlines are in the order of arrival, as the server's one time limit makes them.
        assert made.expire(time.perf_counter(), Refused("too-slow", "late")) == 0
        await first
        assert made.expire(time.perf_counter(), Refused("too-slow", "late")) == 1
        assert isinstance(await late, Refused)
        await other
        assert [3.0] in model.batches

    run(test)


def test_an_answer_that_is_not_one_row_each() -> None:
    async def test() -> None:
        made = batcher(lambda inputs: {"y": np.zeros(3)})
        assert isinstance(await ask(made, 1), NotRowwise)
        assert (await ask(made, 1, 2, 3))["y"].tolist() == [0, 0, 0]

    run(test)


class Mute(BaseException):
    """What a model may raise, too: it ends threads, and cannot even say what it is."""

    def __str__(self) -> str:
        raise ValueError("no words")


@pytest.mark.parametrize("inline", [False, True])
@pytest.mark.parametrize("fails", ["model", "batched"])
def test_whatever_fails_its_request_is_told_and_the_next_is_answered(inline: bool, fails: str) -> None:
    """Also where it is not the model that fails, as where there is no memory left for what is counted of a batch."""

    async def test() -> None:
        bad = True

        def fail(*_: Any) -> None:
            if bad:
                raise Mute if fails == "model" else MemoryError

        def model(inputs: Any) -> dict[str, Any]:
            if fails == "model":
                fail()
            return {"y": inputs["x"][:, 0]}

        made = batcher(model, **({"batched": fail} if fails == "batched" else {}))
        made.inline = inline
        found = await asyncio.wait_for(asyncio.gather(*(ask(made, value) for value in range(3))), 5)
        assert all(isinstance(one, Exception) for one in found)
        bad = False
        assert (await asyncio.wait_for(ask(made, 5), 5))["y"].tolist() == [5]
        assert made.empty()

    run(test)


def test_speed_is_learned_and_forgotten() -> None:
    now = [0.0]
    speed = Speed(lambda: now[0])
    assert speed.seconds(100) == 0
    speed.learn(1, 0.010)
    assert speed.seconds(4) == pytest.approx(0.040)
    speed.learn(4, 0.012)
    assert speed.seconds(4) == pytest.approx(0.012)
    assert speed.rows(0.025, 64) == 8
    assert speed.rows(0.001, 64) == 4  # eight would be slower than two of one; four cost hardly more than one
    speed.learn(4, 1.0)  # an accident
    assert speed.rows(0.025, 64) < 4
    now[0] += 60
    speed.learn(1, 0.010)
    assert speed.seconds(4) == pytest.approx(0.040)
    assert speed.fastest(1) == pytest.approx(0.010)
