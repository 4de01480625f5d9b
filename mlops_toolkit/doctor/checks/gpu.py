"""Whether the GPUs that a configuration asks for are there, and nobody else's."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from mlops_toolkit.doctor.finding import Finding, Patient
from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.system import gpu, proc

ELSEWHERE = "run the job on a machine with a GPU (`runs-on: [self-hosted, gpu]`), or remove `gpus:` to train on the CPU"
# What nvidia-smi says, and what to do about it.
CURES = (
    (r"version mismatch", "the driver was updated under the running system: reboot the machine"),
    (
        r"communicate with the NVIDIA driver|couldn't communicate",
        "the driver is not loaded: modprobe nvidia, or install it for this kernel",
    ),
    (r"hides every GPU", "unset CUDA_VISIBLE_DEVICES, or name a device in it"),
    (r"No devices were found|lists no GPU", "ls /dev/nvidia*   # is a device given to this machine or container?"),
)
CONTAINER = "jobs:\n  train:\n    container: {image: …, options: --gpus all}   # a container sees no GPU unless it is given one"


def check(patient: Patient) -> Iterator[Finding]:
    """Only where `gpus:` asks for one here: nobody else wants to hear of it, and another launcher's are on another machine."""
    trains = [c.config.train for c in patient.configs if c.config.train and c.config.train.launcher == "local"]
    wanted = max((train.gpus or 0 for train in trains), default=0)
    if not wanted:
        return
    env = patient.world.env
    found = gpu.probe(env)
    if len(found.names) >= wanted:
        yield Finding("fine", f"{wanted} of {len(found.names)} GPUs asked for: {', '.join(found.names)}, driver {found.driver}")
        yield from _busy(env)
    else:
        message = f"train.gpus asks for {wanted}, found {len(found.names)}: {found.trouble or ', '.join(found.names)}"
        yield Finding("problem", message, cure(found.trouble or ""))


def cure(trouble: str, root: Path = Path("/")) -> str:
    """What to do about GPUs that are not there."""
    known = next((way_out for pattern, way_out in CURES if re.search(pattern, trouble)), None)
    inside = any((root / name).exists() for name in (".dockerenv", "run/.containerenv")) and "version" not in trouble
    return "\n".join(filter(None, [known, CONTAINER if inside and known is None else None, ELSEWHERE]))


def _busy(env: Mapping[str, str]) -> Iterator[Finding]:
    """Other programs on the devices: their memory is gone, and ours may run out."""
    query = ["nvidia-smi", "--query-compute-apps=pid,process_name,used_memory", "--format=csv,noheader"]
    try:
        done = proc.run(query, env=env, timeout_seconds=20)
    except EnvironmentFailure:
        return
    rows = [line.strip() for line in done.text.splitlines() if line.count(",") >= 2] if done.status == 0 else []
    if rows:
        told = "; ".join(f"process {row}" for row in rows[:3]) + (f" and {len(rows) - 3} more" if len(rows) > 3 else "")
        yield Finding("note", f"the GPUs are in use: {told}", "nvidia-smi   # whose are they?")
