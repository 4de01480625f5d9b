"""The check of GPUs, with a stand-in for nvidia-smi that says what real ones have said."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlops_toolkit.doctor.checks.gpu import CONTAINER, ELSEWHERE, check, cure
from mlops_toolkit.doctor.finding import Finding
from tests.unit.doctor.places import MODEL, environment, patient, repository

GPUS = MODEL.replace("output: model/,", "output: model/, gpus: 2,")
TWO = "echo 'NVIDIA H100 80GB HBM3, 550.54.15'; echo 'NVIDIA H100 80GB HBM3, 550.54.15'"


def found(tmp_path: Path, script: str | None, config: str = GPUS, **env: str) -> list[Finding]:
    folder = tmp_path / "bin"
    folder.mkdir()
    if script is not None:
        (folder / "nvidia-smi").write_text(
            f'#!/bin/sh\ncase "$1" in *compute-apps*) {script.partition("|")[2] or ":"};; *) {script.partition("|")[0]};; esac\n'
        )
        (folder / "nvidia-smi").chmod(0o755)
    return list(check(patient(repository(tmp_path, {"mlops.yaml": config}), environment(tmp_path, PATH=f"{folder}:/usr/bin:/bin", **env))))


def test_nobody_who_asks_for_none_hears_of_gpus(tmp_path: Path) -> None:
    assert found(tmp_path, None, MODEL) == []


def test_those_that_are_asked_for_are_there(tmp_path: Path) -> None:
    (finding,) = found(tmp_path, TWO)
    assert (finding.level, finding.message) == (
        "fine",
        "2 of 2 GPUs asked for: NVIDIA H100 80GB HBM3, NVIDIA H100 80GB HBM3, driver 550.54.15",
    )


def test_whoever_is_on_them_is_named(tmp_path: Path) -> None:
    fine, busy = found(tmp_path, f"{TWO}|echo '4711, python train.py, 70000 MiB'")
    assert (fine.level, busy.level) == ("fine", "note")
    assert "process 4711, python train.py, 70000 MiB" in busy.message


@pytest.mark.parametrize(
    ("script", "env", "said", "hint"),
    [
        (None, {}, "found 0: nvidia-smi is not installed: no NVIDIA driver here", ELSEWHERE),
        ("echo 'Failed to initialize NVML: Driver/library version mismatch'; exit 18", {}, "version mismatch", "reboot"),
        ("echo \"NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\"; exit 9", {}, "couldn't communicate", "modprobe nvidia"),
        ("echo 'No devices were found'; exit 6", {}, "No devices were found", "ls /dev/nvidia*"),
        ("echo 'NVIDIA A10, 550.1'", {}, "found 1: NVIDIA A10", ELSEWHERE),
        (TWO, {"CUDA_VISIBLE_DEVICES": ""}, "hides every GPU", "unset CUDA_VISIBLE_DEVICES"),
        (TWO, {"CUDA_VISIBLE_DEVICES": "1"}, "found 1", ELSEWHERE),
    ],
)  # fmt: skip
def test_why_they_are_not_there(tmp_path: Path, script: str | None, env: dict[str, str], said: str, hint: str) -> None:
    (finding,) = found(tmp_path, script, **env)
    assert finding.level == "problem"
    assert finding.message.startswith("train.gpus asks for 2, ")
    assert said in finding.message
    assert hint in (finding.hint or "")


@pytest.mark.parametrize("name", [".dockerenv", "run/.containerenv"])
def test_a_container_must_be_given_one(tmp_path: Path, name: str) -> None:
    trouble = "nvidia-smi is not installed: no NVIDIA driver here"
    assert CONTAINER not in cure(trouble, tmp_path)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    assert CONTAINER in cure(trouble, tmp_path)
