"""The check of workflow files: nothing is wrong with what we ship, and each way to break it is named with its line and its cure."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from mlops_toolkit.doctor.checks.workflow import check, judged
from mlops_toolkit.doctor.files import read
from mlops_toolkit.doctor.finding import Finding
from mlops_toolkit.doctor.workflow.flow import Flow, parse, resolved
from mlops_toolkit.init.workflow import workflow
from tests.unit.doctor.places import environment, of, patient, repository

ROOT = Path(__file__).parents[3]
TEMPLATES = sorted((ROOT / "workflows-templates").glob("*.yml"))
TWO_JOBS = (ROOT / "workflows-templates/pull-request.yml").read_text()
ONE_JOB = (ROOT / "workflows-templates/pull-request-one-job.yml").read_text()
PLACE = ".github/workflows/model.yml"


def findings(*texts: str, **files: str) -> list[Finding]:
    """What is said of workflows. files: others of the repository, `a__action_yml` being a/action.yml."""
    there = {name.replace("__", "/").replace("_yml", ".yml"): text for name, text in files.items()}

    def look(name: str) -> bytes | None:
        return there[name].encode() if name in there else None

    paths = [PLACE, ".github/workflows/second.yml", ".github/workflows/third.yml"]
    return list(judged(resolved(parse(text, path, look) for text, path in zip(texts, paths, strict=False)), "main"))


def line(text: str, needle: str) -> int:
    """The line that a piece of text stands on, from 1."""
    return text[: text.index(needle)].count("\n") + 1


def only(texts: list[str], needle: str) -> str:
    """The one sentence that holds `needle`."""
    (found,) = [text for text in texts if needle in text]
    return found


def pasted(hint: str) -> dict[str, str]:
    """The permissions that the lines to paste give to the job."""
    (job,) = yaml.safe_load(hint)["jobs"].values()
    made: dict[str, str] = job["permissions"]
    return made


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_nothing_is_wrong_with_a_template(path: Path) -> None:
    partner = [other for other in TEMPLATES if other.stem == path.stem.removesuffix("-judge") and other != path]
    assert of(findings(path.read_text(), *(other.read_text() for other in partner))) == []


@pytest.mark.parametrize("name", ["deploy", "rollback", "release", "alerts"])
def test_a_workflow_that_makes_no_model_is_not_asked_why_it_compares_none(name: str) -> None:
    """It deploys, publishes or watches what another repository or workflow made; and what it does on main, or by the clock, is no run of main."""
    alone = (ROOT / f"workflows-templates/{name}.yml").read_text()
    assert [found for found in of(findings(alone), "note") if "compares" in found] == []
    asked = re.sub(r"(?m)^on:\n(  .*\n|\n)+", "on: pull_request\n", TWO_JOBS)
    assert [note for note in of(findings(asked, alone), "note") if "no run of" in note]


def test_nothing_is_wrong_with_our_own_workflows_nor_is_ours_taken_for_another_s() -> None:
    flows, unread = read(ROOT)
    assert unread == {}
    assert {job.id for flow in flows for job in flow.ours} >= {"train", "model"}
    assert of(list(judged(flows, "main"))) == []


@pytest.mark.parametrize("config", ["mlops.yaml", "models/spam/mlops.yaml"])
@pytest.mark.parametrize("gpu", [False, True])
def test_of_what_init_writes_there_are_notes_at_most_about_versions(config: str, gpu: bool) -> None:
    found = findings(workflow(config=config, gpu=gpu))
    assert of(found) == []
    assert of(found, "note") == []


# ── rights ────────────────────────────────────────────────────────────


@pytest.mark.parametrize("scope", ["contents", "pull-requests", "statuses"])
@pytest.mark.parametrize("text", [TWO_JOBS, ONE_JOB], ids=["two jobs", "one job"])
def test_a_right_that_is_missing_is_named_with_the_lines_that_keep_the_others(text: str, scope: str) -> None:
    broken = re.sub(rf"^      {scope}: write.*\n", "", text, flags=re.MULTILINE)
    (finding,) = [f for f in findings(broken) if f.level == "problem"]
    assert finding.message == f"the job model lacks `{scope}: write`"
    assert finding.where == f"{PLACE}:{line(broken, '  model:')}"
    assert finding.hint is not None
    given = yaml.safe_load(broken)["jobs"]["model"]["permissions"]
    assert pasted(finding.hint) == {**given, scope: "write"}
    assert (
        of(findings(re.sub(r"(?ms)(^  model:.*?)^    permissions:\n(      .*\n)+", lambda m: m[1] + _block(finding.hint or ""), broken)))
        == []
    )


def test_of_a_job_that_publishes_the_registry_s_right_is_a_note_for_another_registry_asks_nothing_of_the_token() -> None:
    text = (ROOT / "workflows-templates" / "release.yml").read_text()
    assert of(findings(text)) == []
    (finding,) = [f for f in findings(text.replace("      packages: write", "      packages: read")) if "lacks" in f.message]
    assert (finding.level, finding.message) == ("note", "the job publish lacks `packages: write`: ghcr.io takes no image from it")
    assert pasted(finding.hint or "")["packages"] == "write"
    (finding,) = [f for f in findings(text.replace("      contents: write", "      contents: read")) if "lacks" in f.message]
    assert (finding.level, finding.message) == ("problem", "the job publish lacks `contents: write`")


@pytest.mark.parametrize(("template", "packages"), [("deploy.yml", True), ("rollback.yml", False), ("status.yml", False)])
def test_of_a_job_that_deploys_every_right_is_known_and_the_registry_s_is_a_note(template: str, packages: bool) -> None:
    text = (ROOT / "workflows-templates" / template).read_text()
    assert [f for f in findings(text) if "lacks" in f.message] == []
    for scope in ("contents", "deployments", "pull-requests"):
        (finding,) = [f for f in findings(text.replace(f"      {scope}: write", f"      {scope}: read")) if "lacks" in f.message]
        assert (finding.level, f"`{scope}: write`" in finding.message) == ("problem", True)
    found = [f for f in findings(text.replace("      packages: read", "      packages: none")) if "lacks" in f.message]
    assert [f.level for f in found] == (["note"] if packages else [])


def _block(hint: str) -> str:
    return "\n".join(hint.splitlines()[2:]) + "\n"


@pytest.mark.parametrize(
    ("permissions", "wanted"),
    [
        ("permissions: read-all", ["contents: write", "pull-requests: write", "statuses: write"]),
        ("permissions: {}", ["contents: write", "pull-requests: write", "statuses: write"]),
        ("permissions:", ["contents: write", "pull-requests: write", "statuses: write"]),
        ("permissions: {contents: write, statuses: none, pull-requests: write}", ["statuses: write"]),
        ("permissions: write-all", []),
    ],
)
def test_the_workflow_s_rights_count_where_the_job_says_none(permissions: str, wanted: list[str]) -> None:
    text = re.sub(r"(?m)^    permissions:\n(      .*\n)+", "", ONE_JOB).replace("permissions: {}", permissions)
    problems = of(findings(text))
    assert [re.findall(r"`([^`]*)`", said) for said in problems] == ([wanted] if wanted else [])


def test_where_nothing_is_said_of_rights_the_setting_decides_and_that_is_a_note() -> None:
    text = re.sub(r"(?m)^    permissions:\n(      .*\n)+", "", ONE_JOB).replace("permissions: {}\n", "")
    assert of(findings(text)) == []
    assert "the repository's setting decides" in only(of(findings(text), "note"), "nothing says what the token")


def test_what_only_pull_requests_need_is_not_asked_of_a_nightly_run() -> None:
    text = (ROOT / "workflows-templates/nightly.yml").read_text()
    assert "pull-requests: write" not in text
    assert of(findings(text)) == []


def test_a_step_that_writes_no_comment_needs_no_right_to() -> None:
    text = re.sub(r"(?m)^      pull-requests: write.*\n", "", ONE_JOB)
    silent = re.sub(r"(compare-to-main@v1.*\n)", r"\1        with: {comment: false}\n", text)
    assert of(findings(silent)) == [] != of(findings(text))


def test_a_called_workflow_may_do_no_more_than_its_caller(tmp_path: Path) -> None:
    called = ONE_JOB.replace("on:\n  pull_request:\n  merge_group:\n  push:\n    branches: [main]\n", "on: workflow_call\n")
    assert "workflow_call" in called
    caller = "on: {pull_request: , push: {branches: [main]}}\nconcurrency: x\njobs:\n  call:\n    permissions: {contents: write, statuses: write}\n    uses: ./.github/workflows/called.yml\n"
    root = repository(tmp_path, {".github/workflows/called.yml": called, PLACE: caller})
    flows, _ = read(root)
    (problem,) = [f for f in judged(flows, "main") if f.level == "problem"]
    assert problem.said == f".github/workflows/called.yml:{line(called, '  model:')}: the job call / model lacks `pull-requests: write`"
    assert "the same at the job call that calls it" in (problem.hint or "")


def test_our_action_inside_an_action_of_the_repository_is_found() -> None:
    text = "on: pull_request\njobs:\n  all:\n    permissions: {contents: read}\n    steps:\n      - uses: ./.github/review\n"
    inner = "name: mine\nruns: {using: composite, steps: [{uses: acme/mlops-actions@v1}]}\n"
    assert of(findings(text, **{".github__review__action_yml": inner})) == [
        f"{PLACE}:3: the job all lacks `contents: write` and `pull-requests: write` and `statuses: write`"
    ]


@pytest.mark.parametrize(
    ("uses", "ours"),
    [
        ("acme/mlops-actions@v1", True),
        ("acme/mlops-actions/train@0123456789012345678901234567890123456789", True),
        ("acme/mlops-actions/actions/train@v1", True),
        ("./mlops-actions/train", True),
        ("acme/train@v1", False),
        ("./train", False),
        ("acme/mlops-actions/unknown@v1", False),
        ("docker://acme/mlops-actions", False),
        ("../../etc/mlops-actions/train", False),
    ],
)
def test_which_uses_is_ours(uses: str, ours: bool) -> None:
    flow = parse(f"on: push\njobs: {{a: {{steps: [{{uses: '{uses}'}}]}}}}\n", PLACE, lambda _: None)
    assert bool(flow.ours) == ours


# ── what is handed over ───────────────────────────────────────────────


def test_a_hidden_folder_that_is_not_uploaded_is_named_with_the_step_s_line() -> None:
    broken = re.sub(r"(?s)(path: \|\n +\.mlops/run.*?\n) +include-hidden-files: true\n", r"\1", TWO_JOBS, count=1)
    (finding,) = [f for f in findings(broken) if f.level == "problem"]
    assert "which is a hidden folder: the artifact would be empty" in finding.message
    assert finding.where == f"{PLACE}:{line(broken, '      - name: hand the run to the next job')}"
    assert "include-hidden-files: true" in (finding.hint or "")


def test_a_run_that_is_never_handed_over_is_named() -> None:
    broken = re.sub(r"(?s)      - name: hand the run.*?(?=\n  model:)", "", TWO_JOBS)
    assert "hands nothing over" in only(of(findings(broken)), "the job train")
    assert of(findings(broken.replace("contents: read", "contents: write"))) == []  # then it records the run itself


def test_a_run_that_nobody_takes_over_is_named() -> None:
    broken = re.sub(r"(?s)      - uses: actions/download-artifact.*?path: \.mlops\n", "", TWO_JOBS)
    assert "does not download the run" in only(of(findings(broken)), "the job model")


@pytest.mark.parametrize(
    ("give", "take"),
    [
        ("uses: acme/upload-artifact@v4\n        with: {path: .mlops/runs, include-hidden-files: true}", "uses: acme/download-artifact@v4\n        with: {path: .mlops}"),
        ("run: aws s3 sync .mlops s3://bucket/$GITHUB_RUN_ID", "run: aws s3 sync s3://bucket/$GITHUB_RUN_ID .mlops"),
        ("uses: actions/cache/save@v4\n        with: {path: .mlops, key: x}", "uses: actions/cache/restore@v4\n        with: {path: .mlops, key: x}"),
    ],
)  # fmt: skip
def test_there_are_other_ways_to_hand_a_run_over(give: str, take: str) -> None:
    text = re.sub(r"(?s)      - name: hand the run.*?(?=\n  model:)", f"      - {give}\n", TWO_JOBS)
    text = re.sub(r"(?s)      - uses: actions/download-artifact.*?path: \.mlops\n", f"      - {take}\n", text)
    assert of(findings(text)) == []


def test_a_comparison_that_a_failed_training_skips_is_named_and_its_other_condition_kept() -> None:
    condition = "    if: ${{ !cancelled() }} # also"
    assert condition in TWO_JOBS
    broken = TWO_JOBS.replace(condition, "    if: ${{ github.actor != 'x' }} # also")
    (finding,) = [f for f in findings(broken) if f.level == "problem"]
    assert "is skipped where train fails" in finding.message
    assert "if: ${{ !cancelled() && (github.actor != 'x') }}" in (finding.hint or "")


# ── legs of a matrix ──────────────────────────────────────────────────

MATRIX = """\
on: pull_request
permissions: write-all
jobs:
  all:
    strategy:
      matrix:
