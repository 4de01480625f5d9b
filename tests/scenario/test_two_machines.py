"""Two machines that each keep their models on their own disk: whose disk a model is on is said, and what can go on goes on."""

from __future__ import annotations

import json
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from mlops_toolkit import cli
from tests.scenario.test_evaluation_changed import Net, answers, make, rows


class Machines:
    """One checkout after the other of one repository, on machines by name: each with a home, a disk and a host name of its own."""

    def __init__(self, net: Net, folder: Path, patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.net, self.folder, self.patch, self.capsys = net, folder, patch, capsys

    def on(self, host: str, *args: str) -> tuple[int, str]:
        """Run the command line on a machine; its exit code, and all it printed."""
        home = self.folder / host
        self.patch.setattr(socket, "gethostname", lambda: host)
        places = {"HOME": str(home), "XDG_DATA_HOME": str(home / "data"), "XDG_CACHE_HOME": str(home / "cache")}
        for name, value in {**self.net.env, **places}.items():
            self.patch.setenv(name, value)
        self.patch.chdir(self.net.root)
        code = cli.main(list(args))
        out, err = self.capsys.readouterr()
        assert "Traceback" not in out + err
        return code, out + err

    def change(self, message: str, **files: str) -> None:
        self.net.put(**files)
        self.net.commit(message)

    def drop_model(self) -> None:
        """As in a fresh checkout, where git has no model."""
        subprocess.run(["rm", "-rf", self.net.folder / "model"], check=True)

    @property
    def report(self) -> dict[str, Any]:
        made: dict[str, Any] = self.net.kept("report.json")
        return made


@pytest.fixture
def machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Machines:
    made = Machines(make(tmp_path), tmp_path / "machines", monkeypatch, capsys)
    made.net.commit("main")
    assert made.on("gpu-1", "review")[0] == 0
    made.net.git("switch", "-q", "-c", "branch")
    return made


def test_an_evaluation_without_the_model_names_its_machine_and_the_lines_to_paste(machines: Machines) -> None:
    machines.change("branch", limit_txt="502")
    assert machines.on("gpu-1", "train")[0] == 0
    machines.drop_model()
    code, said = machines.on("gpu-2", "evaluate")
    assert code == 4
    assert "cannot be had: it is on another machine (gpu-1)" in said
    assert 'models: {store: "s3://bucket/models"}' in said


def test_an_equal_training_whose_model_is_on_another_disk_runs_again_and_says_why(machines: Machines) -> None:
    machines.drop_model()
    code, said = machines.on("gpu-2", "train")
    assert code == 0
    assert "trained the same, but its model cannot be had from here (it is on gpu-1)" in said
    assert machines.on("gpu-2", "train")[1].count("nothing to train") == 1


def test_a_baseline_on_another_disk_leaves_what_the_change_does_not_touch(machines: Machines) -> None:
    machines.change("branch", limit_txt="502")
    machines.drop_model()
    assert machines.on("gpu-2", "review")[0] == 0
    assert (machines.report["baseline"]["state"], machines.report["verdict"]) == ("ok", "pass")


def test_a_changed_judge_with_the_baseline_on_another_disk_is_a_state_and_no_crash(machines: Machines) -> None:
    machines.change("another judge", judge_txt="10", limit_txt="502")
    machines.drop_model()
    code, said = machines.on("gpu-2", "review")
    assert code == 3, "five points fewer than before, by another judge: somebody has to say whether that is fine"
    assert (machines.report["baseline"]["state"], machines.report["verdict"]) == ("evaluation-changed", "inconclusive")
    assert any("it is on another machine (gpu-1)" in note for note in machines.report["notes"])
    assert said.count("could not be evaluated again (the model") == 1
    assert machines.on("gpu-1", "review", "--again")[0] == 0
    assert machines.net.again() == answers(0, 1000, 500, 10)


def test_a_changed_test_set_with_the_baseline_on_another_disk_is_compared_on_the_common_rows(machines: Machines) -> None:
    machines.change("more rows", data__test_csv=rows(0, 1020, 500), limit_txt="502")
    machines.drop_model()
    assert machines.on("gpu-2", "review")[0] == 0
    assert machines.report["baseline"]["state"] == "data-changed"
    assert any("1,000 examples in common (these are compared)" in note for note in machines.report["notes"])


def test_the_doctor_tells_when_several_machines_keep_their_own(machines: Machines) -> None:
    assert "each keeps its own" not in machines.on("gpu-1", "doctor")[1]
    machines.change("branch", limit_txt="502")
    machines.drop_model()
    machines.on("gpu-2", "train")
    found = [row for row in json.loads(_document(machines.on("gpu-1", "doctor", "--json")[1])) if row["check"] == "models"]
    assert [row["level"] for row in found] == ["fine", "note"]
    assert "gpu-1 and gpu-2" in found[1]["message"]
    assert 'store: "s3://bucket/models"' in found[1]["hint"]


def _document(text: str) -> str:
    return text[text.index("[") : text.rindex("]") + 1]
