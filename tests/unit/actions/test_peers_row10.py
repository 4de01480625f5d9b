"""Peers' defect 10: `latest` everywhere. What we run, and what we give people to run, is named to the version."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
FILES = [
    ROOT / "action.yml",
    *sorted((ROOT / "actions").glob("*/action.yml")),
    *sorted((ROOT / "workflows-templates").glob("*.yml")),
    *sorted((ROOT / ".github").rglob("*.yml")),
]
OURS = re.compile(r"(org/mlops-actions(/[a-z-]+)?@v1|\./actions/[a-z-]+)")
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}")
# Programs that fetch the newest of something unless a version is named.
FETCHES = re.compile(r"\b(npx|pipx|uvx|npm (?:i|install)|go (?:install|run)|docker (?:pull|run)|pip install|uv pip install|curl|wget)\b")


def used(path: Path) -> Iterator[str]:
    """Every `uses:` at any depth."""

    def walk(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            if isinstance(node.get("uses"), str):
                yield node["uses"]
            for value in node.values():
                yield from walk(value)
        elif isinstance(node, list):
            for value in node:
                yield from walk(value)

    yield from walk(yaml.safe_load(path.read_text()))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_row_10_every_action_that_is_not_ours_is_named_by_its_commit(path: Path) -> None:
    loose = [each for each in used(path) if not OURS.fullmatch(each) and not PINNED.fullmatch(each)]
    assert loose == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_row_10_the_commit_of_an_action_comes_with_the_version_that_it_is(path: Path) -> None:
    """Or nobody can tell whether it is old, and no robot can renew it."""
    lines = [line for line in path.read_text().splitlines() if re.search(r"uses: \S+@[0-9a-f]{40}", line)]
    assert [line for line in lines if not re.search(r"@[0-9a-f]{40}\s+# v\d+", line)] == []


@pytest.mark.parametrize("path", sorted((ROOT / "actions").glob("*/action.yml")), ids=lambda path: path.parent.name)
def test_row_10_our_actions_use_no_other_so_that_a_rule_for_full_commits_lets_them_through(path: Path) -> None:
    assert list(used(path)) == []


@pytest.mark.parametrize("path", sorted((ROOT / "requirements").glob("*.txt")), ids=lambda path: path.name)
def test_row_10_every_package_that_we_install_is_one_version_with_its_digests(path: Path) -> None:
    joined = path.read_text().replace("\\\n", " ")
    wanted = [line for line in joined.splitlines() if line.strip() and not line.startswith(("#", "-"))]
    assert wanted
    assert [line.split()[0] for line in wanted if not (re.match(r"[\w.\[\]-]+==[\w.+!-]+\s", line) and "--hash=sha256:" in line)] == []


def test_row_10_no_step_fetches_whatever_is_newest() -> None:
    loose = []
    for path in FILES:
        for line in path.read_text().splitlines():
            found = FETCHES.search(line.partition("#")[0])
            if found and not re.search(r"==|@v?\d|--require-hashes|--requirement|-r ", line):
                loose.append(f"{path.relative_to(ROOT)}: {line.strip()}")
    assert loose == []


def test_row_10_the_check_itself_sees_a_tag_and_a_branch() -> None:
    for loose in ("actions/checkout@v4", "actions/checkout@main", "docker://alpine:latest", "actions/checkout@08c6903"):
        assert not OURS.fullmatch(loose)
        assert not PINNED.fullmatch(loose)
