"""How the errors of several metrics go together: what differences of slices, means over trainings and joint statements need."""

from __future__ import annotations

import numpy as np

from mlops_toolkit.stats.sample import Codes, Floats
from mlops_toolkit.stats.tally import dense, summed


def covariance(influences: Floats, cluster: Codes | None = None) -> Floats:
    """The covariance matrix (m, m) of m metrics (or differences of metrics) with these influences (n, m), of the same n examples.

    Entry (a, b) is G/(G − 1)·Σ over units of x_a·x_b, where a unit is a row, or a cluster with its rows' influences summed first, and G
    is how many there are: the diagonal holds the squares of the standard errors. The variance of Σ c_a·metric_a is cᵀ V c. Where a
    metric is of some of the rows only (a slice), its influence is 0 on the others; G is that of all rows. ValueError with fewer than two units.
    """
    codes = dense(cluster)
    columns = [np.ascontiguousarray(column, dtype=np.float64) for column in influences.T]
    if codes is not None:
        units = int(codes.max()) + 1
        columns = [summed(codes, column, units) for column in columns]
    units = len(columns[0]) if columns else 0
    if units < 2:
        raise ValueError("a covariance needs two rows (clusters) at least")
    made = np.empty((len(columns), len(columns)))
    for a, one in enumerate(columns):
        for b in range(a + 1):
            made[a, b] = made[b, a] = float((one * columns[b]).sum()) * units / (units - 1)
    return made
