"""The first week of a team: what git ignores or keeps elsewhere, what other systems write, and programs that are not Python."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import needs
from tests.engine.events import Event
from tests.world.project import CONFIG, EVALUATE, HARMLESS, TRAIN, WORSE
from tests.world.team import Job, Team, team

QUIET = "comment: {charts: false}\n"
STORE = "models: {store: 'file:'}\n"
EXE = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH


def changed(acme: Team, files: dict[str, str]) -> Job:
    """A pull request with these files, checked out and not yet run."""
    acme.project.branch("feature")
    head = acme.project.commit("a change", files)
    return acme.job(acme.pull_request(7, head, "feature"))


def started(folder: Path, files: dict[str, str]) -> Iterator[Team]:
    """A team whose main has these files and is recorded."""
    with team(folder, files) as made:
        made.reviewed(made.push())
        yield made


# ── what git ignores ──────────────────────────────────────────────────


def test_predictions_and_model_that_git_ignores_are_no_change_of_the_checkout(tmp_path: Path) -> None:
    """`predictions: out/preds.csv`, both folders in .gitignore."""
    files = {
        ".gitignore": "model/\nout/\n*.csv\n",
        "evaluate.py": EVALUATE.replace('os.environ["MLOPS_PREDICTIONS"]', '"out/preds.csv"').replace("import json, os", "import json"),
        "mlops.yaml": CONFIG.replace("  task:", "  predictions: out/preds.csv\n  task:") + QUIET,
    }
    files["evaluate.py"] = 'import pathlib\npathlib.Path("out").mkdir(exist_ok=True)\n' + files["evaluate.py"].partition('"""\n')[2]
    for acme in started(tmp_path, files):
        job = changed(acme, {"src/wrong.txt": f"{WORSE}\n"})
        job.step("review", code=1)
        assert job.record["dirty"] is False
        assert job.git("status", "--porcelain") == ""


def test_a_job_that_compares_needs_neither_the_model_nor_the_predictions_of_the_one_that_trained(acme: Team) -> None:
    """Two machines; the second has what was handed over, and a fresh checkout."""
    first = changed(acme, {"src/wrong.txt": f"{WORSE}\n"})
    first.step("train")
    first.step("evaluate")
    second = acme.job(first.event, run=first.run)
    first.hand_over(second)
    second.step("compare", code=1)
    assert second.report["head"]["run"] == first.record["id"]
    assert not (second.root / "model").exists()


def test_a_workspace_that_was_cleaned_between_two_jobs_says_what_is_missing(acme: Team) -> None:
    """checkout's `clean` is `git clean -ffdx`: it takes .mlops with it, and the model."""
    job = changed(acme, {"src/wrong.txt": f"{WORSE}\n"})
    job.step("train")
    job.git("clean", "-ffdxq")
    done = job.step("evaluate", code=2)
    assert "there is no run of this checkout" in done.err
    job.step("train")
    job.step("evaluate")
    job.git("clean", "-ffdxq")
    done = job.step("compare", code=2)
    assert job.report["error"]["name"] == "no-run"
    assert "mlops" in done.err


def test_a_model_that_was_cleaned_away_is_taken_from_the_store_by_the_job_that_evaluates(tmp_path: Path) -> None:
    """Self-hosted: the store is on the runner's disk, and the record was handed over."""
    for acme in started(tmp_path, {"mlops.yaml": CONFIG + QUIET + STORE}):
        first = changed(acme, {"src/wrong.txt": f"{WORSE}\n"})
        first.step("train")
        second = acme.job(first.event, run=first.run)
        second.env["XDG_DATA_HOME"] = str(first.folder / "data")
        first.hand_over(second)
        second.step("evaluate")
        second.step("compare", code=1)
        assert second.report["verdict"] == "fail"


# ── Windows ───────────────────────────────────────────────────────────


@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["", "with a byte order mark"])
def test_carriage_returns_in_the_configuration_and_in_predictions_change_nothing(acme: Team, mark: str) -> None:
    """A configuration and predictions as an editor on Windows and Excel write them: the labels are the same, and so is the gate."""
    evaluate = EVALUATE.replace("\\n", "\\r\\n").replace('"id,', f'"{mark}id,').replace('"w")', '"w", encoding="utf-8", newline="")')
    assert evaluate.count("\\r\\n") == 2
    config = mark + (CONFIG + QUIET).replace("\n", "\r\n")
    job = changed(acme, {".gitattributes": "* -text\n", "mlops.yaml": config, "evaluate.py": evaluate, "src/wrong.txt": f"{WORSE}\r\n"})
    assert b"\r\n" in (job.root / "mlops.yaml").read_bytes()
    job.step("review", code=1)
    [accuracy] = [c for c in job.report["checks"] if c["metric"] == "accuracy" and c["slice"] is None]
    assert (accuracy["verdict"], accuracy["head"]) == ("fail", 1 - WORSE / 1000)
    assert job.report["examples"]["broken_total"] == 120
    assert {c["slice"] for c in job.report["checks"]} == {None, "language=de", "language=en"}
    assert not any("\r" in line for line in acme.github.bodies(7)[0].replace("\r\n", "\n").split("\n"))


