"""Several things asked of blocks are added up in the passes of the one that needs most, each as it would be alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from mlops_toolkit.config import requests
from mlops_toolkit.stats.metrics import resolve
from mlops_toolkit.stats.paired import Paired
from mlops_toolkit.stats.sample import Codes, Sample
from mlops_toolkit.stats.streamed.block import Block, as_it_is
from mlops_toolkit.stats.streamed.measure import Added, Asked, added, together

ROWS, BLOCKS = 200, 3


@dataclass(frozen=True)
class Group:
    """The rows of one code."""

    code: int
    column: str = "group"


@dataclass
class Counted:
    """Blocks that count how often all of them were gone through."""

    held: list[Block]
    passes: int = 0

    def __iter__(self) -> Iterator[Block]:
        yield from self.held
        self.passes += 1


def side(rng: np.random.Generator, target: Codes) -> Sample:
    p = np.clip(0.5 + 0.3 * (2 * target - 1) + rng.normal(0, 0.2, ROWS), 0.01, 0.99)
    prob = np.asfortranarray(np.stack([1 - p, p], axis=1))
    return Sample(ROWS, target, (p > 0.5).astype(np.int32), ("ham", "spam"), p, prob, columns={"ms": rng.gamma(2, 3, ROWS)}, positive=1)


def blocks() -> Counted:
    rng, made = np.random.default_rng(0), []
    for _ in range(BLOCKS):
        target = rng.integers(0, 2, ROWS).astype(np.int32)
        made.append(Block(side(rng, target), side(rng, target), {"group": rng.integers(0, 2, ROWS)}))
    return Counted(made)


def of_baseline(block: Block) -> Block:
    assert block.baseline is not None
    return Block(block.baseline, None, block.parts)


def asked(name: str, some: Block, *, alone: bool) -> Asked:
    metric = (resolve(requests.metric(name), labels=("ham", "spam")),)
    return Asked(() if alone else metric, metric if alone else (), {"all": None, "a": Group(0), "b": Group(1)}, 0, some)


def told(found: Added) -> dict[str, dict[Any, Paired]]:
    return found.answers(0.95)


@pytest.mark.parametrize("last", ["accuracy", "brier", "roc-auc"])
def test_each_is_as_it_would_be_alone_and_what_they_share_is_read_once(last: str) -> None:
    source = blocks()
    jobs = [
        (as_it_is, asked("brier", source.held[0], alone=False)),
        (of_baseline, asked(last, of_baseline(source.held[0]), alone=True)),
        (as_it_is, asked("accuracy", source.held[0], alone=False)),
    ]
    singly, passes = [], []
    for view, one in jobs:
        seen = Counted([view(block) for block in source.held])
        singly.append(told(added(seen, one)))
        passes.append(seen.passes)
    assert [told(found) for found in together(source, jobs)] == singly
    assert source.passes == max(passes) < sum(passes)
