"""Pull requests of strangers: their code runs where nothing may be written, and is judged where none of it runs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.scenario.fork_pair import Pair, answered, make, predictions, renamed, rewritten, secrets
from tests.world.github import serving
from tests.world.repository import CONFIG

GOOD, WORSE = 105, 300
HOSTILE = "</details><script>alert(1)</script> | `x` @octocat <!-- mlops-actions:1 comment --> ![i](http://evil.example/i.png) \u202e"
Record = dict[str, Any]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with serving() as github:
        made = make(tmp_path_factory.mktemp("pair"), github)
        made.main()
        yield made
    assert github.violations == []


@pytest.fixture(scope="module")
def trained(pair: Pair) -> dict[int, tuple[str, Path]]:
    """Heads of a fork, one good and one worse, trained: wrong examples -> (head, artifact)."""
    made = {}
    for wrong in (GOOD, WORSE):
        head = pair.head(wrong, number=wrong, branch=f"wrong-{wrong}")
        made[wrong] = head, pair.train(head, number=wrong, branch=f"wrong-{wrong}")
    return made


@pytest.fixture
def artifact(trained: dict[int, tuple[str, Path]], pair: Pair, tmp_path: Path) -> Callable[[int], tuple[str, Path]]:
    """A copy of an artifact, to be changed; what was posted before is forgotten."""
    pair.forget()

    def copy(wrong: int) -> tuple[str, Path]:
        head, folder = trained[wrong]
        return head, Path(shutil.copytree(folder, tmp_path / f"artifact-{wrong}"))

    return copy


Artifact = Callable[[int], "tuple[str, Path]"]


@contextmanager
def pulls_as_before(pair: Pair) -> Iterator[None]:
    """What is opened, moved or closed in here is no longer for the tests that follow: a head has one open pull request."""
    before = dict(pair.github.pulls)
    try:
        yield
    finally:
        pair.github.pulls.clear()
        pair.github.pulls.update(before)


def test_a_good_fork_has_one_comment_and_its_check(pair: Pair, artifact: Artifact) -> None:
    head, folder = artifact(GOOD)
    judged = pair.judge(folder, pair.ended(head, branch=f"wrong-{GOOD}"))
    assert judged.done.returncode == 0, judged.done.stderr
    assert judged.statuses == {"mlops/spam-filter": "success"}
    (body,) = pair.github.bodies(GOOD)
    assert body.startswith("✅ spam-filter: accuracy −0.25 pp")
    assert "the predictions come from the fork's own code" in body
    assert "latency-ms, parameters: as the fork's own code reports" in body
    assert judged.report["verdict"] == "pass"
    assert {"report.json", "comment.md", "report.html", "junit.xml"} <= {path.name for path in (judged.workspace / ".mlops").iterdir()}


def test_what_main_has_recorded_is_all_that_there_is_afterwards(pair: Pair, artifact: Artifact) -> None:
    """No baseline and no reuse ever comes from a stranger's run."""
    head, folder = artifact(GOOD)
    judged = pair.judge(folder, pair.ended(head))
    assert [(entry.branch, entry.fork) for entry in judged.recorded] == [("main", False)]


def test_every_model_of_a_fork_s_pull_request_is_a_look_and_the_same_one_again_is_none(pair: Pair, artifact: Artifact) -> None:
    head, folder = artifact(GOOD)
    number = 77
    with pulls_as_before(pair):
        pair.offer(head, number=number, branch="looks")
        ended = pair.ended(head, branch="looks")
        first = pair.judge(folder, ended)
        assert first.report["looks"] == 1
        mine = [entry for entry in first.looks if entry.pull_request == number]
        assert [(e.gate, e.commit, e.metrics, e.train, e.evaluate, e.tree, e.branch) for e in mine] == [
            ("passed", head, {}, None, None, None, None)
        ]
        # What its record says of its model does not make it another one, nor the same as another.
        again = pair.judge(rewritten(folder, lambda r: r["trained-model"].update(digest="sha256:" + "1" * 64)), ended)
        assert again.report["looks"] == 1
        assert len([e for e in again.looks if e.pull_request == number]) == 1
        other = pair.judge(answered(folder, lambda frame: frame.with_columns(prediction=frame["prediction"].reverse())), ended)
        assert other.report["looks"] == 2
        assert [e.gate for e in other.looks if e.pull_request == number] == ["passed", "failed"]
        assert "this look is not counted" not in other.done.stderr