%s
    steps:
      - uses: acme/mlops-actions@v1
        with:
          config: %s
          matrix: %s
"""


@pytest.mark.parametrize(
    ("matrix", "config", "leg", "wrong"),
    [
        ("size: [small, large]", "mlops.yaml", '""', True),
        ("size: [small, large]", "mlops.yaml", "${{ matrix.size }}", False),
        ("size: [small, large]", "models/${{ matrix.size }}/mlops.yaml", '""', False),
        ("size: [small]", "mlops.yaml", '""', False),
        ("{model: [a, b], seed: [1, 2]}", "${{ matrix.model }}/mlops.yaml", '""', True),
        ("{model: [a, b], seed: [1, 2]}", "${{ matrix.model }}/mlops.yaml", "${{ matrix.seed }}", False),
        ("{model: [a, b], seed: [1, 2]}", "mlops.yaml", "${{ matrix.model }}-${{ matrix.seed }}", False),
        ("{model: [a, b], seed: [1, 2]}", "mlops.yaml", "${{ toJSON(matrix) }}", False),
        ("{model: [a, b], seed: [1, 2]}", "mlops.yaml", "${{ strategy.job-index }}", False),
        ("include: [{m: a, f: x}, {m: b, f: y}]", "${{ matrix.f }}/mlops.yaml", '""', False),
        ("include: [{m: a, f: x}, {m: b, f: x}]", "${{ matrix.f }}/mlops.yaml", '""', True),
        ("{size: [a, b], exclude: [{size: b}]}", "mlops.yaml", '""', False),
        ("{size: [a], include: [{size: a, extra: 1}]}", "mlops.yaml", '""', False),
        ("{size: [a], include: [{size: b, extra: 1}]}", "mlops.yaml", '""', True),
        ("model: ${{ fromJSON(needs.plan.outputs.models) }}", "${{ matrix.model.config }}", '""', False),
        ("model: ${{ fromJSON(needs.plan.outputs.models) }}", "mlops.yaml", '""', True),
        ("include: ${{ fromJSON(needs.plan.outputs.models) }}", "${{ matrix.config }}", '""', False),
        ("${{ fromJSON(needs.plan.outputs.matrix) }}", "${{ matrix.config }}", '""', False),
        ("${{ fromJSON(needs.plan.outputs.matrix) }}", "mlops.yaml", '""', True),
        ("model: [{id: a, at: x}, {id: b, at: y}]", "${{ matrix.model.at }}/mlops.yaml", '""', False),
        ("model: [{id: a, at: x}, {id: b, at: x}]", "${{ matrix.model['at'] }}/mlops.yaml", '""', True),
    ],
)
def test_legs_that_would_take_each_other_s_run_for_their_own(matrix: str, config: str, leg: str, wrong: bool) -> None:
    inner = matrix if ":" in matrix and not matrix.startswith(("{", "$")) else None
    text = MATRIX % (f"        {inner}", config, leg) if inner else (MATRIX % ("@", config, leg)).replace("matrix:\n@", f"matrix: {matrix}")
    problems = [finding for finding in findings(text) if finding.level == "problem"]
    assert ["several legs" in finding.message for finding in problems] == ([True] if wrong else [])
    if wrong and "fromJSON(needs.plan.outputs.matrix)" not in text:
        mended = (problems[0].hint or "").splitlines()[2].strip()
        assert of(findings(re.sub(r"matrix: [^\n]*\n$", mended + "\n", text) if leg == '""' else text)) == []


# ── events, and whose code runs ───────────────────────────────────────

HEADS = [
    "{uses: actions/checkout@v5, with: {ref: '${{ github.event.pull_request.head.sha }}'}}",
    "{uses: actions/checkout@v5, with: {ref: 'refs/pull/${{ github.event.number }}/merge'}}",
    "{uses: actions/checkout@v7, with: {ref: x, allow-unsafe-pr-checkout: true}}",
    "{uses: actions/checkout@v5, with: {repository: '${{ github.event.workflow_run.head_repository.full_name }}', ref: '${{ github.event.workflow_run.head_sha }}'}}",
    "{run: 'git fetch origin refs/pull/$N/head && git checkout FETCH_HEAD'}",
    "{run: 'gh pr checkout $N'}",
]


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("event", ["pull_request_target", "workflow_run: {workflows: [x]}"])
@pytest.mark.parametrize("rights", ["{contents: write, pull-requests: write, statuses: write}", "write-all"])
def test_a_stranger_s_head_beside_a_token_that_may_write_is_a_problem(head: str, event: str, rights: str) -> None:
    text = f"name: x\non:\n  {event + ('' if ':' in event else ':')}\njobs:\n  all:\n    permissions: {rights}\n    steps:\n      - {head}\n      - uses: acme/mlops-actions@v1\n"
    said = only(of(findings(text)), "checks out a pull request's head")
    assert said.startswith(f"{PLACE}:8: the job all")
    safe = text.replace("pull_request_target", "pull_request") if "target" in event else text.replace(head, "{uses: actions/checkout@v5}")
    assert of(findings(safe)) == []


def test_a_workflow_that_waits_for_one_that_is_called_otherwise_never_starts() -> None:
    train, judge = (next(path.read_text() for path in TEMPLATES if path.stem == stem) for stem in ("fork-pair", "fork-pair-judge"))
    assert of(findings(train, judge)) == []
    said = only(of(findings(train.replace("name: model\n", "name: models\n", 1), judge)), "never starts")
    assert f"second.yml:{line(judge, '  workflow_run:')}: " in said


@pytest.mark.parametrize("key", ["paths", "paths-ignore"])
def test_a_path_filter_leaves_a_required_check_waiting(key: str) -> None:
    text = TWO_JOBS.replace("  pull_request:\n", f"  pull_request:\n    {key}: [src/**]\n", 1)
    assert "waited for forever" in only(of(findings(text), "note"), f"`{key}:`")


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ("{push: {branches: [main]}}", "no workflow reviews pull requests"),
        ("{pull_request: {types: [opened]}, push: }", "no workflow reviews pull requests"),
        ("pull_request", "no run of main itself is recorded"),
        ("{pull_request: , push: {tags: ['v*']}}", "no run of main itself is recorded"),
        ("{pull_request: , push: {branches: [release/**]}}", "no run of main itself is recorded"),
        ("{pull_request: , push: {branches: ['ma*']}}", None),
        ("{pull_request: , push: }", None),
        ("[pull_request, push]", None),
        ("{pull_request: {types: [opened, synchronize]}, merge_group: }", None),
        ("{pull_request: {branches: [develop]}, push: }", "no workflow reviews pull requests"),
        ("{pull_request: {branches: [develop, ma*]}, push: }", None),
    ],
)
def test_events_that_are_missing_for_what_it_wants(events: str, said: str | None) -> None:
    text = re.sub(r"(?s)^on:.*?(?=\npermissions)", f"on: {events}\n", TWO_JOBS, flags=re.MULTILINE)
    notes = [note for note in of(findings(text), "note") if "no workflow" in note or "no run of" in note]
    assert ["" if said is None else said in note for note in notes] == ([] if said is None else [True])


@pytest.mark.parametrize(
    ("condition", "said"), [("!cancelled()", False), ("${{ always() }}", False), ("!cancelled() && !github.event.pull_request.draft", True), ("github.event.pull_request.draft == false || always()", True)]
)  # fmt: skip
def test_a_condition_that_skips_the_comparison_is_a_note(condition: str, said: bool) -> None:
    text = TWO_JOBS.replace("if: ${{ !cancelled() }} # also", f"if: {condition if condition[0] == '$' else repr(condition)} # also")
    assert text != TWO_JOBS or not said
    assert of(findings(text)) == []
    assert ["is skipped where its `if:` says so" in note for note in of(findings(text), "note")] == ([True] if said else [])


def test_a_job_s_own_concurrency_is_one() -> None:
    text = re.sub(r"(?s)concurrency:\n.*?(?=\njobs)", "", TWO_JOBS)
    own = text.replace("    runs-on: ubuntu-latest\n", "    runs-on: ubuntu-latest\n    concurrency: x\n").replace(
        "    runs-on: ubuntu-latest #", "    concurrency: x\n    runs-on: ubuntu-latest #"
    )
    assert own.count("concurrency: x") == 2
    assert of(findings(own), "note") == []


# ── habits ────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: re.sub(r"(?s)concurrency:\n.*?(?=\njobs)", "", text), "there is no `concurrency:`"),
        (
            lambda text: text.replace("          persist-credentials: false\n", "          lfs: true\n"),
            "keeps its token where your commands can read it",
        ),
        (lambda text: re.sub(r"    timeout-minutes: 360\n", "", text), "without `timeout-minutes:`"),
        (lambda text: re.sub(r"actions/checkout@\w+", "actions/checkout@v5", text), "not pinned to a commit: actions/checkout@v5"),
        (
            lambda text: re.sub(
                r"(?s)      - if: \$\{\{ always\(\) \}\}[^\n]*\n        uses: org/mlops-actions/report.*?close: true\n", "", text
            ),
            "may leave its check pending",
        ),
        (lambda text: re.sub(r"(?m)^      issues: write.*\n", "", text), "may open no issue"),
    ],
)
def test_what_works_and_is_worth_a_word(change: Callable[[str], str], said: str) -> None:
    text = change(TWO_JOBS)
    assert text != TWO_JOBS
    assert of(findings(TWO_JOBS), "note") == []
    assert of(findings(text)) == []
    only(of(findings(text), "note"), said)


# ── hostile and broken files ──────────────────────────────────────────

HOSTILE = {
    "a list": "- a\n",
    "nothing": "",
    "binary": "\x00\x01",
    "a tag": "on: !!python/object/apply:os.mkdir ['pwned']\n",
    "wrong kinds": "on: 3\npermissions: [a]\njobs: [b]\nconcurrency: 7\nname: {a: b}\n",
    "wrong kinds within": "on: {pull_request: [x]}\njobs:\n  a: 7\n  b: {steps: {c: d}, needs: {e: f}, permissions: 3, strategy: no, if: [], uses: {}}\n  c: {steps: [x, [y], {uses: [z], with: 3, run: {}}]}\n",
    "a circle": "on: push\njobs: {a: {needs: b, steps: [{uses: acme/mlops-actions@v1}]}, b: {needs: [a, b], steps: [{uses: acme/mlops-actions/train@v1}]}}\n",
    "calls itself": f"on: [workflow_call, push]\njobs: {{{', '.join(f'j{i}: {{uses: ./{PLACE}}}' for i in range(50))}}}\n",
    "a huge matrix": "on: push\njobs: {{a: {{strategy: {{matrix: {{{}}}}}, steps: [{{uses: acme/mlops-actions@v1}}]}}}}\n".format(
        ", ".join(f"k{i}: [1,2,3,4,5,6,7,8,9]" for i in range(40))
    ),
    "braces": "on: push\njobs: {a: {strategy: {matrix: {x: [1, 2]}}, steps: [{uses: acme/mlops-actions@v1, with: {config: '"
    + "${{ matrix." * 3000
    + "'}}]}}\n",
    "deep": "on: " + "[" * 5000,
    "climbs": "on: push\njobs: {a: {steps: [{uses: ./../../../../etc}, {uses: .//etc/passwd}]}}\n",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_whatever_a_file_holds_it_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """A pull request may change these files: reading them ends, soon, and runs nothing."""
    root = repository(tmp_path, {PLACE: text, "action.yml": "name: x\nruns: {steps: [{uses: ./}, {uses: ./}]}\n"})
    monkeypatch.chdir(tmp_path)
    began = time.process_time()
    found = list(check(patient(root, environment(tmp_path))))
    assert all(finding.level in ("fine", "note", "problem") for finding in found)
    assert time.process_time() - began < 20
    assert not (tmp_path / "pwned").exists()


def test_an_action_that_uses_itself_many_times_ends() -> None:
    looping = "name: x\nruns: {{steps: [{}]}}\n".format(", ".join("{uses: ./a}" for _ in range(200)))
    flow = parse("on: push\njobs: {j: {steps: [{uses: ./a}]}}\n", PLACE, lambda name: looping.encode())
    assert isinstance(flow, Flow)


def test_a_workflow_that_is_a_link_out_of_the_repository_is_not_read(tmp_path: Path) -> None:
    root = repository(tmp_path, {".github/workflows/other.yml": "on: push\njobs: {}\n"})
    (tmp_path / "secret").write_text("name: mlops-actions\nsecret: 1\n")
    (root / PLACE).symlink_to(tmp_path / "secret")
    flows, unread = read(root)
    assert [flow.path for flow in flows] == [".github/workflows/other.yml"]
    assert unread == {}


def test_a_file_that_cannot_be_read_is_a_note_and_the_others_are_judged(tmp_path: Path) -> None:
    root = repository(
        tmp_path, {".github/workflows/bad.yml": "uses: ./x\n  a: [\n", PLACE: TWO_JOBS.replace("statuses: write", "statuses: read")}
    )
    found = list(check(patient(root, environment(tmp_path))))
    assert "a workflow that cannot be read" in only(of(found, "note"), "bad.yml")
    assert "`statuses: write`" in only(of(found), "the job model")


def test_a_repository_without_such_a_workflow_is_told_of_init(tmp_path: Path) -> None:
    root = repository(tmp_path, {".github/workflows/lint.yml": "on: push\njobs: {a: {steps: [{run: 'true'}]}}\n"})
    (finding,) = check(patient(root, environment(tmp_path)))
    assert (finding.level, finding.hint) == ("note", "`mlops init` writes one")
