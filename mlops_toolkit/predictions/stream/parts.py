"""Rows dealt out by a hash of their id to parts that fit into memory: where ids stand twice, and which rows of two files belong together."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from mlops_toolkit.predictions import check
from mlops_toolkit.predictions.anonymous import hash_ids
from mlops_toolkit.predictions.pair import NAMED
from mlops_toolkit.predictions.stream import scratch
from mlops_toolkit.predictions.stream.admit import Stream
from mlops_toolkit.predictions.stream.extras import Extras, head_view
from mlops_toolkit.predictions.stream.spool import BLOCK, Array, Spool

ROWS = 1_000_000  # about so many of a side are a part
_AT_ONCE = 8  # blocks that are dealt out together: fewer, larger files
_ROW, _PLAIN, _CODE, _NOW, _BEFORE = "\0row", "\0plain", "\0cluster", "\0now:", "\0before:"


@dataclass
class Joined:
    """Common rows in `spool`, each part by rising id, and what only one side has (see `Pair`)."""

    spool: Spool
    only_baseline: tuple[str, ...] = ()
    only_baseline_count: int = 0
    only_head: tuple[str, ...] = ()
    only_head_count: int = 0


@dataclass
class Found:
    """What is wrong with the ids of one side: the first row of the file that repeats an earlier one, the least id of two clusters."""

    side: Stream
    twice: tuple[int, int, dict[str, str]] | None = None
    split: tuple[str, int, int] | None = None

    def look(self, frame: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
        """The part sorted by its keys."""
        frame = frame.sort(keys)
        same = (frame["id"] == frame["id"].shift(1)).fill_null(value=False)
        if not same.any():
            return frame
        twice = same & (frame["repeat"] == frame["repeat"].shift(1)) if len(keys) > 1 else same
        if twice.any():
            self._twice(frame, keys)
        elif _CODE in frame.columns and self.twice is None:
            bad = same & (frame[_CODE] != frame[_CODE].shift(1))
            if bad.any():
                at = bad.arg_max() or 0
                one = (str(frame["id"][at]), int(frame[_ROW][at]), int(frame[_CODE][at]))
                self.split = one if self.split is None else min(self.split, one)
        return frame

    def _twice(self, frame: pl.DataFrame, keys: list[str]) -> None:
        held = frame.filter(frame.select(keys).is_duplicated()).sort(_ROW)
        again = held.filter(~pl.struct(keys).is_first_distinct()).row(0, named=True)
        key = {name: again[name] for name in keys}
        first = held.filter(*(pl.col(name) == value for name, value in key.items()))[_ROW][0]
        key["id"] = again.get(_PLAIN, again["id"])  # as it stands in the file, not its hash
        one = (int(again[_ROW]), int(first), key)
        self.twice = one if self.twice is None else min(self.twice, one, key=lambda found: found[0])

    def refuse(self) -> None:
        """InvalidFile `duplicate-id` or `bad-cluster`."""
        source, number = self.side.opened.source, self.side.opened.number_at
        if self.twice is not None:
            again, first, key = self.twice
            rows = pl.DataFrame([key, key], schema=dict.fromkeys(key, pl.String))
            raise check.duplicate(rows, source, pl.Series([number(first), number(again)]))
        if self.split is not None:
            _, row, code = self.split
            shown = pl.Series("cluster", [self.side.clusters[code]])
            message = "repeats of one id lie in two clusters; the second is {}"
            check.refuse_where(pl.Series([True]), shown, source, pl.Series([number(row)]), "bad-cluster", message)


@dataclass
class _Dealt:
    """The rows of one side in files, by part."""

    folder: Path
    many: int
    files: dict[int, list[Path]] = field(default_factory=dict)
    _held: list[pl.DataFrame] = field(default_factory=list)

    def add(self, frame: pl.DataFrame) -> None:
        self._held.append(frame)
        if len(self._held) == _AT_ONCE:
            self.deal()

    def deal(self) -> None:
        """Write what is held."""
        if not self._held:
            return
        frame = pl.concat(self._held)
        self._held = []
        if self.many == 1:
            dealt = {0: frame}
        else:
            by = frame.with_columns((pl.col("id").hash(0) % self.many).cast(pl.Int32).alias("\0part"))
            dealt = {int(key[0]): part for key, part in by.partition_by("\0part", as_dict=True, include_key=False).items()}
        for number, part in dealt.items():
            files = self.files.setdefault(number, [])
            path = self.folder / f"{number}-{len(files)}"
            with scratch.writing():
                part.write_ipc(path, compression="lz4")
            files.append(path)

    def part(self, number: int) -> pl.DataFrame | None:
        """One part, whose files are gone then."""
        files = self.files.pop(number, [])
        frames = [pl.read_ipc(path) for path in files]
        for path in files:
            path.unlink()
        return pl.concat(frames) if frames else None


def _keys(side: Stream) -> list[str]:
    return ["id", "repeat"] if "repeat" in side.columns else ["id"]


def _dealt(side: Stream, frames: Iterator[pl.DataFrame], many: int) -> _Dealt:
    dealt = _Dealt(scratch.place("parts"), many)
    for frame in frames:
        dealt.add(frame)
    dealt.deal()
    return dealt


def _texts(block: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    return block.select(pl.col(keys).cast(pl.String))


def once(side: Stream) -> None:
    """Refuses a file in which an id stands twice. It has no repeats."""
    keys, start = _keys(side), 0

    def frames() -> Iterator[pl.DataFrame]:
        nonlocal start
        for block in side.opened.blocks(keys):
            yield _texts(block, keys).with_columns(pl.int_range(start, start + block.height, eager=True).alias(_ROW))
            start += block.height

    many = _many(side)
    dealt, found = _dealt(side, frames(), many), Found(side)
    for number in range(many):
        part = dealt.part(number)
        if part is not None:
            found.look(part, keys)
    shutil.rmtree(dealt.folder, ignore_errors=True)
    found.refuse()


def _many(*sides: Stream | None) -> int:
    return max(1, *(-(-side.n // ROWS) for side in sides if side is not None))


def join(baseline: Stream | None, head: Stream, extras: Extras, *, salt: str | None) -> Joined:
    """The rows that both sides have, by (id, repeat); without a baseline the head's, in that order within each part."""
    extras.begin(baseline, head)
    many, keys = _many(baseline, head), _keys(head)
    theirs = _dealt(baseline, _rows(baseline, extras, "baseline"), many) if baseline is not None else None
    ours = _dealt(head, _rows(head, extras, "head", salt), many)
    joined, spool = Joined(Spool.made("aligned")), {}
    wrong = [Found(side) for side in (baseline, head) if side is not None]
    runs = 0
    left: dict[str, list[pl.DataFrame]] = {"baseline": [], "head": []}
    for number in range(many):
        mine, other = ours.part(number), theirs.part(number) if theirs else None
        mine = wrong[-1].look(mine, keys) if mine is not None else None
        other = wrong[0].look(other, keys) if other is not None else None
        if theirs is not None:
            _only(joined, left, keys, mine, other)
            mine = mine.join(other, on=keys, how="inner", suffix="\0") if mine is not None and other is not None else None
        if mine is None or not mine.height or any(one.twice or one.split for one in wrong):
            continue
        mine = mine.sort(keys).with_columns((pl.col("id").rle_id().cast(pl.Int64) + runs).alias("head:run"))
        mine = mine.with_columns([pl.Series(name, values) for name, values in _grouped(mine, extras).items()])
        runs = int(mine["head:run"][-1]) + 1
        spool = {"head:row": mine[_ROW], **{c: mine[c] for c in mine.columns if ":" in c and not c.startswith("\0")}}
        for start in range(0, mine.height, BLOCK):
            joined.spool.append({name: _array(column.slice(start, BLOCK)) for name, column in spool.items()})
    for one in wrong:
        one.refuse()
    joined.only_baseline, joined.only_head = (_first(frames, keys) for frames in left.values())
    return joined