def test_a_worse_fork_is_blocked(pair: Pair, artifact: Artifact) -> None:
    head, folder = artifact(WORSE)
    judged = pair.judge(folder, pair.ended(head))
    assert judged.done.returncode == 1
    assert judged.statuses == {"mlops/spam-filter": "failure"}
    assert pair.github.bodies(WORSE)[0].startswith("❌ spam-filter: accuracy −10.0 pp")


def test_the_gate_is_the_base_branch_s_alone(pair: Pair, artifact: Artifact) -> None:
    """A fork that loosens it, accepts itself, or turns its model's name or metrics around changes nothing."""
    artifact(WORSE)
    loose = CONFIG.replace("1pp", "90%").replace("3pp", "90%") + "when-uncertain: warn\naccepted: [{check: gate, reason: ours}]\n"
    head = pair.head(WORSE, number=6, branch="loose", mlops_yaml=loose)
    judged = pair.judge(pair.train(head, number=6, branch="loose"), pair.ended(head, branch="loose"))
    assert judged.done.returncode == 1
    assert judged.statuses == {"mlops/spam-filter": "failure"}
    assert "allowed −1.0" in judged.comments[0]
    assert "loosened" not in judged.comments[0]


def test_every_number_is_computed_again_from_the_baseline_s_targets(pair: Pair, artifact: Artifact) -> None:
    """Targets forged to agree with the predictions, and numbers forged in the record."""
    head, folder = artifact(WORSE)

    def praise(record: Record) -> None:
        for value in record["metrics"].values():
            value["value"] = 1.0
        record["slices"] = {}
        record["gate"] = {"gate": "passed", "verdict": "pass", "accepted": True, "sentence": "all is well"}

    answered(folder, lambda frame: frame.with_columns(target=pl.col("prediction")))
    judged = pair.judge(rewritten(folder, praise), pair.ended(head))
    (check,) = [c for c in judged.report["checks"] if c["metric"] == "accuracy" and c["slice"] is None]
    assert (judged.done.returncode, check["head"], check["verdict"]) == (1, 0.85, "fail")


def test_no_weight_slice_or_cluster_of_the_stranger_s_counts(pair: Pair, artifact: Artifact) -> None:
    head, folder = artifact(WORSE)
    wrong = pl.col("prediction") != pl.col("target")
    answered(
        folder,
        lambda frame: frame.with_columns(weight=pl.when(wrong).then(1e-9).otherwise(1.0), language=pl.lit("de"), cluster=pl.lit("one")),
    )
    judged = pair.judge(folder, pair.ended(head))
    assert judged.done.returncode == 1
    slices = {c["slice"]: c["n"] for c in judged.report["checks"] if c["metric"] == "accuracy" and c["slice"]}
    assert slices == {"language=de": 500, "language=en": 1500}


CHANGED: dict[str, Callable[[pl.DataFrame], pl.DataFrame]] = {
    "the wrong rows are dropped": lambda f: f.filter(pl.col("prediction") == pl.col("target")),
    "one row is dropped": lambda f: f.head(f.height - 1),
    "all rows are dropped": lambda f: f.clear(),
    "a right row stands twice": lambda f: pl.concat([f, f.head(1)]),
    "a right row stands in the place of a wrong one": lambda f: pl.concat([f.tail(f.height - 1), f.tail(1)]),
    "every row stands twice": lambda f: pl.concat([f, f]),
    "ids are invented": lambda f: f.with_columns(id="new-" + pl.col("id")),
    "one id is invented besides": lambda f: pl.concat([f, f.head(1).with_columns(id=pl.lit("another"))]),
    "one id is another": lambda f: pl.concat([f.tail(f.height - 1), f.head(1).with_columns(id=pl.lit("another"))]),
}


