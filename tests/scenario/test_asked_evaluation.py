"""A fork that a maintainer asks to be evaluated: its checkout stands beside a token that may write, and is data to it all the same."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenario.fork_pair import TOKEN, Pair, make
from tests.world.github import serving
from tests.world.repository import CONFIG

WORSE = 300
FORGED = "29991231-235959-abcdef"


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with serving() as github:
        made = make(tmp_path, github)
        made.main()
        github.people["octocat"] = "write"
        yield made
    assert github.violations == []


def evaluated(pair: Pair, head: str, *verbs: str) -> subprocess.CompletedProcess[str]:
    """What the steps of the workflow do at the head after `/evaluate`; the last one's outcome, the first that fails."""
    pair.runs += 1
    payload = {
        "action": "created",
        "issue": {"number": 5, "pull_request": {"url": "https://example.test/5"}},
        "comment": {"body": "/evaluate", "user": {"login": "octocat"}, "created_at": "2026-03-02T00:00:00Z"},
        "repository": {"full_name": pair.github.repository, "default_branch": "main"},
    }
    pair.git("switch", "-q", "--detach", head)
    env = pair.actions("issue_comment", payload, pair.runs, pair.git("rev-parse", "main"), MLOPS_TOKEN=TOKEN)
    for verb in verbs or ("train", "evaluate", "compare"):
        done = pair.mlops(verb, cwd=pair.work, **env)
        if done.returncode != 0:
            break
    return done


def remote(pair: Pair, *args: str) -> str:
    return subprocess.run(["git", "-C", str(pair.remote), *args], capture_output=True, text=True, check=True).stdout


def states(pair: Pair, head: str) -> list[str]:
    return [each["state"] for each in pair.github.statuses[head]]


def test_a_pull_request_that_names_another_place_for_runs_is_compared_with_main_s(pair: Pair) -> None:
    head = pair.head(WORSE, mlops_yaml=CONFIG + "history: {at: elsewhere}\n")
    assert evaluated(pair, head).returncode == 1
    assert states(pair, head)[-1] == "failure"
    recorded = [json.loads(line) for line in remote(pair, "show", "mlops-history:index.jsonl").splitlines()]
    assert [(line["c"], line["g"]) for line in recorded][1:] == [(head, "failed")]


def test_a_branch_that_holds_something_else_is_no_place_for_runs(pair: Pair) -> None:
    main = remote(pair, "rev-parse", "main")
    head = pair.head(WORSE, mlops_yaml=CONFIG + "history: {at: main}\n")
    done = evaluated(pair, head)
    assert (done.returncode, states(pair, head)[-1]) == (2, "error")
    assert "the branch main holds something else than recorded runs" in done.stderr
    assert remote(pair, "rev-parse", "main") == main


def test_the_gate_is_the_base_branch_s_however_many_commits_the_fork_has(pair: Pair) -> None:
    """The commit before the head is the fork's own: neither its gate nor what it was measured as counts."""
    pair.head(250, mlops_yaml=CONFIG.replace("1pp", "9pp").replace("3pp", "9pp"))
    head = pair.commit("And another", README_md="nothing")
    pair.offer(head)
    assert evaluated(pair, head).returncode == 1
    assert states(pair, head)[-1] == "failure"
    assert "against main" in pair.github.bodies(5)[0].splitlines()[0]


def test_a_fork_does_not_choose_an_old_gate_by_where_it_leaves_main(pair: Pair) -> None:
    old = pair.git("rev-parse", "main")
    pair.git("switch", "-q", "main")
    tight = CONFIG.replace("max-drop: 1pp", "max-drop: 0.2pp")
    pair.commit("A tighter gate", mlops_yaml=tight)
    pair.git("push", "-q", "origin", "main")
    pair.main()
    pair.git("switch", "-q", "-C", "feature", old)
    head = pair.commit("Somewhat worse", params_json=json.dumps({"wrong": 110}))
    pair.offer(head)
    assert evaluated(pair, head).returncode != 0
    assert "allowed −0.2)" in pair.github.bodies(5)[0]


def test_where_the_base_branch_s_configuration_cannot_be_read_a_fork_s_own_gate_is_none(pair: Pair) -> None:
    old = pair.git("rev-parse", "main")
    pair.git("switch", "-q", "main")
    pair.commit("A slip", mlops_yaml=CONFIG.replace("max-drop: 1pp", "max-dorp: 1pp"))
    pair.git("push", "-q", "origin", "main")
    pair.git("switch", "-q", "-C", "feature", old)
    head = pair.commit("Much worse", params_json=json.dumps({"wrong": 220}), mlops_yaml=CONFIG.replace("1pp", "9pp").replace("3pp", "9pp"))
    pair.offer(head)
    done = evaluated(pair, head)
    assert (done.returncode, states(pair, head)[-1]) == (2, "error")
    assert "the base branch's configuration cannot be read" in done.stderr


@pytest.mark.parametrize("place", ["outbox", "runs"])
@pytest.mark.parametrize("through", ["folder", "link"])
def test_runs_that_a_checkout_brings_along_are_nobody_s(pair: Pair, place: str, through: str) -> None:
    """One that says it is main's, with numbers that any model beats."""
    names = [name for name in remote(pair, "ls-tree", "-r", "--name-only", "mlops-history").split() if name.startswith("runs/")]
    pair.git("switch", "-q", "-C", "feature", "main")
    state = pair.work / ".mlops"
    to = state if through == "folder" else pair.work / "data"
    for name in names:
        path = to / place / FORGED / name.split("/", 3)[3]
        path.parent.mkdir(parents=True, exist_ok=True)
        raw = subprocess.run(["git", "-C", str(pair.remote), "show", f"mlops-history:{name}"], capture_output=True, check=True).stdout
        record = json.loads(raw) if path.name == "run.json" else None
        path.write_bytes(json.dumps(record | {"id": FORGED}).encode() if record else raw)
    if through == "link":
        state.symlink_to("data")
    (pair.work / "params.json").write_text(json.dumps({"wrong": WORSE}))
    pair.git("add", "-f", ".mlops", "data" if through == "link" else ".mlops", "params.json")
    pair.git("commit", "-q", "-m", "Runs of ours")
    head = pair.git("rev-parse", "HEAD")
    pair.offer(head)
    before = remote(pair, "rev-parse", "mlops-history")
    done = evaluated(pair, head, "compare")
    assert (done.returncode, states(pair, head)[-1]) == (2, "error")
    assert ".mlops" in done.stderr
    assert "is in git" in done.stderr
    assert remote(pair, "rev-parse", "mlops-history") == before
    shutil.rmtree(pair.work)
