"""What is seen before a CI trains: what stops it, what it is warned of, and that it is held up by nothing else."""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from mlops_toolkit import preflight
from mlops_toolkit.ci import Context
from mlops_toolkit.doctor.checks import disk
from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.forge.base import Annotation, BranchRules
from mlops_toolkit.forge.memory import Memory
from tests.unit.doctor.places import MODEL, environment, job, patient, repository
from tests.unit.doctor.test_git import POINTER, with_git
from tests.world import trouble
from tests.world.github import Fault, serving
from tests.world.github_repository import Token
from tests.world.repository import Repository, make

ROOT = Path(__file__).parents[2]
SHIPPED = [*sorted((ROOT / "workflows-templates").glob("*.yml")), *sorted((ROOT / ".github/workflows").glob("*.yml"))]
TWO_JOBS = (ROOT / "workflows-templates/pull-request.yml").read_text()
ONE_JOB = (ROOT / "workflows-templates/pull-request-one-job.yml").read_text()
MODELS = ("first", "other")


@dataclass
class Watched(Memory):
    """A forge that counts what it is asked."""

    asked: list[str] = field(default_factory=list)

    def rules(self, branch: str) -> BranchRules:
        self.asked.append(f"rules {branch}")
        return super().rules(branch)

    def lacks(self, permissions: tuple[str, ...]) -> tuple[str, ...] | None:
        self.asked += [f"lacks {each}" for each in permissions]
        return super().lacks(permissions)


def said(
    tmp_path: Path,
    files: dict[str, str],
    *,
    name: str = "model",
    forge: Memory | None = None,
    context: Context | None = None,
    verb: str = "train",
    flow: str = ".github/workflows/model.yml",
    **env: str,
) -> list[Annotation]:
    """What a job called `name` of the workflow is warned of."""
    root = repository(tmp_path, files)
    forge = forge or Memory()
    told = environment(tmp_path, GITHUB_WORKFLOW_REF=f"acme/models/{flow}@refs/pull/7/merge", GITHUB_JOB=name, **env)
    world = patient(root, told, context=context or job(), forge=forge).world
    preflight.before(argparse.Namespace(verb=verb, config="**/mlops.yaml"), world)
    return forge.annotations


def jobs_of(text: str) -> list[str]:
    return re.findall(r"(?m)^  ([\w-]+):\n    name:", text)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_none_of_the_shipped_workflows_is_warned_of_in_any_of_its_jobs(tmp_path: Path, path: Path) -> None:
    """The job that trains may only read, by design: another one posts."""
    text = path.read_text()
    files = {f".github/workflows/{other.name}": other.read_text() for other in SHIPPED if other.parent == path.parent}
    assert jobs_of(text)
    for number, name in enumerate(jobs_of(text)):
        flow = f".github/workflows/{path.name}"
        assert said(tmp_path / str(number), files, name=name, flow=flow) == [], name


@pytest.mark.parametrize("scope", ["contents", "pull-requests", "statuses"])
@pytest.mark.parametrize(("text", "name"), [(TWO_JOBS, "train"), (TWO_JOBS, "model"), (ONE_JOB, "model")])
def test_a_right_that_the_posting_job_lacks_is_told_in_the_job_that_trains(tmp_path: Path, text: str, name: str, scope: str) -> None:
    broken = re.sub(rf"(?m)^      {scope}: write.*\n", "", text)
    (warning,) = said(tmp_path, {".github/workflows/model.yml": broken}, name=name)
    assert (warning.level, warning.file) == ("warning", ".github/workflows/model.yml")
    assert broken.splitlines()[(warning.line or 1) - 1] == "  model:"
    assert f"the job model lacks `{scope}: write`" in warning.message
    assert f"\n      {scope}: write" in warning.message


def test_the_pair_for_forks_is_judged_as_a_pair(tmp_path: Path) -> None:
    pair = {
        f".github/workflows/{stem}.yml": (ROOT / f"workflows-templates/{stem}.yml").read_text() for stem in ("fork-pair", "fork-pair-judge")
    }
    begin, _, end = pair[".github/workflows/fork-pair-judge.yml"].rpartition("      statuses: write")  # of the job that judges
    pair[".github/workflows/fork-pair-judge.yml"] = f"{begin}      statuses: read{end}"
    (warning,) = said(tmp_path, pair, name="train", flow=".github/workflows/fork-pair.yml")
    assert warning.file == ".github/workflows/fork-pair-judge.yml"
    assert "lacks `statuses: write`" in warning.message