@pytest.mark.parametrize("how", CHANGED)
def test_other_examples_than_the_baseline_s_are_an_error_with_a_way_out(pair: Pair, artifact: Artifact, how: str) -> None:
    head, folder = artifact(GOOD)
    judged = pair.judge(answered(folder, CHANGED[how]), pair.ended(head))
    assert judged.error == "fork-data-changed"
    assert judged.done.returncode == 5
    assert "/evaluate" in judged.done.stderr
    assert judged.statuses == {"mlops/spam-filter": "error"}
    assert "no verdict" in judged.comments[0]


def test_the_order_of_rows_is_of_no_matter(pair: Pair, artifact: Artifact) -> None:
    head, folder = artifact(GOOD)
    assert pair.judge(answered(folder, lambda f: f.sample(fraction=1, shuffle=True, seed=3)), pair.ended(head)).done.returncode == 0


def test_an_answer_that_is_no_label_is_a_wrong_one_and_not_quoted(pair: Pair, artifact: Artifact) -> None:
    head, folder = artifact(GOOD)
    answered(folder, lambda f: f.with_columns(prediction=pl.when(pl.col("id") < "mail-15").then(pl.lit(HOSTILE)).otherwise("prediction")))
    judged = pair.judge(folder, pair.ended(head))
    assert judged.done.returncode == 1
    assert "(another label)" in judged.comments[0]
    said = judged.comments[0] + judged.done.stdout + judged.done.stderr + (judged.workspace / ".mlops" / "report.html").read_text()
    assert "alert(1)" not in said
    assert "evil.example" not in said


CLAIMS: dict[str, Callable[[Record], object]] = {
    "main's branch": lambda r: r.update(branch="main", base_branch=None, pull_request=None, event="push"),
    "no fork": lambda r: r.update(fork=False),
    "another pull request": lambda r: r.update(pull_request=1),
    "a release": lambda r: r.update(released="v9", withdrawn=None),
    "that it was withdrawn": lambda r: r.update(withdrawn="never mind"),
    "another tree": lambda r: r.update(tree="0" * 40),
    "a clean gate": lambda r: r.update(gate={"gate": "passed", "verdict": "pass", "accepted": True, "sentence": "fine"}),
    "another data digest": lambda r: r["evaluations"][""]["data"].update(digest="sha256:0", n=1, labels=["ham"]),
    "another positive class and task": lambda r: (r["evaluations"][""].update(positive="ham"), r["evaluations"][""]["data"].update(task="regression")),
    "that it was evaluated again": lambda r: r["evaluations"][""].update(baseline_run="20261124-092057-3f9a1c", baseline_predictions=r["evaluations"][""]["predictions"]),
    "to be reported by others": lambda r: r.update({"self-reported": True}),
    "to be reused": lambda r: r.update(status="reused", source="20261124-092057-3f9a1c"),
    "a suite of its own": lambda r: r["evaluations"].update(easy=r["evaluations"][""]),
    "measures that are gated as metrics": lambda r: r["measures"].update(accuracy={"values": [1.0], "better": "higher"}),
}  # fmt: skip


@pytest.mark.parametrize("what", CLAIMS)
def test_what_a_record_claims_changes_no_verdict_and_no_history(pair: Pair, artifact: Artifact, what: str) -> None:
    head, folder = artifact(WORSE)
    judged = pair.judge(rewritten(folder, CLAIMS[what]), pair.ended(head))
    assert judged.done.returncode == 1, judged.done.stderr
    assert judged.statuses == {"mlops/spam-filter": "failure"}
    assert [c["head"] for c in judged.report["checks"] if c["metric"] == "accuracy" and not c["slice"]] == [0.85]
    assert len(judged.recorded) == 1


