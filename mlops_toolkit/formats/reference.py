"""`reference.json`: what a model's inputs and answers looked like when it was saved, in counts, so that whoever serves it can see when they change."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_toolkit.errors import InvalidFile
from mlops_toolkit.formats.signature import Arrays, Tensor

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NAME = "reference.json"
SCHEMA = 1
ROWS = 10_000  # of the example, evenly spread
BINS = 10  # of numbers, with equally many rows each
LONG, PICTURES = 20_000_000, 200  # values of one input that are looked at: fewer rows of large pictures, but so many
PIECE = 1_000_000  # values that are looked at at once
FEW = 20  # different values that are cells of their own
EACH = 5  # rows a cell, at least
WIDE = 256  # numbers a row that are features each; of longer rows the mean, the spread and the ends are
FEATURES, SIZE = 512, 95_000  # of all inputs, and of all outputs: so many features, and bytes of the file, at most
SAME = 1e-6  # relative: answers this near are one; in another batch they are rounded otherwise
SUMMARIES = ("mean", "std", "min", "max")
TEXT = 100  # characters of a category


@dataclass(frozen=True)
class Feature:
    """One number or one word a row, and how many rows of the example lie in which cell.

    tensor  the input or output that it is of
    name    for people: a label of the tensor, a place in its row (`3`, `0,3`), `length`, `mean`, …; empty where a row is one value
    take    `value`, `length` (of text or a file), or one of `SUMMARIES` (of all numbers of a row)
    place   in the row, flat
    edges   of a number: its cells are below the first, between two, above the last; one more is for NaN
    values  of a category: its cells are these, and one more for all others; None for a number
    counts  rows of the example by cell
    """

    tensor: str
    name: str
    take: str
    place: int
    edges: tuple[float, ...]
    values: tuple[str, ...] | None
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Reference:
    """Features of inputs and of outputs."""

    inputs: tuple[Feature, ...] = ()
    outputs: tuple[Feature, ...] = ()


def spread(rows: int, most: int) -> slice:
    """At most so many of the rows, evenly spread."""
    return slice(0, None, max(1, -(-rows // most)))


def of(arrays: Arrays, tensors: Sequence[Tensor], *, same: float = 0.0) -> tuple[Feature, ...]:
    """What these arrays look like. Pure: the same arrays give the same features.

    same: numbers that differ by no more than this, relative to them, are one value; 0.0 for inputs, `SAME` for answers.
    """
    made: list[Feature] = []
    size = 0
    for tensor in tensors:
        array = arrays[tensor.name]
        array = array[spread(len(array), ROWS)]
        done: set[int] = set()  # columns that are categories: how long their words are says nothing more
        for take in _takes(tensor, array):
            columns = taken(array[spread(len(array), max(LONG // max(array[:1].size, 1), PICTURES))], take)
            for place in range(columns.shape[1]):
                found = _category(columns[:, place]) if take == "category" else _number(columns[:, place], tensor.dtype, same)
                if found is None or place in done:
                    continue
                if take == "category":
                    done.add(place)
                edges, values, counts = found
                made.append(Feature(tensor.name, _name(tensor, take, place), take, place, edges, values, counts))
                size += len(_dumped(_written(made[-1]))) + 1
                if len(made) > FEATURES or size > SIZE:
                    return tuple(made[:-1])
    return tuple(made)


def _takes(tensor: Tensor, array: NDArray[Any]) -> tuple[str, ...]:
    free = any(length is None for length in tensor.shape[1:])
    width = math.prod(length for length in tensor.shape[1:] if length is not None)
    if tensor.dtype == "BYTES":
        words = all(isinstance(one, str) for one in array.reshape(-1)[:1])  # not files
        return () if free or width > WIDE else ("category", "length") if words else ("length",)
    if not free and width <= WIDE:
        return ("value",)
    # rows of free length are padded where they are numbers of words: their sums say more of the padding than of the words
    return SUMMARIES if not free or tensor.dtype.startswith("FP") or tensor.dtype == "UINT8" else ()


def _name(tensor: Tensor, take: str, place: int) -> str:
    lengths = [length for length in tensor.shape[1:] if length is not None]
    if take in SUMMARIES:
        return take
    if len(lengths) == 0:
        return "length" if take == "length" else ""
    if len(lengths) == 1 and tensor.labels is not None and len(tensor.labels) == lengths[0]:
        return tensor.labels[place][:TEXT]
    places = []
    for length in reversed(lengths):
        place, rest = divmod(place, max(length, 1))
        places.append(str(rest))
    return ",".join(reversed(places)) + (" length" if take == "length" else "")


def taken(array: NDArray[Any], take: str) -> NDArray[Any]:
    """What is taken of each row: [rows, columns], float64, of a category objects of str."""
    import numpy as np

    rows = len(array)
    flat = array.reshape(rows, -1)
    if take in ("length", "category"):
        made = np.empty(flat.shape, object if take == "category" else np.float64)
        for place, one in enumerate(flat.reshape(-1)):
            made.reshape(-1)[place] = len(one) if take == "length" else str(one)[:TEXT]
        return made
    if take == "value":
        return flat.astype(np.float64)
    each = max(1, PIECE // max(flat.shape[1], 1))
    pieces = [_summary(flat[start : start + each].astype(np.float64), take) for start in range(0, rows, each)]
    return np.concatenate(pieces).reshape(rows, 1)


def _summary(numbers: NDArray[np.float64], take: str) -> NDArray[np.float64]:
    """One number a row."""
    import numpy as np

    known = np.isfinite(numbers)
    count = known.sum(axis=1)
    with np.errstate(all="ignore"):  # rows of nothing, or beyond what a double holds: NaN or infinity, and so they are counted
        if take in ("min", "max"):
            empty = np.inf if take == "min" else -np.inf
            found = getattr(np.where(known, numbers, empty), take)(axis=1, initial=empty)
            return np.asarray(np.where(count > 0, found, np.nan))
        mean = np.where(known, numbers, 0.0).sum(axis=1) / count
        if take == "std":
            mean = np.sqrt((np.where(known, numbers - mean[:, None], 0.0) ** 2).sum(axis=1) / count)
    return np.asarray(mean)


def _number(column: NDArray[np.float64], dtype: str, same: float) -> tuple[tuple[float, ...], None, tuple[int, ...]]:
    """Edges and counts. Cells are values where there are few, else hold equally many rows."""
    import numpy as np

    known = np.sort(np.clip(column[~np.isnan(column)], -1e300, 1e300))
    if not len(known):
        return (), None, (0, len(column))
    apart = np.diff(known) > same * np.maximum(np.abs(known[1:]), np.abs(known[:-1]))
    starts = np.concatenate([[0], np.flatnonzero(apart) + 1])  # of each run of values that are the same
    if len(starts) <= FEW and len(known) >= EACH * len(starts):
        lows, highs = known[starts], known[np.concatenate([starts[1:], [len(known)]]) - 1]
        ends = (lows[0] - _step(lows[0], dtype), highs[-1] + _step(highs[-1], dtype))  # beyond them is what the example never showed
        edges = [_short(ends[0], lows[0]), *map(_short, highs[:-1], lows[1:]), _short(highs[-1], ends[1])]
    else:
        bins = max(1, min(BINS, len(known) // EACH))
        places = np.searchsorted(starts, np.round(np.arange(1, bins) * len(known) / bins))  # the first run from there on
        cuts = sorted({int(starts[place]) for place in places if place < len(starts)} - {0}) or [int(start) for start in starts[1:][-1:]]
        edges = [_short(known[cut - 1], known[cut]) for cut in cuts]
    made = tuple(sorted(set(edges)))
    return made, None, tuple(_cells(column, np.array(made)).tolist())


def _step(value: float, dtype: str) -> float:
    return 1.0 if not dtype.startswith("FP") else max(2e-4 * abs(value), 2e-6)


def _short(low: float, high: float) -> float:
    """The number of fewest digits in the middle half between two."""
    quarter = (high - low) / 4
    middle = low + 2 * quarter
    for digits in range(1, 17):
        made = float(f"{middle:.{digits}g}")
        if low + quarter <= made <= high - quarter:
            return made
    return float(middle)


def _category(column: NDArray[Any]) -> tuple[tuple[float, ...], tuple[str, ...], tuple[int, ...]] | None:
    """The commonest words and their counts; None where hardly any comes twice, as in prose.

    Where there are more words than cells, half of the rows choose them and the other half counts: those that are chosen for being common
    among some rows are not as common among others.
    """
    words = Counter(column.tolist())
    if len(words) <= FEW and len(column) >= EACH * len(words):
        chosen, rows = words, column.tolist()
    else:
        chosen, rows = Counter(column[::2].tolist()), column[1::2].tolist()
    common = sorted(chosen, key=lambda word: (-chosen[word], word))[:FEW]
    counted = Counter(rows)
    counts = [counted[word] for word in common]
    if sum(counts) * 2 < len(rows) or not rows:
        return None
    return (), tuple(common), (*counts, len(rows) - sum(counts))


def _cells(column: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.int64]:
    """Counts by cell; the last cell is NaN's."""
    import numpy as np

    place = np.searchsorted(edges, column, side="right")
    place[np.isnan(column)] = len(edges) + 1
    return np.bincount(place, minlength=len(edges) + 2)