# ── Git LFS, submodules ───────────────────────────────────────────────

DATA = "id,target,language\n" + "".join(f"mail-{i},{'spam' if i % 3 else 'ham'},{'de' if i % 4 else 'en'}\n" for i in range(600))
READS = '''"""Evaluates on the examples of a file."""
import csv, json, os
wrong = json.load(open("model/model.json"))["wrong"]
with open(os.environ["MLOPS_PREDICTIONS"], "w") as out:
    print("id,target,prediction,language", file=out)
    for i, row in enumerate(csv.DictReader(open("data/test.csv"))):
        other = {"spam": "ham", "ham": "spam"}[row["target"]]
        print(row["id"], row["target"], other if i * 7919 % 1000 < wrong else row["target"], row["language"], sep=",", file=out)
'''
READING = (
    CONFIG.replace("  run: python3 evaluate.py\n", "  run: python3 evaluate.py\n  inputs: [evaluate.py]\n  data: [data/test.csv]\n")
    + QUIET
    + STORE
)


@pytest.fixture
def large(tmp_path: Path) -> Iterator[Team]:
    """A team whose test data is kept in Git LFS, by the real git-lfs."""
    if shutil.which("git-lfs") is None:
        needs.missing("lfs", "git-lfs is not installed")
    with team(tmp_path, {"mlops.yaml": READING, "evaluate.py": READS}) as made:
        made.project.git("lfs", "install", "--local")
        made.project.git("lfs", "track", "data/*.csv")
        made.project.commit("data", {"data/test.csv": DATA})
        yield made


def smudged(acme: Team, event: Event, **options: Any) -> Job:
    """A checkout with `lfs: true`."""
    job = acme.job(event, **options)
    job.git("remote", "set-url", "origin", acme.project.remote.as_uri())  # git-lfs has a way of its own to a repository that is a folder
    job.git("lfs", "install", "--local")
    job.git("lfs", "pull")
    job.git("remote", "set-url", "origin", acme.git_server.address)
    assert (job.root / "data" / "test.csv").read_text() == DATA
    return job


def test_data_in_lfs_is_evaluated_on_and_a_checkout_without_it_is_told_before_it_trains(large: Team) -> None:
    smudged(large, large.push()).step("review")
    job = changed(large, {"src/wrong.txt": f"{WORSE}\n"})
    assert (job.root / "data" / "test.csv").read_bytes().startswith(b"version https://git-lfs.github.com/spec/")
    done = job.step("review", code=None)
    assert done.code != 0
    assert "lfs: true" in done.log
    event = job.event
    again = smudged(large, event, run=job.run, attempt=2)
    again.step("review", code=1)
    assert again.report["baseline"]["state"] == "ok"


def test_a_plan_without_the_large_files_knows_that_nothing_changed(large: Team) -> None:
    """plan needs no data: a change to the documentation is answered from main's run."""
    smudged(large, large.push()).step("review")
    job = changed(large, {"README.md": "words\n"})
    done = job.step("plan")
    assert json.loads(done.outputs["models"]) == []


