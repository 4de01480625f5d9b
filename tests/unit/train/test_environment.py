"""Where a training runs, as far as it can be told."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.system import gpu
from mlops_toolkit.train import environment
from mlops_toolkit.train.launchers import Launch
from mlops_toolkit.train.launchers.local import launch

SMI = '#!/bin/sh\nprintf "NVIDIA H100 80GB HBM3, 580.65.06\\nNVIDIA H100 80GB HBM3, 580.65.06\\n"\n'


def program(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    (folder / name).chmod(0o755)
    return folder


def test_the_python_is_the_user_s_and_its_packages_are_known_by_name_and_version(tmp_path: Path) -> None:
    """Measured on a virtual environment of its own: one package more is another digest."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True)
    env = {"PATH": f"{tmp_path / 'venv' / 'bin'}:/usr/bin:/bin"}
    before = environment.describe("python train.py", env, tmp_path, host="box")
    (site,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    (site / "torch-2.9.1+cu130.dist-info").mkdir()
    (site / "Scikit_Learn-1.9.1.dist-info").mkdir()
    after = environment.describe("python train.py", env, tmp_path, host="box")
    assert before.python == ".".join(map(str, sys.version_info[:3]))
    assert (before.versions, after.versions) == ({}, {"torch": "2.9.1+cu130", "scikit-learn": "1.9.1"})
    assert before.packages is not None
    assert before.packages != after.packages
    assert after.host == "box"


@pytest.mark.parametrize(
    "command", ["python3 train.py", "FOO=1 python3 -m x | tee log", "cd src && python3 x.py", "make train", "./python3 x"]
)
def test_a_python_is_found_however_the_command_starts_it(tmp_path: Path, command: str) -> None:
    folder = program(tmp_path / "bin", "python3", '#!/bin/sh\necho \'{"python": "3.99.0", "packages": "ab", "versions": {}}\'\n')
    program(tmp_path, "python3", (folder / "python3").read_text())
    assert environment.describe(command, {"PATH": f"{folder}:/usr/bin:/bin"}, tmp_path, host="h").python == "3.99.0"


@pytest.mark.parametrize(
    "text",
    [
        "#!/bin/sh\nexit 1\n",
        "#!/bin/sh\necho nonsense\n",
        "#!/bin/sh\necho '[1]'\n",
        "#!/no/such/interpreter\n",
        '#!/bin/sh\necho \'{"python": 3, "packages": [], "versions": 1}\'\n',
    ],
)
def test_a_python_that_does_not_answer_is_unknown(tmp_path: Path, text: str) -> None:
    folder = program(tmp_path / "bin", "python3", text)
    program(folder, "python", text)
    found = environment.describe("python train.py", {"PATH": str(folder)}, tmp_path, host="h")
    assert (found.python, found.packages, found.versions) == (None, None, {})


def test_gpus_are_named_and_counted(tmp_path: Path) -> None:
    folder = program(tmp_path / "bin", "nvidia-smi", SMI)
    found = environment.describe("true", {"PATH": f"{folder}:/usr/bin:/bin"}, tmp_path, host="h")
    assert (found.gpu, found.driver) == ("2 × NVIDIA H100 80GB HBM3", "580.65.06")


@pytest.mark.parametrize(("visible", "count"), [("0", 1), ("0,1", 2), ("1,7", 1), ("", 0), ("-1", 0), ("GPU-8f1e", 1)])
def test_hidden_gpus_do_not_count(tmp_path: Path, visible: str, count: int) -> None:
    folder = program(tmp_path / "bin", "nvidia-smi", SMI)
    assert len(gpu.probe({"PATH": f"{folder}:/usr/bin:/bin", "CUDA_VISIBLE_DEVICES": visible}).names) == count


@pytest.mark.parametrize(
    ("smi", "extra", "said"),
    [
        (None, {}, "train.gpus asks for 3, but nvidia-smi is not installed: no NVIDIA driver here"),
        ("#!/bin/sh\necho 'Failed to initialize NVML: Driver/library version mismatch'; exit 18\n", {}, "train.gpus asks for 3, but nvidia-smi failed: Failed to initialize NVML: Driver/library version mismatch"),
        ("#!/bin/sh\n", {}, "train.gpus asks for 3, but nvidia-smi lists no GPU"),
        (SMI, {}, "train.gpus asks for 3, but there are 2 (NVIDIA H100 80GB HBM3, NVIDIA H100 80GB HBM3)"),
        (SMI, {"CUDA_VISIBLE_DEVICES": ""}, 'train.gpus asks for 3, but CUDA_VISIBLE_DEVICES is "": it hides every GPU'),
    ],
)  # fmt: skip
def test_a_gpu_that_is_not_there_is_said_before_the_command_starts(
    tmp_path: Path, smi: str | None, extra: dict[str, str], said: str
) -> None:
    folder = program(tmp_path / "bin", "nvidia-smi", smi) if smi else tmp_path
    env = {"PATH": f"{folder}:/usr/bin:/bin" if smi else str(tmp_path / "nothing"), **extra}
    with pytest.raises(EnvironmentFailure) as caught:
        launch(Launch("touch started", tmp_path, env, tmp_path / "log.txt", gpus=3), echo=None)
    assert (caught.value.name, caught.value.message) == ("no-gpu", said)
    assert not (tmp_path / "started").exists()


def test_with_enough_gpus_the_command_starts(tmp_path: Path) -> None:
    folder = program(tmp_path / "bin", "nvidia-smi", SMI)
    env = {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
    assert launch(Launch("true", tmp_path, env, tmp_path / "log.txt", gpus=2), echo=None).ended == "ok"