class Tally:
    """Counts arrays into the cells of features, those of one tensor at once."""

    def __init__(self, features: Sequence[Feature]) -> None:
        import numpy as np

        self._features = features
        self.cells = max((len(feature.counts) for feature in features), default=0)
        groups: dict[tuple[str, str], list[int]] = {}
        for index, feature in enumerate(features):
            groups.setdefault((feature.tensor, feature.take), []).append(index)
        self._groups = [(*key, indices) for key, indices in groups.items()]
        self._edges = [np.array(feature.edges) for feature in features]

    def __call__(self, arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.int64]:
        """[features, cells]; a tensor that is not there counts nothing."""
        import numpy as np

        made = np.zeros((len(self._features), self.cells), np.int64)
        for tensor, take, indices in self._groups:
            if tensor not in arrays or not len(arrays[tensor]):
                continue
            columns = taken(arrays[tensor], take)
            for index in indices:
                column = columns[:, self._features[index].place]
                if take == "category":
                    made[index] = self._words(index, column.tolist())
                else:
                    made[index, : len(self._edges[index]) + 2] = _cells(column, self._edges[index])
        return made

    def _words(self, index: int, words: list[str]) -> NDArray[np.int64]:
        import numpy as np

        known = {word: cell for cell, word in enumerate(self._features[index].values or ())}
        return np.bincount([known.get(word, len(known)) for word in words], minlength=self.cells)