def test_another_workflow_s_trouble_is_not_this_run_s(tmp_path: Path) -> None:
    nightly = (ROOT / "workflows-templates/nightly.yml").read_text().replace("statuses: write", "statuses: read")
    assert said(tmp_path, {".github/workflows/model.yml": TWO_JOBS, ".github/workflows/nightly.yml": nightly}) == []


def test_a_fork_s_token_is_not_blamed_on_the_file(tmp_path: Path) -> None:
    broken = TWO_JOBS.replace("statuses: write", "statuses: read")
    forge = Watched()
    assert said(tmp_path, {".github/workflows/model.yml": broken}, context=job(fork=True, read_only_token=True), forge=forge) == []
    assert forge.asked == []


def test_the_file_tells_what_it_states_and_the_forge_is_asked_only_what_it_does_not(tmp_path: Path) -> None:
    silent = re.sub(r"(?m)^    permissions:\n(      .*\n)+", "", ONE_JOB).replace("permissions: {}\n", "")
    forge = Watched(missing=("statuses: write",))
    (warning,) = said(tmp_path / "a", {".github/workflows/model.yml": silent}, forge=forge)
    assert "the token may not do this: statuses: write" in warning.message
    assert forge.asked == ["lacks pull-requests: write", "lacks statuses: write"]
    forge = Watched(branches={"mlops-history": BranchRules(refuses=("its commits must be signed",))})
    (warning,) = said(tmp_path / "b", {".github/workflows/model.yml": ONE_JOB}, forge=forge)
    assert "a rule of mlops-history says its commits must be signed" in warning.message
    assert forge.asked == ["rules mlops-history"]


def test_what_this_checkout_lacks_is_told_before_hours_are_spent_on_it(tmp_path: Path) -> None:
    config = MODEL.replace("evaluate.py], metrics", "evaluate.py], data: [data/], metrics").replace("[train.py]", "[train.py, lib/]")
    files = {"mlops.yaml": config, ".gitattributes": "*.csv filter=lfs\n", "data/test.csv": POINTER, ".gitignore": "lib/\n"}
    messages = [warning.message for warning in said(tmp_path, files)]
    assert ["Git LFS's pointer" in message for message in messages] == [True, False]
    assert "lfs: true" in messages[0]


def test_a_program_that_only_the_evaluation_starts_is_missed_before_the_training(tmp_path: Path) -> None:
    config = MODEL.replace("run: python3 evaluate.py", "run: pythno evaluate.py")
    (warning,) = said(tmp_path / "a", {"mlops.yaml": config})
    assert (warning.file, warning.line) == ("mlops.yaml", 3)
    assert "there is no program pythno yet" in warning.message
    assert said(tmp_path / "b", {"mlops.yaml": MODEL.replace("python3 evaluate.py", "model/evaluate --all")}) == []  # made by the training


# ── what stops it ─────────────────────────────────────────────────────


def ci(folder: Path, **more: str) -> dict[str, str]:
    """A push to main, on GitHub."""
    return {"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "push", "GITHUB_REPOSITORY": "acme/models", "GITHUB_REF_NAME": "main", "GITHUB_OUTPUT": str(folder / "output"), "RUNNER_ENVIRONMENT": "self-hosted", **more}  # fmt: skip


@pytest.mark.parametrize("verb", ["train", "review"])
def test_a_git_that_is_too_old_stops_it_before_anything_runs(tmp_path: Path, verb: str) -> None:
    made = make(tmp_path)
    path = with_git(tmp_path, '[ "$1" = --version ] && { echo "git version 2.25.1"; exit 0; }\nexec "$REAL" "$@"')
    done = made.mlops(verb, code=4, PATH=path, **ci(tmp_path))
    assert "git version 2.25.1 is too old" in done.stderr
    assert "exit<<" in (tmp_path / "output").read_text()
    assert not (made.root / "model").exists()
    assert made.report["error"]["name"] == "git-too-old"
    assert made.mlops(verb, code=0, PATH=path).returncode == 0  # a person sees what comes of it


@pytest.mark.parametrize(("free", "stops"), [(5e6, True), (2e8, False)])
def test_a_disk_with_no_room_at_all_stops_it_and_a_tight_one_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: float, stops: bool
) -> None:
    class Full:
        f_bavail, f_frsize, f_files, f_favail = int(free), 1, 10**7, 10**6

    monkeypatch.setattr(disk.os, "statvfs", lambda _: Full)
    if not stops:
        assert said(tmp_path, {".github/workflows/model.yml": TWO_JOBS}) == []
        return
    with pytest.raises(EnvironmentFailure) as caught:
        said(tmp_path, {})
    assert (caught.value.name, caught.value.code) == ("disk-full", 4)
    assert "only 5 MB free" in caught.value.message


