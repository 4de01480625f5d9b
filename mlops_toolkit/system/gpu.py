"""What the GPUs are (by nvidia-smi) and what a command used of them (by NVML, where nvidia-ml-py is installed)."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.system import proc


@dataclass(frozen=True)
class Gpus:
    """The GPUs a command would see. names: one a device; trouble: why there are none, as a sentence."""

    names: tuple[str, ...] = ()
    driver: str | None = None
    trouble: str | None = None


def probe(env: Mapping[str, str]) -> Gpus:
    """Ask nvidia-smi, respecting CUDA_VISIBLE_DEVICES. Never raises: no GPU is an answer."""
    try:
        done = proc.run(["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"], env=env, timeout_seconds=20)
    except EnvironmentFailure as error:
        missing = error.name == "program-missing"
        return Gpus(trouble="nvidia-smi is not installed: no NVIDIA driver here" if missing else error.message)
    if done.status != 0:
        return Gpus(trouble=f"nvidia-smi failed: {(done.text or done.trouble).splitlines()[-1]}")
    rows = [line.rpartition(",") for line in done.text.splitlines() if "," in line]
    names = [name.strip() for name, _, _ in rows]
    visible = env.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        wanted = [word.strip() for word in visible.split(",") if word.strip()]
        if not wanted or wanted[0].startswith("-"):
            return Gpus(trouble=f'CUDA_VISIBLE_DEVICES is "{visible}": it hides every GPU')
        names = [names[int(word)] if word.isdecimal() else names[0] for word in wanted if not word.isdecimal() or int(word) < len(names)]
    return Gpus(tuple(names), rows[0][2].strip() if rows else None, None if names else "nvidia-smi lists no GPU")


class Meter:
    """Busy GPU-seconds and joules between `Meter()` and `read()`, over every device of this machine; call `sample` about every second.

    Counts other people's use of the same devices too: NVML cannot tell them apart inside a container.
    """

    def __init__(self) -> None:
        self._nvml: Any = None
        self._devices: list[Any] = []
        self._busy = 0.0
        with contextlib.suppress(Exception):  # no package, no driver, no permission: all mean unknown
            import pynvml  # type: ignore[import-not-found, import-untyped, unused-ignore]

            pynvml.nvmlInit()
            self._nvml = pynvml
            self._devices = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
        self._energy = self._joules()

    def _joules(self) -> float | None:
        with contextlib.suppress(Exception):
            if self._devices:
                return float(sum(self._nvml.nvmlDeviceGetTotalEnergyConsumption(d) for d in self._devices)) / 1000
        return None

    def sample(self, seconds: float) -> None:
        """Add the last `seconds`, weighted by each device's utilisation."""
        with contextlib.suppress(Exception):
            self._busy += seconds * sum(self._nvml.nvmlDeviceGetUtilizationRates(d).gpu for d in self._devices) / 100

    def read(self) -> tuple[float | None, float | None]:
        """(GPU-seconds, joules); None where unknown."""
        after = self._joules()
        energy = None if after is None or self._energy is None else round(after - self._energy, 3)
        busy = round(self._busy, 3) if self._devices else None
        with contextlib.suppress(Exception):
            self._nvml.nvmlShutdown()
        return busy, energy
