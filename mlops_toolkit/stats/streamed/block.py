"""Blocks of aligned examples, the subsets that are judged, and going through all of them, several subsets at a time."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from mlops_toolkit.stats.sample import Sample

_WORKERS = 4  # numpy lets go of the interpreter while it computes


@dataclass(frozen=True)
class Block:
    """Some rows of a head and a baseline (None: there is none), in the same order.

    parts  name -> a code for every row, (n,): a subset is the rows of one code
    """

    head: Sample
    baseline: Sample | None
    parts: Mapping[str, npt.NDArray[Any]]


class Part(Protocol):
    """A subset: the rows where `parts[column]` is `code`."""

    @property
    def column(self) -> str: ...
    @property
    def code(self) -> int: ...


Work = Callable[[Hashable, Sample | None, Sample], None]  # (subset, baseline, head)
View = Callable[[Block], Block]


@dataclass(frozen=True)
class Look:
    """What is done with all blocks, as `view` shows them: `work` for every subset; None as a subset is all rows."""

    subsets: Mapping[Any, Part | None]
    work: Work
    view: View


def as_it_is(block: Block) -> Block:
    """The view of all there is."""
    return block


def through(blocks: Iterable[Block], looks: Sequence[Look]) -> None:
    """Go through the blocks once for all `looks`: of each subset of each in the order of the blocks.

    Different subsets of one block are worked on at the same time, and so is reading the next one.
    """

    def one(block: Block, work: Work, name: Hashable, part: Part | None) -> None:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
            if part is None:
                work(name, block.baseline, block.head)
                return
            rows = np.flatnonzero(block.parts[part.column] == part.code)
            if len(rows):
                work(name, None if block.baseline is None else block.baseline.take(rows), block.head.take(rows))

    with ThreadPoolExecutor(_WORKERS) as pool:
        for block in _ahead(blocks, pool):
            views = [(look.view(block), look) for look in looks]
            for done in [pool.submit(one, seen, look.work, name, part) for seen, look in views for name, part in look.subsets.items()]:
                done.result()


def _ahead(blocks: Iterable[Block], pool: ThreadPoolExecutor) -> Iterator[Block]:
    """The blocks, the next of which is read meanwhile."""
    source = iter(blocks)
    coming: Future[Block | None] = pool.submit(next, source, None)
    for _ in itertools.count():
        block = coming.result()
        if block is None:
            return
        coming = pool.submit(next, source, None)
        yield block