def several(tmp_path: Path) -> Repository:
    """Two models: the first trains anywhere, the last wants a GPU."""
    made = make(tmp_path)
    for name in MODELS:
        (made.root / name).mkdir()
        for file in ("train.py", "evaluate.py", "params.json", "mlops.yaml"):
            (made.root / name / file).write_bytes((made.root / file).read_bytes())
        config = (made.root / name / "mlops.yaml").read_text().replace("name: spam-filter", f"name: {name}")
        (made.root / name / "mlops.yaml").write_text(
            config if name == MODELS[0] else config.replace("params: params.json}", "params: params.json, gpus: 1}")
        )
    (made.root / "mlops.yaml").unlink()
    made.commit("two models")
    return made


def test_a_gpu_that_the_last_model_lacks_is_missed_before_the_first_is_trained(tmp_path: Path) -> None:
    made = several(tmp_path)
    bare = {"PATH": "/usr/bin:/bin", "CUDA_VISIBLE_DEVICES": "-1"}
    done = made.mlops("train", "--config", "*/mlops.yaml", code=4, **ci(tmp_path), **bare)
    assert "train.gpus asks for 1, found 0" in done.stderr
    assert "other/mlops.yaml:2" in done.stderr
    assert not (made.root / "first" / "model").exists()


def test_a_model_that_need_not_be_trained_needs_no_gpu(tmp_path: Path) -> None:
    made = several(tmp_path)
    fake = tmp_path / "bin" / "nvidia-smi"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\necho 'NVIDIA Fake, 550.1'\n")
    fake.chmod(0o755)
    made.mlops("train", "--config", "*/mlops.yaml", PATH=f"{fake.parent}:{made.env['PATH']}", **ci(tmp_path))
    again = made.mlops("train", "--config", "*/mlops.yaml", PATH="/usr/bin:/bin", CUDA_VISIBLE_DEVICES="-1", **ci(tmp_path))
    assert "no-gpu" not in again.stderr
    assert "::warning" not in again.stderr
    made.mlops("train", "--again", "--config", "*/mlops.yaml", code=4, PATH="/usr/bin:/bin", CUDA_VISIBLE_DEVICES="-1", **ci(tmp_path))


# ── what does not hold it up ──────────────────────────────────────────


@pytest.mark.parametrize("verb", ["evaluate", "compare", "plan", "report", "record"])
def test_other_verbs_are_not_looked_ahead_of(tmp_path: Path, verb: str) -> None:
    broken = TWO_JOBS.replace("statuses: write", "statuses: read")
    assert said(tmp_path, {".github/workflows/model.yml": broken}, verb=verb) == []


def test_on_a_laptop_nothing_is_looked_at(tmp_path: Path) -> None:
    forge = Watched()
    assert (
        said(
            tmp_path, {".github/workflows/model.yml": TWO_JOBS.replace("statuses: write", "statuses: read")}, context=Context(), forge=forge
        )
        == []
    )
    assert forge.asked == []


def test_a_configuration_that_cannot_be_read_is_the_verb_s_to_tell(tmp_path: Path) -> None:
    made = make(tmp_path)
    made.write(mlops_yaml="name: [\n")
    done = made.mlops("train", code=2, **ci(tmp_path))
    assert done.stderr.count("mlops train: mlops.yaml:") == 1


def raising(*_: object, **__: object) -> BranchRules:
    raise RuntimeError("a defect")


@pytest.mark.parametrize("broken", ["rules", "lacks"])
def test_a_forge_that_breaks_is_no_reason_not_to_train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    forge = Memory()
    monkeypatch.setattr(forge, broken, raising)
    silent = re.sub(r"(?m)^    permissions:\n(      .*\n)+", "", ONE_JOB).replace("permissions: {}\n", "")
    assert said(tmp_path, {".github/workflows/model.yml": silent if broken == "lacks" else TWO_JOBS}, forge=forge) == []


