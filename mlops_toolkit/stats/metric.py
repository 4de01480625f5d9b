"""What a metric is: a value, and per example how much that example pulls on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from mlops_toolkit.stats.sample import Floats, Sample
from mlops_toolkit.stats.tally import Slope, Tally

Direction = Literal["higher", "lower"]
Column = Literal["absolute", "square", "centred"]  # |prediction − target|, its square, and that of the target's distance from the middle


@dataclass(frozen=True)
class Measured:
    """A metric of one Sample.

    value      None where it is undefined; `state` says why (`no-positives`, `one-class`, `constant-target`, `empty`, …). Where
               scikit-learn warns and fills in a number (a class without predictions), value is that number and state names it too.
    influence  (n,) float64: w_j · ∂value/∂w_j. It sums to 0. Standard error² ≈ n/(n−1)·Σ influence² (infinitesimal jackknife);
               clusters are summed before squaring. None where value is None.
    support    the smallest number of rows of any class whose rows the metric depends on as "positives" (None: means and the like)
    rare       what those rows are, in words: `rows of class "spam"`
    df         degrees of freedom of what all of the influence is a multiple of and that was estimated too (None: nothing is)
    """

    value: float | None
    influence: Floats | None = None
    state: str = "ok"
    support: int | None = None
    rare: str | None = None
    df: int | None = None


@dataclass(frozen=True)
class Level:
    """A function of means: its value (None where undefined: `state` says why) and its derivatives by each of the means."""

    value: float | None
    slopes: tuple[float, ...] = ()
    state: str = "ok"


@dataclass(frozen=True)
class Means:
    """A metric that is a function of weighted means of numbers that each example has: one pass for the means, one for the influences.

    numbers  (sample, about) -> the numbers, (n,) each; of any part of the rows
    at       the metric at those means. An example's influence is w/Σw · Σ slope·(number − mean)
    about    of the whole sample: what `numbers` must know of the others (a mean), and the state; or a Measured where it is undefined
    dear     whether the numbers take longer to compute than to keep; then they hang on the row alone, and not on `about`
    columns  where they are of the errors: which (see `of_errors`); `about` is then the middle of the targets where "centred" is among them
    """

    numbers: Callable[[Sample, float], tuple[Floats, ...]]
    at: Callable[[tuple[float, ...]], Level]
    about: Callable[[Sample], tuple[str, float] | Measured]
    dear: bool = False
    columns: tuple[Column, ...] = ()


@dataclass(frozen=True)
class Ranked:
    """A metric of the order that one score puts two kinds of examples in: computed without sorting where that is near enough (`binned`).

    curve  which one;  of  (sample) -> the index of the positives' label and the scores (n,); None where it is not one score's order
    """

    curve: Literal["roc-auc", "average-precision"]
    of: Callable[[Sample], tuple[int, Floats] | None]


@dataclass(frozen=True)
class Order:
    """A metric that is a quantile: of which numbers, (n,) or a Measured where it is undefined, and 0 < q < 1 (see `metrics.quantiles`)."""

    values: Callable[[Sample], Floats | Measured]
    q: float


@dataclass(frozen=True)
class Metric:
    """A metric bound to its parameters.

    name       as in mlops.yaml and the comment: `f1:spam`, `judge_score`
    signature  definition, averaging, version: two values are compared only if their signatures are equal
    rowwise    right or wrong a row (accuracy; recall of a class, on that class's rows): its paired difference uses Tango's interval
    unit       "fraction" (0 to 1, shown in percentage points), "" (plain number), or a word (`ms`)
    bounds     the least and largest value it can have, None where unbounded
    only       of a rowwise metric: the label whose rows alone count (index into the Sample's labels), None where all do
    slope      the metric as a function of a Tally, where it is one: computed for many metrics and slices from one table
    means      the metric as a function of means, where it is one: computed chunk by chunk, in any number of pieces
    ranked     the metric as one of an order, where it is one
    order      the metric as a quantile, where it is one
    sized      which of the value or the rest to 1 is positive and has an error that grows with it (a mean of squares): its interval reaches
               further to where that is more (see `single.further`)
    reads      what of a Sample two models must differ in to differ in the metric: predictions, scores or probabilities, the argument's column
    """

    name: str
    family: str
    direction: Direction
    signature: str
    measure: Callable[[Sample], Measured]
    unit: str = ""
    bounds: tuple[float | None, float | None] = (None, None)
    rowwise: bool = False
    argument: str | None = None
    only: Callable[[Sample], int | None] = lambda sample: None
    slope: Callable[[Tally], Slope] | None = None
    means: Means | None = None
    ranked: Ranked | None = None
    order: Order | None = None
    sized: Literal["value", "rest"] | None = None
    reads: Literal["prediction", "scores", "columns"] = "prediction"
