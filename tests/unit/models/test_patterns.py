"""Patterns of inputs mean what they mean in .gitignore: compared with git itself."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_toolkit.models.patterns import compile_patterns, select

PATHS = (
    "a.py",
    "src/a.py",
    "src/net/b.py",
    "src/b.txt",
    "lib/src/c.py",
    "lib/x.py",
    "data/a.csv",
    "data/deep/er/a.csv",
    "ü/[1].py",
    "src.py",
    "docs/a.md",
)


@pytest.mark.parametrize(
    ("patterns", "chosen"),
    [
        (["src/"], ["src/a.py", "src/net/b.py", "src/b.txt", "lib/src/c.py"]),
        (["/src/"], ["src/a.py", "src/net/b.py", "src/b.txt"]),
        (["src"], ["src/a.py", "src/net/b.py", "src/b.txt", "lib/src/c.py"]),
        (["src/*.py"], ["src/a.py"]),
        (["src/**/*.py"], ["src/a.py", "src/net/b.py"]),
        (["**/a.csv"], ["data/a.csv", "data/deep/er/a.csv"]),
        (["data/**"], ["data/a.csv", "data/deep/er/a.csv"]),
        (["*.py", "!lib/"], ["a.py", "src/a.py", "src/net/b.py", "ü/[1].py", "src.py"]),
        (["[ab].py"], ["a.py", "src/a.py", "src/net/b.py"]),
        (["[!ab].py"], ["lib/src/c.py", "lib/x.py"]),
        (["\\[1].py"], ["ü/[1].py"]),
        (["./a.py"], ["a.py"]),
        (["."], list(PATHS)),
        (["none/"], []),
        ([], []),
    ],
)
def test_patterns(patterns: list[str], chosen: list[str]) -> None:
    assert select(PATHS, compile_patterns(patterns)) == chosen


@pytest.mark.parametrize(
    ("pattern", "chosen"),
    [
        ("*.py", ["lib/src/c.py", "lib/x.py"]),
        ("src/", ["lib/src/c.py"]),
        ("../src/", ["src/a.py", "src/net/b.py", "src/b.txt"]),
        ("../*.py", ["a.py", "src.py"]),
    ],
)
def test_patterns_are_relative_to_the_configuration_s_folder(pattern: str, chosen: list[str]) -> None:
    assert select(PATHS, compile_patterns([pattern], base="lib")) == chosen


SEGMENT = st.one_of(
    st.sampled_from(["a", "b", "src", "*", "?", "**", "*.py", "a*", "[ab]", "[!a]", "[a-c].py", "x?"]),
    st.text("ab*?.[]!-", min_size=1, max_size=4),
)
PATTERN = st.builds(
    lambda lead, parts, tail: lead + "/".join(parts) + tail,
    st.sampled_from(["", "/"]),
    st.lists(SEGMENT, min_size=1, max_size=3),
    st.sampled_from(["", "/"]),
)


NAMES = ("ab", "b.py", "src/a", "src/b.py", "a/b/c.py", "a/src/x1", "b/a", "xa")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("git")
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    for name in NAMES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    return folder


def plain(pattern: str) -> bool:
    """No comment, no negation (git refuses to look into an excluded folder, we do not), no `.` or `..` (git knows neither), no open `[`."""
    if any("**" in part and set(part) != {"*"} for part in pattern.split("/")):
        return False  # documented as two plain asterisks, but older gits let `a**/b` match `ab`
    return (
        "[" not in re.sub(r"\[[!^]?[^\[/][^/\]]*\]", "", pattern)
        and not pattern.startswith(("!", "#"))
        and not {".", ".."} & set(pattern.split("/"))
    )


@given(st.lists(PATTERN.filter(plain), min_size=1, max_size=3))
@settings(deadline=None, max_examples=50)
def test_git_agrees(repository: Path, patterns: list[str]) -> None:
    """`git check-ignore` chooses the same paths by the same patterns."""
    (repository / ".git" / "info" / "exclude").write_text("\n".join(patterns) + "\n")
    asked = "\0".join(NAMES).encode()
    command = ["git", "-C", str(repository), "check-ignore", "--no-index", "-z", "--stdin"]
    done = subprocess.run(command, input=asked, capture_output=True, check=False)
    theirs = {os.fsdecode(name) for name in done.stdout.split(b"\0") if name}
    assert set(select(NAMES, compile_patterns(patterns))) == theirs


@given(st.text(max_size=12), st.text("a/.*", max_size=6))
@settings(deadline=None, max_examples=300)
def test_no_text_is_an_error(pattern: str, path: str) -> None:
    select([path, "a/b"], compile_patterns([pattern], base="lib"))