def test_data_in_a_submodule_decides_and_a_checkout_without_submodules_is_told(tmp_path: Path) -> None:
    data = tmp_path / "data.git"
    subprocess.run(["git", "init", "-q", "-b", "main", data], check=True)
    commit = ["git", "-C", data, "-c", "user.name=x", "-c", "user.email=x@example.org"]
    (data / "test.csv").write_text(DATA)
    subprocess.run([*commit, "add", "-A"], check=True)
    subprocess.run([*commit, "commit", "-q", "-m", "data"], check=True)
    (tmp_path / "acme").mkdir()
    with team(tmp_path / "acme", {"mlops.yaml": READING, "evaluate.py": READS}) as acme:
        acme.project.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", data.as_uri(), "data")
        acme.project.commit("data", {})

        def whole(job: Job) -> Job:
            job.git("-c", "protocol.file.allow=always", "submodule", "update", "-q", "--init")
            return job

        whole(acme.job(acme.push())).step("review")
        job = changed(acme, {"src/wrong.txt": f"{WORSE}\n"})
        done = job.step("review", code=None)
        assert done.code != 0
        assert "submodules: recursive" in done.log
        whole(job).step("review", code=1)
        (data / "test.csv").write_text(DATA.replace("mail-1,spam", "mail-1,ham"))
        subprocess.run([*commit, "commit", "-q", "-a", "-m", "a label"], check=True)
        acme.project.branch("labels")
        subprocess.run(["git", "-C", acme.project.root / "data", "-c", "protocol.file.allow=always", "pull", "-q"], check=True)
        head = acme.project.commit("newer data", {})
        moved = whole(acme.job(acme.pull_request(8, head, "labels")))
        moved.step("review", code=None)
        assert moved.report["baseline"]["state"] in ("labels-changed", "data-changed")


# ── other programs, other data ────────────────────────────────────────

SHELL = """#!/bin/sh
set -eu
mkdir -p model
grep -v '^#' params.txt > model/wrong
"""
PERL = r"""
open my $in, '<', 'model/wrong' or die; my $wrong = <$in>; chomp $wrong;
open my $out, '>', $ENV{MLOPS_PREDICTIONS} or die;
print $out "id,target,prediction\n";
for my $i (0..999) { my $t = $i % 3 ? 'ja' : 'nein'; my $o = $t eq 'ja' ? 'nein' : 'ja';
  printf $out "%04d,%s,%s\n", $i, $t, ($i < $wrong ? $o : $t); }
"""
NODE = """
const fs = require('fs'); const wrong = +fs.readFileSync('model/wrong', 'utf8'); let rows = ['id,target,prediction'];
for (let i = 0; i < 1000; i++) { const t = i % 3 ? 'ja' : 'nein', o = i % 3 ? 'nein' : 'ja';
  rows.push(`${String(i).padStart(4, '0')},${t},${i < wrong ? o : t}`); }
fs.writeFileSync(process.env.MLOPS_PREDICTIONS, rows.join('\\n') + '\\n');
"""
AWK = """BEGIN { getline wrong < "model/wrong"; print "id,target,prediction";
for (i = 0; i < 1000; i++) { t = i % 3 ? "ja" : "nein"; o = i % 3 ? "nein" : "ja"; printf "%04d,%s,%s\\n", i, t, i < wrong ? o : t } }
"""


@pytest.mark.parametrize(
    ("name", "command", "script"),
    [
        ("perl", "perl evaluate.txt", PERL),
        ("node", "node evaluate.txt", NODE),
        ("awk", 'awk -f evaluate.txt > "$MLOPS_PREDICTIONS"', AWK),
    ],
)
def test_training_in_a_shell_and_evaluation_in_another_language(tmp_path: Path, name: str, command: str, script: str) -> None:
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    config = f"""\
name: yes-or-no
train: {{run: sh train.sh, output: model/, inputs: [train.sh, params.txt]}}
evaluate:
  run: {command}
  inputs: [evaluate.txt]
  task: classification
  metrics: [accuracy, "recall:nein"]
gate: {{accuracy: {{max-drop: 2pp}}}}
{QUIET}"""
    files = {"mlops.yaml": config, "train.sh": SHELL, "params.txt": "# wrong\n40\n", "evaluate.txt": script}
    for acme in started(tmp_path, files):
        job = changed(acme, {"params.txt": "# wrong\n100\n"})
        job.step("review", code=1)
        [accuracy] = [c for c in job.report["checks"] if c["metric"] == "accuracy" and c["slice"] is None]
        assert (accuracy["baseline"], accuracy["head"]) == (0.96, 0.9)
        assert "0000" in acme.github.bodies(7)[0] or job.report["examples"]["broken_total"] == 60


ODD = [
    "007",
    "7",
    "1e3",
    "1000.0",
    "NA",
    "null",
    "None",
    "true",
    " x",
    "x ",
    'say "hi"',
    "a,b",
    "two\nlines",
    "naïve",
    "नमस्ते",
    "🙂",
    "=1+1",
    "-",
    "<b>",
    "|",
    "../../etc/passwd",
    "A" * 300,
]


