"""What a command took: the numbers a run record keeps of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Resources:
    """What it took: seconds of wall and CPU time, GPU-seconds, peak memory in bytes, joules; null where unknown."""

    wall_seconds: float | None = None
    cpu_seconds: float | None = None
    gpu_seconds: float | None = None
    peak_memory: int | None = None
    energy_joules: float | None = None

    def __add__(self, other: Resources) -> Resources:
        """One after the other: times and energy add up, the peak is the higher one; unknown plus known is the known."""

        def total(one: float | None, two: float | None) -> float | None:
            return one if two is None else two if one is None else one + two

        peaks = [peak for peak in (self.peak_memory, other.peak_memory) if peak is not None]
        return Resources(
            wall_seconds=total(self.wall_seconds, other.wall_seconds),
            cpu_seconds=total(self.cpu_seconds, other.cpu_seconds),
            gpu_seconds=total(self.gpu_seconds, other.gpu_seconds),
            peak_memory=max(peaks, default=None),
            energy_joules=total(self.energy_joules, other.energy_joules),
        )