def test_the_id_or_the_model_of_the_baseline_buys_nothing(pair: Pair, artifact: Artifact) -> None:
    """A run that calls itself the baseline would not be compared with it; one with its model would change exactly nothing."""
    head, folder = artifact(WORSE)
    first = pair.judge(folder, pair.ended(head))
    main = first.recorded[0].id
    record = json.loads((folder / "run.json").read_text())
    shutil.move(folder / "runs" / record["id"], folder / "runs" / main)
    (folder / "run.json").write_text(json.dumps(record | {"id": main}))
    shutil.copy(folder / "run.json", folder / "runs" / main)
    second = pair.judge(folder, pair.ended(head))
    assert (second.done.returncode, second.report["baseline"]["run"]) == (1, main)
    assert second.report["head"]["run"] != main


ELSE: dict[str, Callable[[Record], None]] = {
    "another model": lambda r: r.update(model="spam-filter2"),
    "another configuration": lambda r: r.update(config="models/other/mlops.yaml"),
    "another commit": lambda r: r.update(commit="0" * 40),
    "another CI run": lambda r: r["ci"].update(run="1"),
    "a leg that nobody has": lambda r: r.update(matrix="tiny"),
}


@pytest.mark.parametrize("what", ELSE)
def test_a_record_of_something_else_is_no_run_of_this_head(pair: Pair, artifact: Artifact, what: str) -> None:
    head, folder = artifact(GOOD)
    judged = pair.judge(rewritten(folder, ELSE[what]), pair.ended(head))
    assert (judged.error, judged.done.returncode) == ("no-run", 2)
    assert judged.statuses == {"mlops/spam-filter": "error"}


@pytest.mark.parametrize("status", ["failed", "interrupted", "running"])
def test_a_run_that_did_not_end_well_is_said_to_without_its_own_words(pair: Pair, artifact: Artifact, status: str) -> None:
    head, folder = artifact(GOOD)
    judged = pair.judge(rewritten(folder, lambda r: r.update(status=status, reason=HOSTILE)), pair.ended(head, conclusion="failure"))
    assert judged.error == "run-not-evaluated"
    assert "alert(1)" not in judged.comments[0] + judged.done.stderr


def replaced(raw: bytes) -> Callable[[Path], None]:
    def act(folder: Path) -> None:
        predictions(folder).write_bytes(raw)
        renamed(folder)

    return act


def linked(to: str) -> Callable[[Path], None]:
    def act(folder: Path) -> None:
        path = predictions(folder)
        path.unlink()
        path.symlink_to(to)

    return act


def claims(rows: int) -> Callable[[Path], None]:
    """A file whose row group says that it has so many rows, without their bytes."""

    def act(folder: Path) -> None:
        pl.select(pl.repeat("mail-1", rows, eager=True).alias("id"), pl.repeat("ham", rows, eager=True).alias("prediction")).write_parquet(
            predictions(folder), compression="zstd"
        )
        renamed(folder)

    return act


def of(change: Callable[[pl.DataFrame], pl.DataFrame]) -> Callable[[Path], object]:
    return lambda folder: answered(folder, change)


def recorded(text: Callable[[str], str]) -> Callable[[Path], None]:
    def act(folder: Path) -> None:
        for path in (folder / "run.json", *folder.glob("runs/*/run.json")):
            path.write_bytes(text(path.read_text()).encode("utf-8", "surrogatepass"))

    return act


def placed(path: str) -> Callable[[Path], object]:
    return lambda folder: rewritten(folder, lambda r: r["evaluations"][""]["predictions"].update(path=path))