def _grouped(rows: pl.DataFrame, extras: Extras) -> dict[str, Array]:
    """Which slices the common rows lie in, where that is told by the columns of both sides."""
    if not extras.grouped.compared:
        return {}
    sides = [pl.DataFrame({c.removeprefix(prefix): rows[c] for c in rows.columns if c.startswith(prefix)}) for prefix in (_NOW, _BEFORE)]
    return extras.slices(*sides)


def _array(column: pl.Series) -> Array:
    array: Array = column.to_numpy()
    return array


def _rows(side: Stream, extras: Extras, whose: str, salt: str | None = None) -> Iterator[pl.DataFrame]:
    """A side's blocks: keys as text (ids hashed with the salt, and as they are), row, and what is compared, coded."""
    keys, start = _keys(side), 0
    wanted = extras.wanted(side) if whose == "head" else extras.wanted_before(side)
    for index, block in enumerate(side.opened.blocks([*keys, *(c for c in wanted if c not in keys)])):
        frame = _texts(block, keys)
        if salt is not None:
            frame = frame.with_columns(hash_ids(frame["id"], salt), frame["id"].alias(_PLAIN))
        arrays = {f"{whose}:{name}": values for name, values in side.spool.block(index).items()}
        arrays |= extras.columns(side, block, whose)
        if whose == "baseline":
            frame = frame.with_columns([block[c].alias(_BEFORE + c) for c in extras.grouped.compared])
        elif extras.grouped.compared:
            view = head_view(side, block)
            frame = frame.with_columns([view[c].alias(_NOW + c) for c in extras.named(side)])
        else:
            arrays |= extras.slices(head_view(side, block))
        numbers = [pl.Series(name, _wide(values)) for name, values in arrays.items()]
        if f"{whose}:cluster" in arrays:
            numbers.append(pl.Series(_CODE, arrays[f"{whose}:cluster"].astype("int64")))
        yield frame.with_columns(pl.int_range(start, start + block.height, eager=True).alias(_ROW), *numbers)
        start += block.height


def _wide(values: Array) -> Array:
    """Codes of one width: blocks that are dealt out together must agree."""
    return values if values.dtype.kind == "f" else values.astype("uint32")


def _only(
    joined: Joined, left: dict[str, list[pl.DataFrame]], keys: list[str], mine: pl.DataFrame | None, other: pl.DataFrame | None
) -> None:
    """Count and name what only one side of a part has."""
    for whose, one, against in (("baseline", other, mine), ("head", mine, other)):
        if one is None:
            continue
        rows = one.join(against, on=keys, how="anti") if against is not None else one
        if _PLAIN in rows.columns:
            rows = rows.with_columns(pl.col(_PLAIN).alias("id"))
        left[whose].append(rows.select(keys).sort(keys).head(NAMED))
        if whose == "baseline":
            joined.only_baseline_count += rows.height
        else:
            joined.only_head_count += rows.height


def _first(frames: list[pl.DataFrame], keys: list[str]) -> tuple[str, ...]:
    return tuple(pl.concat(frames).sort(keys)["id"].head(NAMED).to_list()) if frames else ()
