"""The check of branch rules: what a merge waits for, and whether our own pushes are let through."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlops_toolkit.doctor.checks.rules import check
from mlops_toolkit.doctor.finding import Finding, Patient
from mlops_toolkit.forge.base import BranchRules
from mlops_toolkit.forge.memory import Memory
from tests.unit.doctor.places import MODEL, environment, git, job, of, patient, repository
from tests.world.github import serving
from tests.world.repository import Repository

FLOW = """\
name: model
on:
  pull_request:
  push: {branches: [main]}
jobs:
  compare:
    name: compare with main
    steps: [{uses: acme/mlops-actions@v1}]
"""
OUR_CHECK = "mlops/spam-filter"


def found(tmp_path: Path, *, flow: str = FLOW, config: str = MODEL, history: BranchRules | None = None, **rules: object) -> list[Finding]:
    root = repository(tmp_path, {".github/workflows/model.yml": flow, "mlops.yaml": config})
    forge = Memory(branches={"main": BranchRules(**rules), "mlops-history": history or BranchRules()})  # type: ignore[arg-type]
    return list(check(patient(root, environment(tmp_path), context=job(), forge=forge)))


def test_a_rule_that_waits_for_our_check_is_fine(tmp_path: Path) -> None:
    (finding,) = found(tmp_path, required=(OUR_CHECK, "lint"))
    assert (finding.level, finding.message) == ("fine", f"merges into main wait for {OUR_CHECK}")


def test_a_check_with_the_leg_of_a_matrix_counts(tmp_path: Path) -> None:
    assert [finding.level for finding in found(tmp_path, required=(f"{OUR_CHECK} (small)",))] == ["fine"]


def test_no_rule_at_all_is_a_note_that_says_which_to_make(tmp_path: Path) -> None:
    (finding,) = found(tmp_path)
    assert (finding.level, finding.message) == ("note", f"nothing keeps a worse model out of main: no rule waits for {OUR_CHECK}")
    assert OUR_CHECK in (finding.hint or "")


@pytest.mark.parametrize("name", ["mlops/spam", "mlops/Spam-Filter", "mlops/model"])
def test_a_check_that_nobody_sets_is_waited_for_for_ever(tmp_path: Path, name: str) -> None:
    (finding,) = found(tmp_path, required=(name,))
    assert (finding.level, finding.message) == ("problem", f"merges into main wait for {name}, which no configuration sets: for ever")
    assert f"require {OUR_CHECK} instead" in (finding.hint or "")


def test_another_model_of_the_repository_sets_its_own_check(tmp_path: Path) -> None:
    root = repository(tmp_path, {"models/other/mlops.yaml": MODEL.replace("spam-filter", "other"), "broken/mlops.yaml": "name: ["})
    (root / "broken/mlops.yaml").unlink()
    forge = Memory(branches={"main": BranchRules(required=(OUR_CHECK, "mlops/other", "mlops/third"))})
    asked = patient(root, environment(tmp_path), context=job(), forge=forge)
    only = Patient(asked.world, tuple(loaded for loaded in asked.configs if loaded.config.name == "spam-filter"))
    assert of(list(check(only))) == ["merges into main wait for mlops/third, which no configuration sets: for ever"]


def test_without_a_configuration_no_name_is_strange(tmp_path: Path) -> None:
    forge = Memory(branches={"main": BranchRules(required=(OUR_CHECK,))})
    asked = patient(repository(tmp_path), environment(tmp_path), context=job(), forge=forge)
    assert list(check(Patient(asked.world))) == []


@pytest.mark.parametrize(
    ("flow", "name", "level", "said"),
    [
        (FLOW, "compare with main", "note", "says nothing of the model"),
        (FLOW.replace("    name: compare with main\n", ""), "compare", "note", "says nothing of the model"),
        (FLOW.replace("    steps", "    if: ${{ !github.event.pull_request.draft }}\n    steps"), "compare with main", "problem", "that counts as passed"),
        (FLOW.replace("  pull_request:\n", "  pull_request: {paths: [src/**]}\n"), "compare with main", "problem", "the merge waits for ever"),
        (FLOW.replace("compare with main", "compare ${{ matrix.m }}").replace("    steps", "    strategy: {matrix: {m: [a]}}\n    steps"), "compare a", "note", "the job “compare a” itself"),
        (FLOW.replace("    name: compare with main\n", "").replace("    steps", "    strategy: {matrix: {m: [a]}}\n    steps"), "compare (a)", "note", "the job “compare (a)” itself"),
    ],
)  # fmt: skip
def test_a_job_that_is_required_in_our_check_s_place(tmp_path: Path, flow: str, name: str, level: str, said: str) -> None:
    (instead, missing) = found(tmp_path, flow=flow, required=(name, "lint"))
    assert instead.level == level
    assert said in instead.message
    assert f"require {OUR_CHECK} instead of {name}" in (instead.hint or "")
    assert f"no rule waits for {OUR_CHECK}" in missing.message


def test_a_filter_that_keeps_a_required_check_from_ever_being_set(tmp_path: Path) -> None:
    flow = FLOW.replace("  pull_request:\n", "  pull_request: {paths-ignore: [docs/**]}\n")
    (said,) = of(found(tmp_path, flow=flow, required=(OUR_CHECK,)))
    assert (
        said
        == f".github/workflows/model.yml:3: merges into main wait for {OUR_CHECK}, and `paths-ignore:` keeps the workflow from starting: for ever"
    )


@pytest.mark.parametrize("queued", [False, True])
def test_a_queue_without_its_event_waits_for_ever(tmp_path: Path, queued: bool) -> None:
    flow = FLOW.replace("  pull_request:\n", "  pull_request:\n  merge_group:\n") if queued else FLOW
    problems = of(found(tmp_path, flow=flow, required=(OUR_CHECK,), queue=True))
    assert ["go through a queue" in said for said in problems] == ([] if queued else [True])


@pytest.mark.parametrize("branch", ["mlops-history", "runs"])
def test_a_rule_that_would_refuse_our_own_push(tmp_path: Path, branch: str) -> None:
    refusing = BranchRules(refuses=("only a pull request may change it", "its commits must be signed"))
    config = MODEL if branch == "mlops-history" else MODEL + f"history: {{at: {branch}}}\n"
    root = repository(tmp_path, {"mlops.yaml": config})
    forge = Memory(branches={branch: refusing, "main": BranchRules(required=(OUR_CHECK,))})
    (finding,) = [f for f in check(patient(root, environment(tmp_path), context=job(), forge=forge)) if f.level == "problem"]
    assert (
        finding.message
        == f"runs cannot be recorded: a rule of {branch} says only a pull request may change it and its commits must be signed"
    )
    assert f"leave {branch} out" in (finding.hint or "")


def test_rules_that_cannot_be_read_are_no_trouble_of_the_user_s(tmp_path: Path) -> None:
    (finding,) = found(tmp_path, reason="the token may not do this (403)")
    assert finding.level == "note"
    assert "cannot be read as a whole: the token may not do this (403)" in finding.message


def test_what_could_be_read_is_judged_all_the_same(tmp_path: Path) -> None:
    assert [f.level for f in found(tmp_path, required=("mlops/other",), reason="its protection could not be read")] == ["note", "problem"]


def test_on_a_laptop_nobody_is_asked_without_a_token(tmp_path: Path) -> None:
    root = repository(tmp_path)
    git(root, "remote", "add", "origin", "git@github.com:acme/models.git")
    assert list(check(patient(root, environment(tmp_path)))) == []


def test_on_a_laptop_with_a_token_the_real_command_asks_the_remote_s_own_server(tmp_path: Path) -> None:
    """Requests and answers are held against GitHub's own description."""
    root = repository(tmp_path)
    git(root, "remote", "add", "origin", "https://ghe.example/acme/models.git")
    with serving() as fake:
        rule = {
            "type": "required_status_checks",
            "parameters": {"required_status_checks": [{"context": "mlops/else"}], "strict_required_status_checks_policy": False},
        }
        fake.branch_rules = {"main": [rule | _source()], "mlops-history": [{"type": "required_signatures"} | _source()]}
        env = environment(
            tmp_path,
            GITHUB_TOKEN="ghs_job",
            GITHUB_SERVER_URL="https://ghe.example",
            GITHUB_API_URL=fake.url,
            https_proxy="http://127.0.0.1:9",
        )
        said = Repository(root, env).mlops("doctor", code=4).stdout
        asked = {path for _, path, status in fake.requests if status == 200}
        assert fake.violations == []
    assert "✗ rules: merges into main wait for mlops/else, which no configuration sets: for ever" in said
    assert "✗ rules: runs cannot be recorded: a rule of mlops-history says its commits must be signed" in said
    assert {"/repos/acme/models/rules/branches/main", "/repos/acme/models/rules/branches/mlops-history"} <= asked
    assert "ghs_job" not in said


def test_a_laptop_s_token_goes_to_no_other_server(tmp_path: Path) -> None:
    root = repository(tmp_path)
    git(root, "remote", "add", "origin", "https://elsewhere.example/acme/models.git")
    with serving() as fake:
        env = environment(tmp_path, GITHUB_TOKEN="ghs_job", GITHUB_SERVER_URL="https://ghe.example", GITHUB_API_URL=fake.url)
        assert list(check(patient(root, env))) == []
        assert fake.requests == []


def _source() -> dict[str, object]:
    return {"ruleset_source_type": "Repository", "ruleset_source": "acme/models", "ruleset_id": 7}
