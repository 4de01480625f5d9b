"""How much memory this process may still take."""

from __future__ import annotations

from pathlib import Path


def available(root: Path = Path("/")) -> int | None:
    """Bytes: of the machine, or of the container, whichever is less; None where the kernel does not say. root: where /proc and /sys lie."""
    found = [one for one in (_machine(root / "proc/meminfo"), *_groups(root)) if one is not None]
    return min(found, default=None)


def _machine(path: Path) -> int | None:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)


def _groups(root: Path) -> list[int | None]:
    """What is left of the limits of this process's control group and of those above it."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    own = next((line.partition("::")[2].strip("/") for line in lines if "::" in line), "")
    top = root / "sys/fs/cgroup"
    folders = [top.joinpath(*own.split("/")[:many]) for many in range(len(own.split("/")) + 1)] if own else [top]
    old = top / "memory"
    return [
        *(_left(folder / "memory.max", folder / "memory.current", folder / "memory.stat") for folder in folders),
        _left(old / "memory.limit_in_bytes", old / "memory.usage_in_bytes", old / "memory.stat"),
    ]


def _left(most: Path, now: Path, detail: Path) -> int | None:
    """Of a limit what is not used; copies of files on disk make room when it is needed."""
    try:
        limit = most.read_text().strip()
        if limit == "max":
            return None
        parts = dict(line.split()[:2] for line in detail.read_text().splitlines())
        files = sum(int(parts.get(name, 0)) for name in ("inactive_file", "active_file"))
        return max(0, int(limit) - max(0, int(now.read_text()) - files))
    except (OSError, ValueError):
        return None
