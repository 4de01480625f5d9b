"""What the documents say is so: their commands run, their configuration is read, their links lead somewhere."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mlops_toolkit.config.read import parse
from mlops_toolkit.demo import story
from tests.check import ROOT

DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md"), ROOT / "requirements/README.md"])
COMMANDS = [ROOT / "README.md", ROOT / "docs/tour.md", ROOT / "docs/record.md", ROOT / "docs/slices.md", ROOT / "docs/sample-size.md"]


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def blocks(path: Path, language: str) -> list[str]:
    """The fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """The digits project as its author has it before mlops comes along, with a remote, and two predictions files; `mlops` is a command on PATH."""
    folder = tmp_path / "digits"
    shutil.copytree(ROOT / "mlops_toolkit/demo/digits", folder, ignore=shutil.ignore_patterns("mlops.yaml", "__pycache__"))
    (folder / ".gitignore").write_text(story.IGNORED + "*.parquet\n")
    rows = [{"id": str(i), "target": str(i % 10), "prediction": str(i % 10 if i % 97 else 0)} for i in range(3000)]
    import polars as pl

    pl.DataFrame(rows).write_parquet(folder / "main.parquet")
    pl.DataFrame(rows[::-1]).write_parquet(folder / "mine.parquet")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/mlops").write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m mlops_toolkit "$@"\n')
    (tmp_path / "bin/mlops").chmod(0o755)
    shell("git init -q --bare ../origin.git && git init -q -b main && git remote add origin ../origin.git", folder)
    shell("git add . && git commit -q -m 'Read digits' && git push -q origin main", folder)
    return folder


def shell(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    names = {f"GIT_{who}_{what}": "ada@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    path = os.pathsep.join([str(folder.parent / "bin"), str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    env = {"PATH": path, "HOME": str(folder.parent), "GIT_CONFIG_NOSYSTEM": "1", **names}
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=folder, env=env, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize("document", COMMANDS, ids=relative)
def test_the_commands_run(document: Path, repository: Path) -> None:
    """Every `sh` block, in order, in a repository that trains something: each command ends well."""
    found = blocks(document, "sh")
    assert found
    for block in found:
        if "make " in block:
            done = subprocess.run(["make", "-n", *block.split()[1:]], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
        else:
            done = shell(block, repository)
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("document", COMMANDS, ids=relative)
def test_the_configuration_is_read(document: Path, tmp_path: Path) -> None:
    """Every mlops.yaml that a document shows, whole or in part, says what the tool understands."""
    shown = [block for block in blocks(document, "yaml") if "jobs:" not in block]
    assert shown
    for block in shown:
        text = block if "name:" in block else f"name: digits\nevaluate: {{run: python evaluate.py, task: classification}}\n{block}"
        assert parse(text, where=relative(document), path=tmp_path / "mlops.yaml").config.name


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_links_lead_somewhere(document: Path) -> None:
    """A link or picture inside the repository exists."""
    text = re.sub(r"```.*?```|`[^`]*`", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text) + re.findall(r'(?:src|srcset)="([^"]+)"', text)
    missing = [target for target in targets if "://" not in target and not (document.parent / target).exists()]
    assert not missing


def test_the_readme_fits_one_screen() -> None:
    """Less than a hundred lines: what does not fit belongs into docs/."""
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 100