def test_ids_are_text_exactly_as_written(tmp_path: Path) -> None:
    """Numbers that differ only in how they are written, quotes, line breaks, other scripts: each is an example of its own."""
    evaluate = f"""\
import csv, json, os
odd = {ODD!r} + [f"row-{{i}}" for i in range(600)]
wrong = json.load(open("model/model.json"))["wrong"]
with open(os.environ["MLOPS_PREDICTIONS"], "w", newline="", encoding="utf-8") as out:
    rows = csv.writer(out)
    rows.writerow(["id", "target", "prediction", "language"])
    for i, name in enumerate(odd):
        target = ["NA", "no", "1.0", "null"][i % 4]
        rows.writerow([name, target, target if i >= wrong else "no" if target != "no" else "NA", "de"])
"""
    config = CONFIG.replace("recall:spam", "recall:no") + QUIET
    for acme in started(tmp_path, {"evaluate.py": evaluate, "mlops.yaml": config, "src/wrong.txt": "0\n"}):
        job = changed(acme, {"src/wrong.txt": f"{WORSE}\n"})
        job.step("review", code=1)
        report = job.report
        assert report["examples"]["broken_total"] == WORSE
        [accuracy] = [c for c in report["checks"] if c["metric"] == "accuracy" and c["slice"] is None]
        assert (accuracy["n"], accuracy["baseline"]) == (len(ODD) + 600, 1.0)


def test_without_a_train_section_what_is_evaluated_is_compared(tmp_path: Path) -> None:
    """A model behind an API, or rules in a file: there is nothing to train."""
    config = CONFIG[: CONFIG.index("train:")] + CONFIG[CONFIG.index("evaluate:") :] + QUIET
    evaluate = EVALUATE.replace('json.loads(pathlib.Path("model/model.json").read_text())["wrong"]', 'int(open("src/wrong.txt").read())')
    for acme in started(tmp_path, {"mlops.yaml": config, "evaluate.py": evaluate}):
        job = changed(acme, {"src/wrong.txt": f"{WORSE}\n"})
        for verb, code in (("train", 0), ("evaluate", 0), ("compare", 1)):
            done = job.step(verb, code=code)
        assert job.report["baseline"]["state"] == "ok"
        assert done.outputs["verdict"] == "fail"
        again = acme.job(job.event)
        again.step("review", code=1)


# ── the night ─────────────────────────────────────────────────────────

FED = TRAIN.replace('pathlib.Path("src/wrong.txt")', 'pathlib.Path(os.environ["FEED"])')


def nightly(acme: Team, feed: Path, wrong: int, code: int) -> Job:
    """One night: so much of the new data is bad."""
    feed.write_text(f"{wrong}\n")
    job = acme.job(acme.schedule())
    job.env |= {"FEED": str(feed), "XDG_DATA_HOME": str(acme.folder / "data")}
    job.step("review", code=code)
    return job


@pytest.mark.parametrize("declared", [False, True], ids=["undeclared", "declared"])
def test_new_data_under_the_same_code_is_trained_on_at_night(tmp_path: Path, declared: bool) -> None:
    """Declared, unchanged data is not trained on again; undeclared data cannot be seen to be unchanged, so it is."""
    feed = tmp_path / "feed.txt"
    config = CONFIG.replace(
        "  inputs: [src/, train.py]\n", f"  inputs: [train.py]\n  data: ['{feed}']\n" if declared else "  inputs: [train.py]\n"
    )
    with team(tmp_path, {"mlops.yaml": config + QUIET + STORE, "train.py": FED}) as acme:
        first = nightly(acme, feed, HARMLESS, 0)
        assert first.report["baseline"]["state"] == "first-run"
        same = nightly(acme, feed, HARMLESS, 0)
        assert same.record["status"] == ("reused" if declared else "succeeded")
        bad = nightly(acme, feed, WORSE, 1)
        assert bad.record["status"] == "succeeded"
        assert bad.report["baseline"]["run"] in (first.record["id"], same.record["id"])
        [issue] = acme.github.open_issues()
        assert "spam-filter" in issue["title"]
        again = nightly(acme, feed, WORSE, 1)
        assert again.report["verdict"] == "fail", "a bad night is no baseline of the next"
        good = nightly(acme, feed, HARMLESS, 0)
        assert good.report["gate"] == "passed"
        assert acme.github.open_issues() == []


def test_a_training_script_without_the_right_to_be_executed_is_named(acme: Team) -> None:
    """chmod +x is what a first commit from Windows lacks."""
    job = changed(acme, {"train.sh": SHELL, "mlops.yaml": (CONFIG + QUIET).replace("python3 train.py", "./train.sh")})
    assert not (job.root / "train.sh").stat().st_mode & EXE
    done = job.step("review", code=5)
    assert "train.sh" in done.err
    assert "Permission denied" in done.log or "not executable" in done.log