FILES: dict[str, Callable[[Path], object]] = {
    "a link out of the folder": linked("/etc/passwd"),
    "a link within it": linked("../run.json"),
    "a path that leaves": placed("../../../../etc/passwd"),
    "an absolute path": placed("/etc/passwd"),
    "another file of it": placed("run.json"),
    "a store": placed("http://127.0.0.1:9/x#main.parquet"),
    "a file that is not there": placed("predictions/none.parquet"),
    "another sha256": lambda folder: predictions(folder).write_bytes(predictions(folder).read_bytes()[::-1]),
    "another size": lambda folder: predictions(folder).write_bytes(predictions(folder).read_bytes() + b"\0"),
    "text": replaced(b"id,prediction\nmail-1,ham\n"),
    "a zip": replaced(b"PK\x03\x04" + b"\0" * 100),
    "nothing": replaced(b""),
    "half a file": replaced(b"PAR1" + b"\x15\x04" * 200 + b"PAR1"),
    "lists": of(lambda f: f.with_columns(prediction=pl.concat_list("prediction"))),
    "records": of(lambda f: f.with_columns(prediction=pl.struct("prediction", "id"))),
    "bytes": of(lambda f: f.with_columns(prediction=pl.col("prediction").cast(pl.Binary))),
    "dates": of(lambda f: f.with_columns(id=pl.lit("2026-01-01").str.to_date())),
    "no answers": of(lambda f: f.drop("prediction")),
    "empty answers": of(lambda f: f.with_columns(prediction=pl.lit(""))),
    "missing answers": of(lambda f: f.with_columns(prediction=pl.lit(None, dtype=pl.String))),
    "a text of 100 MB": of(lambda f: f.with_columns(prediction=pl.when(pl.col("id") == "mail-0").then(pl.lit("x" * 100_000_000)).otherwise("prediction"))),
    "much text in few bytes": of(lambda f: f.with_columns(prediction=pl.lit("x" * 200_000))),
    "a hundred million rows": claims(100_000_000),
    "a record of a million brackets": recorded(lambda _: "[" * 1_000_000 + "]" * 1_000_000),
    "a record that is not text": recorded(lambda _: "\udcff\udcfe"),
    "a record of NaN": recorded(lambda text: text.replace('"n": 2000', '"n": NaN')),
    "a record of infinity": recorded(lambda text: text.replace("2000", "1e999")),
    "a record of a huge number": recorded(lambda text: text.replace('"trainings": 1', f'"trainings": {"9" * 5000}')),
    "a record of half characters": recorded(lambda text: text.replace('"ham"', '"\\ud800"')),
    "a record of lists": recorded(lambda text: f"[{text}]"),
    "a record from the future": recorded(lambda text: text.replace('"schema": 1', '"schema": 99')),
    "a record that names two models": recorded(lambda text: text.replace('"model": "spam-filter"', '"model": "a", "model": "spam-filter"')),
}  # fmt: skip


@pytest.mark.parametrize("what", FILES)
def test_a_hostile_artifact_is_a_named_error_and_never_a_verdict(pair: Pair, artifact: Artifact, what: str) -> None:
    head, folder = artifact(GOOD)
    FILES[what](folder)
    judged = pair.judge(folder, pair.ended(head))
    assert judged.done.returncode in (2, 5), judged.done.stderr
    assert judged.error in (
        *("no-run", "fork-data-changed", "changed-file", "not-predictions", "missing-column", "missing-value", "wrong-shape"),
        "too-large",
    )
    assert judged.report["verdict"] is None
    assert judged.statuses == {"mlops/spam-filter": "error"}
    assert "root:" not in judged.done.stderr + judged.comments[0]


def test_markup_in_every_text_reaches_nobody(pair: Pair, artifact: Artifact) -> None:
    head, folder = artifact(GOOD)

    def shout(record: Record) -> None:
        for key in ("branch", "reason", "tool", "event", "base_branch"):
            record[key] = HOSTILE
        record["params"] = {HOSTILE: HOSTILE}
        record["commands"] = [{"phase": "train", "run": HOSTILE}]
        record["environment"] = {"python": HOSTILE, "gpu": HOSTILE, "versions": {HOSTILE: HOSTILE}}
        record["measures"][HOSTILE] = {"values": [1.0], "unit": HOSTILE, "better": "higher"}
        record["measures"]["latency-ms"]["unit"] = HOSTILE
        record["metrics"][HOSTILE] = {"value": 1.0, "n": 0, "signature": HOSTILE, "direction": "higher"}
        record["ci"]["url"] = "javascript:alert(1)"

    judged = pair.judge(rewritten(folder, shout), pair.ended(head))
    assert judged.done.returncode == 0, judged.done.stderr
    written = [path.read_text(errors="replace") for path in (judged.workspace / ".mlops").rglob("*") if path.is_file()]
    for said in (*judged.comments, judged.done.stdout, judged.done.stderr, *written, (pair.folder / "summary").read_text()):
        assert "alert(1)" not in said
        assert "evil.example" not in said


