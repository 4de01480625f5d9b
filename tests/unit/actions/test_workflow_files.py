"""Every workflow and action file, read by the tools that know them best: GitHub's own parser, actionlint, zizmor, and a shell."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests import needs

ROOT = Path(__file__).parents[3]
PARSER = ROOT / "tests" / "world" / "workflow_parser"
ACTIONS = [ROOT / "action.yml", *sorted((ROOT / "actions").glob("*/action.yml"))]
WORKFLOWS = sorted(
    [
        *(ROOT / ".github" / "workflows").glob("*.yml"),
        *(ROOT / "workflows-templates").glob("*.yml"),
        *ROOT.glob("examples/*/.github/workflows/*.yml"),
    ]
)
FILES = [*ACTIONS, *WORKFLOWS]
VERBS = {
    "action.yml": "review",
    "train": "train",
    "evaluate": "evaluate",
    "compare-to-main": "compare",
    "plan": "plan",
    "report": "report",
    "publish-image": "publish",
    "deploy": "deploy",
    "monitor": "monitor",
}


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.fixture(scope="module")
def parser() -> Path:
    """The folder with GitHub's parser, installed once from its lock."""
    programs = needs.require("node", "node", "npm")
    lock = (PARSER / "package-lock.json").read_bytes()
    folder = Path(os.environ.get("MLOPS_TEST_CACHE") or ROOT / ".cache") / f"workflow-parser-{hashlib.sha256(lock).hexdigest()[:12]}"
    if not (folder / ".complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for each in ("package.json", "package-lock.json"):
            shutil.copy(PARSER / each, folder)
        done = subprocess.run(
            [programs["npm"], "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        if done.returncode != 0:
            needs.missing("node", f"GitHub's parser cannot be installed: {done.stderr.strip().splitlines()[-1:]}")
        (folder / ".complete").touch()
    return folder


def parsed(folder: Path, *files: Path) -> dict[str, list[str]]:
    """GitHub's parser's errors by file."""
    node = needs.require("node", "node")["node"]
    done = subprocess.run([node, PARSER / "parse.mjs", folder, *files], capture_output=True, text=True, check=True, timeout=60)
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


def test_github_s_own_parser_finds_nothing_wrong(parser: Path) -> None:
    assert parsed(parser, *FILES) == {str(path): [] for path in FILES}


def test_github_s_own_parser_would_find_something_wrong(parser: Path, tmp_path: Path) -> None:
    (tmp_path / "action.yml").write_text(ACTIONS[0].read_text().replace("shell: bash", "timeout-minutes: 3"))
    (tmp_path / "flow.yml").write_text(WORKFLOWS[0].read_text().replace("runs-on:", "run-on:"))
    assert all(parsed(parser, tmp_path / "action.yml", tmp_path / "flow.yml").values())


@pytest.fixture
def linted(tmp_path: Path) -> tuple[str, Path]:
    """actionlint, and a repository in which the workflows call our actions by path, so that their inputs are checked too."""
    program = needs.require("act", "actionlint")["actionlint"]
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    shutil.copy(ROOT / "action.yml", tmp_path)
    shutil.copytree(ROOT / "actions", tmp_path / "actions")
    flows = tmp_path / ".github" / "workflows"
    flows.mkdir(parents=True)
    for path in WORKFLOWS:
        text = re.sub(
            r"uses: [\w.-]+/mlops-actions(/[\w-]+)?@\S+", lambda m: f"uses: ./actions{m[1]}" if m[1] else "uses: ./", path.read_text()
        )
        (flows / name(path).replace("/", "_")).write_text(text)
    return program, tmp_path


def test_actionlint_finds_nothing_wrong_neither_in_what_our_actions_are_given(linted: tuple[str, Path]) -> None:
    program, root = linted
    done = subprocess.run([program, "-shellcheck=", "-pyflakes="], cwd=root, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")


def test_actionlint_would_find_a_misspelt_input(linted: tuple[str, Path]) -> None:
    program, root = linted
    flow = next(path for path in (root / ".github" / "workflows").iterdir() if path.name.startswith("workflows-templates"))
    flow.write_text(re.sub(r"(\n +)- uses: (\./actions/train)[^\n]*", r"\1- uses: \2\1  with: {confg: x}", flow.read_text()))
    done = subprocess.run([program, "-shellcheck=", "-pyflakes="], cwd=root, capture_output=True, text=True, check=False, timeout=60)
    assert 'input "confg" is not defined in action "mlops-actions train"' in done.stdout


def test_zizmor_at_its_strictest_finds_nothing() -> None:
    beside = Path(sys.executable).parent / "zizmor"
    program = str(beside) if beside.exists() else needs.require("zizmor", "zizmor")["zizmor"]
    done = subprocess.run(
        [program, "--offline", "--persona=auditor", "--no-progress", "--color=never", *FILES],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout
    assert "no audit was performed" not in done.stderr
    assert done.stderr.count("completed") == len(FILES)


@pytest.mark.parametrize("path", FILES, ids=name)
def test_whatever_zizmor_is_told_to_ignore_has_a_reason(path: Path) -> None:
    for line in path.read_text().splitlines():
        if found := re.search(r"zizmor: ignore\[[a-z, -]+\](.*)", line):
            assert len(found[1].split()) >= 2, line


@pytest.mark.parametrize("path", FILES, ids=name)
def test_every_action_of_others_is_pinned_to_a_commit_and_says_its_version(path: Path) -> None:
    for line in path.read_text().splitlines():
        found = re.match(r"^\s*(?:- )?uses: (?P<what>\S+)(?P<rest>.*)$", line)
        if found and not re.match(r"(\./|[\w.-]+/mlops-actions(/|@))", found["what"]):
            assert re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}", found["what"]), line
            assert re.match(r" # v\d+(\.\d+)*", found["rest"]), line


def test_every_link_in_the_repository_leads_somewhere() -> None:
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-s", "-z"], capture_output=True, text=True, check=True).stdout.split("\0")
    links = [line.split("\t", 1)[1] for line in listed if line.startswith("120000")]
    assert {"train", "evaluate", "compare-to-main", "plan", "report", "publish-image", "deploy"} <= set(links)
    for link in links:
        assert (ROOT / link).resolve(strict=True).is_relative_to(ROOT)


@pytest.mark.parametrize("path", ACTIONS, ids=name)
def test_an_action_is_one_step_that_holds_nothing_of_the_user_s_in_its_command(path: Path) -> None:
    (step,) = yaml.safe_load(path.read_text())["runs"]["steps"]
    assert set(step) == {"id", "run", "shell", "env"}
    assert (step["id"], step["shell"], step["env"]) == ("run", "bash", {"MLOPS_INPUTS": "${{ toJSON(inputs) }}"})
    assert "${{" not in step["run"]


@pytest.mark.parametrize("path", ACTIONS, ids=name)
def test_an_action_s_descriptions_hold_no_expression_for_a_runner_refuses_the_whole_action_then(path: Path) -> None:
    action = yaml.safe_load(path.read_text())
    entries = [action, *action["inputs"].values(), *action["outputs"].values()]
    assert [entry["description"] for entry in entries if "${{" in entry["description"]] == []


@pytest.mark.parametrize("layout", ["links kept", "folders copied"])
@pytest.mark.parametrize("path", ACTIONS, ids=name)
def test_the_command_of_an_action_finds_the_entry_script_however_the_runner_laid_the_files_out(
    path: Path, layout: str, tmp_path: Path
) -> None:
    root = tmp_path / "_actions" / "org" / "mlops-actions" / "v1"
    (root / "actions").mkdir(parents=True)
    (root / "actions" / "run").write_text('echo "$@"\n')
    called = "action.yml" if path.parent == ROOT else path.parent.name
    if called != "action.yml":
        (root / "actions" / called).mkdir()
        if layout == "links kept":
            (root / called).symlink_to(f"actions/{called}")
        else:
            (root / called).mkdir()
    command = yaml.safe_load(path.read_text())["runs"]["steps"][0]["run"]
    place = root if called == "action.yml" else root / called
    env = {"PATH": "/usr/bin:/bin", "GITHUB_ACTION_PATH": str(place)}
    flags = ["--noprofile", "--norc", "-e", "-o", "pipefail", "-c"]  # as the runner starts bash
    done = subprocess.run(["bash", *flags, command], env=env, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=20)
    assert (done.stdout, done.stderr) == (f"{VERBS[called]}\n", "")


@pytest.mark.parametrize("path", sorted((ROOT / "workflows-templates").glob("*.yml")), ids=name)
def test_a_template_can_be_offered_by_an_organisation(path: Path) -> None:
    properties = json.loads(path.with_suffix(".properties.json").read_text())
    assert {"name", "description", "iconName", "categories", "filePatterns"} == set(properties)
    assert all(re.compile(pattern).search("mlops.yaml") for pattern in properties["filePatterns"])
