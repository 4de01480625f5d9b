"""Two streams aligned by id, and the columns that a comparison needs of them, written down in one order in the temporary folder.

Files whose ids stand in the same order are read side by side. Else the rows of both are dealt out by a hash of their id to parts that fit
into memory, and each part is put in order and joined as a whole; the hash only says where a row is looked for, never what it equals.
Memory grows with the number of different labels, clusters and slices, and not with the rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from mlops_toolkit.predictions.pair import comparable
from mlops_toolkit.predictions.stream import parts
from mlops_toolkit.predictions.stream.admit import Stream
from mlops_toolkit.predictions.stream.extras import Extras, head_view
from mlops_toolkit.predictions.stream.spool import Spool


@dataclass(frozen=True)
class Aligned:
    """The common rows of a baseline and a head, or all rows of a head alone.

    spool     column -> values; those of the head are named `head:…`, the baseline's `baseline:…`, those of slices `slice:…`
    baseline, head   the streams that they are from; extras  what the user's own columns came to
    repeated  clusters are the runs of one id (`head:run`)
    only_…, labels_changed, data_changed and the like are told by `facts` (see `Pair`)
    """

    head: Stream
    spool: Spool
    extras: Extras
    baseline: Stream | None = None
    salt: str | None = None
    repeated: bool = False
    only_baseline: tuple[str, ...] = ()
    only_baseline_count: int = 0
    only_head: tuple[str, ...] = ()
    only_head_count: int = 0

    @property
    def n(self) -> int:
        return self.spool.rows

    @property
    def common(self) -> float:
        """The smaller of the two shares that the common rows are of each side."""
        return 1.0 if self.baseline is None else min(self.n / max(self.baseline.n, 1), self.n / max(self.head.n, 1))


def align(baseline: Stream | None, head: Stream, extras: Extras, *, salt: str | None = None) -> Aligned:
    """Bring two streams into one order (baseline None: check the head's ids, and lay its columns out).

    salt  the baseline's ids and clusters are hashes made with it. InvalidFile `duplicate-id`, `bad-cluster`; UsageError `task-differs`
    or `repeats-differ` where the two cannot be compared.
    """
    if baseline is not None:
        comparable(baseline, head)
    repeats = "repeat" in head.columns
    made = None if repeats or salt is not None else _side_by_side(baseline, head, extras)
    if made is not None:
        return made
    found = parts.join(baseline, head, extras, salt=salt)
    return Aligned(
        head=head,
        spool=found.spool,
        extras=extras,
        baseline=baseline,
        salt=salt,
        repeated=repeats,
        only_baseline=found.only_baseline,
        only_baseline_count=found.only_baseline_count,
        only_head=found.only_head,
        only_head_count=found.only_head_count,
    )


def _side_by_side(baseline: Stream | None, head: Stream, extras: Extras) -> Aligned | None:
    """Where the ids of both stand in the same order; None where they do not."""
    if baseline is not None and baseline.n != head.n:
        return None
    spool = Spool.made("aligned")
    extras.begin(baseline, head)
    theirs = baseline.opened.blocks(["id", *extras.wanted_before(baseline)]) if baseline is not None else None
    for index, ours in enumerate(head.opened.blocks(["id", *extras.wanted(head)])):
        arrays, other = {f"head:{name}": values for name, values in head.spool.block(index).items()}, None
        if baseline is not None and theirs is not None:
            other = next(theirs, None)
            if other is None or not _same(other["id"], ours["id"]):
                spool.close()
                return None
            arrays |= {f"baseline:{name}": values for name, values in baseline.spool.block(index).items()}
            arrays |= extras.columns(baseline, other, "baseline")
        arrays |= extras.columns(head, ours, "head") | extras.slices(head_view(head, ours), other)
        spool.append(arrays)
    if not head.rising:
        parts.once(baseline or head)
    return Aligned(head=head, spool=spool, extras=extras, baseline=baseline)


def _same(one: pl.Series, other: pl.Series) -> bool:
    """Whether two columns of ids are the same texts."""
    if one.dtype != other.dtype or not (one.dtype == pl.String or one.dtype.is_integer()):
        one, other = one.cast(pl.String), other.cast(pl.String)
    return len(one) == len(other) and bool((one == other).all())
