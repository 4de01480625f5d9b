"""The locks hold what pyproject.toml asks for, every file by its hash, and name no package index."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.check import ROOT

# lock -> the extras of pyproject.toml that it holds
LOCKS = {
    "requirements/cli.txt": ("cli",),
    "requirements/publish.txt": ("cli", "publish"),
    "requirements/demo.txt": ("cli", "demo"),
    "requirements/dev.txt": ("cli", "demo", "serve", "publish", "grpc", "telemetry", "dev"),
    "mlops_toolkit/image/serve.txt": ("serve",),
}
ALL = sorted([*ROOT.glob("requirements/*.txt"), ROOT / "mlops_toolkit/image/serve.txt", *ROOT.glob("tests/programs/*/requirements.txt")])


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def asked(extra: str) -> set[str]:
    """The packages of one extra of pyproject.toml, by their normal names."""
    line = re.search(rf"^{extra} = \[(.*)\]$", (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert line, extra
    return {re.split(r"[><=!; \[]", text)[0].lower().replace("_", "-") for text in re.findall(r'"([^"]+)"', line[1])}


def versions(path: Path) -> dict[str, set[str]]:
    """Package -> its version (more than one where Python's version decides)."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([a-z0-9._-]+)==(\S+)", path.read_text(encoding="utf-8"), re.MULTILINE):
        found.setdefault(name, set()).add(version)
    return found


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_what_is_asked_for(lock: str) -> None:
    """Nobody added a dependency without `make lock`."""
    wanted = set().union(*(asked(extra) for extra in LOCKS[lock]))
    assert wanted <= set(versions(ROOT / lock))


def test_the_locks_agree() -> None:
    """What the actions install is what the tests ran with."""
    dev = versions(ROOT / "requirements/dev.txt")
    for lock in LOCKS:
        assert all(found <= dev[name] for name, found in versions(ROOT / lock).items())


@pytest.mark.parametrize("path", ALL, ids=relative)
def test_every_file_by_its_hash_from_any_index(path: Path) -> None:
    """Each pinned package has hashes; no address, index or folder of whoever made the lock is in it."""
    text = path.read_text(encoding="utf-8")
    entries = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert entries
    assert all("==" in entry and "--hash=sha256:" in entry for entry in entries)
    assert not re.search(r"https?:|index|find-links|file:|^/", text, re.MULTILINE)