def test_what_a_stranger_says_of_a_measure_is_its_value_alone(pair: Pair, artifact: Artifact) -> None:
    head, folder = artifact(GOOD)
    judged = pair.judge(
        rewritten(
            folder, lambda r: r["measures"].update({"latency-ms": {"values": [500.0] * 3, "better": "higher", "noisy": True, "unit": "£"}})
        ),
        pair.ended(head),
    )
    assert judged.report["measures"]["latency-ms"] == {"baseline": pytest.approx(10.0), "head": 500.0, "better": "lower", "unit": "ms"}


def test_dependabot_is_a_stranger_on_a_branch_of_ours(pair: Pair, artifact: Artifact) -> None:
    artifact(WORSE)
    loose = CONFIG.replace("1pp", "90%").replace("3pp", "90%")
    head = pair.head(WORSE, number=8, fork=False, branch="dependabot/pip/x", mlops_yaml=loose)
    folder = pair.train(head, number=8, fork=False, branch="dependabot/pip/x", dependabot=True, GITHUB_ACTOR="dependabot[bot]")
    payload = pair.ended(
        head, fork=False, branch="dependabot/pip/x", actor={"login": "dependabot[bot]"}, triggering_actor={"login": "octocat"}
    )
    judged = pair.judge(folder, payload)
    assert judged.statuses == {"mlops/spam-filter": "failure"}
    assert "the predictions come from the dependency's update's own code" in judged.comments[0]
    assert len(judged.recorded) == 1


def test_a_fork_that_is_gone_is_a_stranger_still(pair: Pair, artifact: Artifact) -> None:
    head, folder = artifact(WORSE)
    judged = pair.judge(folder, pair.ended(head, fork=None))
    assert judged.statuses == {"mlops/spam-filter": "failure"}
    assert "the fork's own code" in judged.comments[0]


@pytest.mark.parametrize("what", ["moved on", "closed", "two of it"])
def test_without_one_open_pull_request_nothing_is_judged_and_nothing_stays_pending(pair: Pair, artifact: Artifact, what: str) -> None:
    head, folder = artifact(GOOD)
    with pulls_as_before(pair):
        if what == "moved on":
            pair.github.add_pull(GOOD, head="1" * 40, head_branch=f"wrong-{GOOD}", fork=True)
        elif what == "closed":
            pair.github.add_pull(GOOD, head=head, head_branch=f"wrong-{GOOD}", fork=True, state="closed")
        else:
            pair.github.add_pull(99, head=head, head_branch=f"wrong-{GOOD}", fork=True, base_branch="release")
        judged = pair.judge(folder, pair.ended(head, branch=f"wrong-{GOOD}"))
    assert (judged.error, judged.done.returncode) == ("no-open-pull-request", 4)
    assert judged.statuses == {"mlops/spam-filter": "error"}
    assert judged.comments == []


def test_an_older_run_never_overwrites_a_newer_one(pair: Pair, artifact: Artifact) -> None:
    head, folder = artifact(GOOD)
    newer = pair.trained[head]
    _, worse = artifact(WORSE)
    pair.judge(folder, pair.ended(head))
    (body,) = pair.github.bodies(GOOD)

    def earlier(record: Record) -> None:
        record["commit"] = head
        record["ci"]["run"] = str(newer - 1)

    assert pair.judge(rewritten(worse, earlier), pair.ended(head, id=newer - 1)).done.returncode == 1
    assert pair.github.bodies(GOOD) == [body]


