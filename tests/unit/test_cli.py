"""The command line as a person meets it: help, versions, every wrong thing one clear error with its class's code."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mlops_toolkit import arguments, cli, plug
from mlops_toolkit.cli import main


def mlops(*args: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("GITHUB_", "MLOPS_"))}
    return subprocess.run(
        [sys.executable, "-m", "mlops_toolkit", *args],
        cwd=cwd,
        env={**clean, **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


ROWS = "id,target,prediction\n" + "".join(f"e{i},{'ab'[i % 2]},{'ab'[i % 2]}\n" for i in range(100))


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "main.csv").write_text(ROWS)
    (tmp_path / "mine.csv").write_text(ROWS.replace("e0,a,a", "e0,a,b"))
    (tmp_path / "metrics.json").write_text('{"accuracy": 0.9}')
    (tmp_path / "worse.json").write_text('{"accuracy": 0.8}')
    return tmp_path


def test_two_files_need_nothing_else(files: Path) -> None:
    done = mlops("compare", "main.csv", "mine.csv", "--task", "classification", cwd=files)
    assert done.returncode == 0
    assert "accuracy" in done.stdout
    assert done.stderr == ""


def test_json_is_one_document_and_nothing_else(files: Path) -> None:
    done = mlops("compare", "main.csv", "mine.csv", "--json", "--gate", "accuracy:max-drop=9pp", cwd=files)
    result = json.loads(done.stdout)
    assert (result["schema"], result["verdict"], result["exit"]) == (1, "pass", 0)
    assert json.loads((files / ".mlops" / "report.json").read_text()) == result


def test_a_report_that_could_not_be_written_is_not_pointed_at(files: Path) -> None:
    (files / ".mlops" / "report.json").mkdir(parents=True)
    done = mlops("compare", "main.csv", "mine.csv", "--html", cwd=files)
    assert done.returncode == 0
    assert "the report could not be written to" in done.stderr
    assert "report: " not in done.stderr


@pytest.mark.parametrize(("term", "colours"), [("xterm", True), ("dumb", False)])
def test_a_terminal_without_colours_gets_none(files: Path, term: str, colours: bool) -> None:
    ours, theirs = pty.openpty()
    env = {k: v for k, v in os.environ.items() if not k.startswith(("GITHUB_", "MLOPS_", "NO_COLOR", "FORCE_COLOR"))}
    command = [sys.executable, "-m", "mlops_toolkit", "compare", "metrics.json", "worse.json"]
    subprocess.run(command, cwd=files, env={**env, "TERM": term}, stdout=theirs, stderr=subprocess.PIPE, check=True, timeout=60)
    os.close(theirs)
    said = os.read(ours, 1 << 16)
    os.close(ours)
    assert b"accuracy" in said
    assert (b"\x1b[" in said) is colours


def test_metrics_files_compare_too(files: Path) -> None:
    assert mlops("compare", "metrics.json", "worse.json", "--gate", "accuracy:max-drop=1pp", cwd=files).returncode == 1
    assert mlops("compare", "metrics.json", "metrics.json", "--gate", "accuracy:max-drop=1pp", cwd=files).returncode == 0


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["compare", "main.csv", "nothing.csv"], 2, "nothing.csv"),
        (["compare", "main.csv", "mine.csv", "--gate", "acuracy:max-drop=1pp"], 2, 'did you mean "accuracy"'),
        (["compare", "main.csv", "mine.csv", "--gate", "accuracy:max-drop=1"], 2, "1pp"),
        (["compare", "main.csv", "mine.csv", "--gate", "accuracy"], 2, "accuracy:max-drop=1pp"),
        (["compare", "main.csv", "mine.csv", "--slice", "language"], 2, "language"),
        (["compare", "main.csv", "mine.csv", "--metric", "roc-auc:a"], 5, "prob:"),
        (["compare"], 2, "mlops init"),
        (["compare", "main.csv", "metrics.json", "--gate", "accuracy:max-drop=1pp"], 2, "two predictions files"),
        (["train"], 2, "mlops init"),
        (["validate", "--config", "../outside.yaml"], 2, "outside.yaml"),
        (["history", "show", "20991231-000000-abcdef"], 2, ""),
        (["report"], 2, "mlops compare"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_each_wrong_thing_is_one_clear_error(words: list[str], code: int, said: str, files: Path) -> None:
    done = mlops(*words, cwd=files)
    assert done.returncode == code, done.stderr + done.stdout
    assert said in done.stderr
    assert "Traceback" not in done.stderr + done.stdout


def test_broken_predictions_are_the_users_file(files: Path) -> None:
    (files / "bad.csv").write_text("id,target,prediction\ne1,a,a\ne1,a,b\n")
    done = mlops("compare", "main.csv", "bad.csv", cwd=files)
    assert done.returncode == 5
    assert "bad.csv" in done.stderr
    assert "e1" in done.stderr


def test_every_verb_of_the_table_exists() -> None:
    assert set(cli.VERBS) == set(arguments.HELP)
    for verb in cli.VERBS:
        assert callable(plug.load("verb", cli.VERBS, verb))


def test_a_defect_of_ours_is_a_sentence_and_code_70(
    files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(files)
    monkeypatch.setitem(cli.VERBS, "compare", "tests.unit.test_cli:breaks")
    assert main(["compare"]) == 70
    said = capsys.readouterr().err
    assert "ZeroDivisionError" in said
    assert "Traceback" not in said
    assert "Traceback" in (files / ".mlops" / "defect.txt").read_text()


def test_what_the_system_refuses_is_no_defect_of_ours(
    files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(files)
    monkeypatch.setitem(cli.VERBS, "compare", "tests.unit.test_cli:fills_the_disk")
    assert main(["compare"]) == 4
    assert capsys.readouterr().err.startswith("mlops compare: .mlops/run.json: the system refuses: No space left on device\n")


def fills_the_disk(*_: object) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), ".mlops/run.json")


def test_a_cancel_that_a_package_takes_for_its_own_failure_is_a_cancel(
    files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(files)
    for verb in ("wraps", "swallows"):
        monkeypatch.setitem(cli.VERBS, "compare", f"tests.unit.test_cli:{verb}")
        assert main(["compare"]) == 143
        assert "defect" not in capsys.readouterr().err


def wraps(*_: object) -> int:
    try:
        signal.raise_signal(signal.SIGTERM)
    except Exception as error:
        raise ImportError("Error importing numpy") from error
    return 0


def swallows(*_: object) -> int:
    with contextlib.suppress(Exception):
        signal.raise_signal(signal.SIGTERM)
    return 0


def breaks(*_: object) -> int:
    return 1 // 0