def test_whatever_a_pull_request_writes_into_its_workflow_it_is_only_a_warning_of_its_own_run(tmp_path: Path) -> None:
    text = ONE_JOB.replace("  model:", "  model%0A::error::x:").replace("statuses: write", "statuses: read")
    for warning in said(tmp_path, {".github/workflows/model.yml": text}, name="model%0A::error::x"):
        assert warning.level == "warning"


FAULTS: dict[str, Callable[[], Fault]] = {
    "500": lambda: Fault(500),
    "a hang-up": lambda: Fault(drop=True),
    "429 for an hour": lambda: Fault.message(429, "slow down", retry_after="3600"),
    "a page": lambda: Fault(200, "<html></html>"),
    "403": lambda: Fault.message(403, "Resource not accessible by integration"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_forge_with_trouble_is_asked_once_and_not_waited_for(tmp_path: Path, fault: str) -> None:
    made = make(tmp_path)
    with serving() as fake:
        fake.fail("GET .*/(rules|branches)", FAULTS[fault](), times=100)
        fake.tokens = {"ghs_job": Token(may=frozenset({"pull-requests", "statuses"}))}
        began = time.monotonic()
        done = made.mlops("train", **ci(tmp_path), GITHUB_API_URL=fake.url, MLOPS_TOKEN="ghs_job")
        asked = [path for verb, path, _ in fake.requests if verb == "GET"]
    assert "::warning" not in done.stderr
    assert len(asked) <= 2
    assert time.monotonic() - began < 120
    assert (made.root / "model" / "weights.json").exists()


def test_an_api_that_answers_nothing_is_given_up_once(tmp_path: Path) -> None:
    world = patient(repository(tmp_path), environment(tmp_path), context=job()).world
    waited: list[float] = []

    class Slow(Memory):
        def rules(self, branch: str) -> BranchRules:
            waited.append(1)
            self.clock.sleep(120)
            raise AssertionError("it was waited for")

    preflight.before(argparse.Namespace(verb="train", config="mlops.yaml"), replace(world, forge=Slow()))
    assert waited == [1]


def test_a_certificate_that_nobody_knows_is_named_before_the_training(tmp_path: Path) -> None:
    made = make(tmp_path)
    with trouble.tls(trouble.certificate(tmp_path)) as address:
        made.git("remote", "add", "origin", f"https://{address}/acme/models")
        done = made.mlops("train", code=None, **ci(tmp_path), GITHUB_API_URL=f"https://{address}", MLOPS_TOKEN="ghs_job")
    named = [line for line in done.stderr.splitlines() if line.startswith("::warning")]
    assert f"the certificate of {address} is signed by itself" in named[0]
    assert "REQUESTS_CA_BUNDLE" in named[0]
    assert f"git: the certificate of {address} is signed by nobody who is known here" in named[1]
    assert "http.sslCAInfo" in named[1]
    assert done.stderr.index("::warning") < done.stderr.index("training")


def test_an_ordinary_job_asks_the_forge_two_questions(tmp_path: Path) -> None:
    made = make(tmp_path)
    (made.root / ".github/workflows").mkdir(parents=True)
    (made.root / ".github/workflows/model.yml").write_text(TWO_JOBS)
    made.commit("a workflow")
    with serving() as fake:
        fake.tokens = {"ghs_job": Token(may=frozenset({"pull-requests", "statuses"}))}
        made.mlops("train", **ci(tmp_path), GITHUB_API_URL=fake.url, MLOPS_TOKEN="ghs_job", GITHUB_JOB="train", GITHUB_WORKFLOW="model")
        asked = [path for verb, path, _ in fake.requests if verb == "GET"]
        assert fake.violations == []
    assert asked == ["/repos/acme/models/rules/branches/mlops-history", "/repos/acme/models/branches/mlops-history"]


def test_a_hostile_answer_of_the_forge_stays_within_its_annotation(tmp_path: Path) -> None:
    forge = Memory(branches={"mlops-history": BranchRules(refuses=("x\n::error::planted",))})
    made = said(tmp_path, {}, forge=forge)
    assert len(made) == 1
    from mlops_toolkit.forge.runner import command

    assert command(made[0]).count("\n") == 0