@pytest.mark.parametrize(("conclusion", "error"), [("cancelled", "run-cancelled"), ("failure", "no-run"), ("timed_out", "no-run")])
def test_a_run_that_handed_nothing_over_is_told_in_words(pair: Pair, artifact: Artifact, conclusion: str, error: str) -> None:
    head, _ = artifact(GOOD)
    judged = pair.judge(None, pair.ended(head, conclusion=conclusion))
    assert judged.error == error
    assert conclusion in judged.report["sentence"]
    assert judged.statuses == {"mlops/spam-filter": "error"}
    assert judged.comments[0].startswith("⛔") or "no verdict" in judged.comments[0]


def test_no_file_anywhere_holds_the_token(pair: Pair, artifact: Artifact) -> None:
    head, folder = artifact(GOOD)
    pair.judge(folder, pair.ended(head))
    assert secrets(pair.folder) == []
    assert not any((pair.folder / "temp").iterdir())


def test_nothing_that_lies_there_is_run_imported_or_believed(pair: Pair, artifact: Artifact) -> None:
    """Leftovers of another job in the workspace and code in the artifact, under every name that a tool would pick up."""
    head, folder = artifact(WORSE)
    canary = pair.folder / "canary"
    code = f"import pathlib; pathlib.Path({str(canary)!r}).write_text(__file__)\n"

    def litter(place: Path) -> None:
        for where in (place, place / "handed"):
            for name in (
                "sitecustomize",
                "usercustomize",
                "polars",
                "numpy",
                "json",
                "argparse",
                "mlops_toolkit/__init__",
                "conftest",
                "setup",
            ):
                target = where / f"{name}.py"
                target.parent.mkdir(exist_ok=True)
                target.write_text(code)
            (where / "mlops.yaml").write_text(CONFIG.replace("1pp", "90%").replace("python3 train.py", f"touch {canary}"))
            hooks = where / ".git" / "hooks"
            hooks.mkdir(parents=True)
            (where / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
            for part in ("objects", "refs"):
                (where / ".git" / part).mkdir()
            (where / ".git" / "config").write_text(
                f'[core]\n\tfsmonitor = "touch {canary}"\n\tsshCommand = "touch {canary}"\n\thooksPath = hooks\n[alias]\n\tlog = "!touch {canary}"\n'
            )
            for hook in ("reference-transaction", "post-checkout", "pre-push", "fsmonitor-watchman"):
                (hooks / hook).write_text(f"#!/bin/sh\ntouch {canary}\n")
                (hooks / hook).chmod(0o755)
        left = place / ".mlops" / "runs" / "20270101-000000-000000"
        left.mkdir(parents=True)
        record = json.loads((place / "handed" / "run.json").read_text())
        main = {"id": left.name, "branch": "main", "event": "push", "pull_request": None, "fork": False}
        (left / "run.json").write_text(
            json.dumps({**record, **main, "commit": pair.git("rev-parse", "main"), "tree": pair.git("rev-parse", "main^{tree}")})
        )

    judged = pair.judge(folder, pair.ended(head), workspace=litter)
    assert not canary.exists(), canary.read_text()
    assert (judged.done.returncode, judged.statuses) == (1, {"mlops/spam-filter": "failure"})
    assert judged.report["baseline"]["run"] != "20270101-000000-000000"


def test_one_git_runs_in_our_own_repository_and_none_in_the_workspace(pair: Pair, artifact: Artifact, tmp_path: Path) -> None:
    head, folder = artifact(GOOD)
    real, log = shutil.which("git"), tmp_path / "calls"
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "git").write_text(f'#!/bin/sh\nprintf "%s | %s\\n" "$PWD" "$*" >> {log}\nexec {real} "$@"\n')
    (tmp_path / "bin" / "git").chmod(0o755)
    judged = pair.judge(folder, pair.ended(head), PATH=f"{tmp_path / 'bin'}:{pair.env['PATH']}")
    assert judged.done.returncode == 0
    for line in log.read_text().splitlines():
        assert str(pair.folder / "temp") in line, line
        assert str(judged.workspace) not in line.partition(" | ")[2], line