def written(reference: Reference) -> bytes:
    """The file's bytes."""
    data = {"schema": SCHEMA, "inputs": [*map(_written, reference.inputs)], "outputs": [*map(_written, reference.outputs)]}
    return _dumped(data) + b"\n"


def _dumped(data: Any) -> bytes:
    return json.dumps(data, allow_nan=False, separators=(",", ":")).encode("ascii")


def _written(feature: Feature) -> dict[str, Any]:
    cells = {"edges": list(feature.edges)} if feature.values is None else {"values": list(feature.values)}
    said = {"tensor": feature.tensor, "name": feature.name, "take": feature.take, "place": feature.place}
    return {**said, **cells, "counts": list(feature.counts)}


def read(folder: Path) -> Reference | None:
    """Of a model's folder; None of one that was saved without. InvalidFile `bad-model`."""
    place = folder / NAME
    try:
        data = json.loads(place.read_bytes())
        if data["schema"] != SCHEMA:
            return None  # a later version's: nothing is watched, and the model answers
        return Reference(tuple(_features(data["inputs"])), tuple(_features(data["outputs"])))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise InvalidFile("bad-model", f"it cannot be read: {type(error).__name__}: {error}", where=str(place)) from error


def _features(said: Sequence[Any]) -> Iterator[Feature]:
    if len(said) > FEATURES:
        raise ValueError(f"{len(said)} features")
    for one in said:
        edges = tuple(float(edge) for edge in one.get("edges", ()))
        values = tuple(map(str, one["values"])) if "values" in one else None
        counts = tuple(int(count) for count in one["counts"])
        take, place = str(one["take"]), int(one["place"])
        cells = len(edges) + 2 if values is None else len(values) + 1
        fits = (
            len(counts) == cells <= FEW + 3
            and 0 <= min(counts) <= max(counts) <= 10**9
            and place >= 0
            and list(edges) == sorted(set(edges))
        )
        if not fits or not all(map(math.isfinite, edges)) or take not in ("value", "length", "category", *SUMMARIES):
            raise ValueError(f"{one['name']!r} of {one['tensor']!r} has {len(counts)} counts for {cells} cells")
        if (take == "category") != (values is not None):
            raise ValueError(f"{one['name']!r} of {one['tensor']!r} is neither numbers nor words")
        yield Feature(str(one["tensor"]), str(one["name"]), take, place, edges, values, counts)
