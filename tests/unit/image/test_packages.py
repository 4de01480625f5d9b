"""Which wheels serve a model on the image's Python: chosen, proven and unpacked for that Python, whatever runs the build."""

from __future__ import annotations

import re
import sys
import zipfile
from pathlib import Path

import pytest

from mlops_toolkit.errors import EnvironmentFailure, InvalidFile, MlopsError, UsageError
from mlops_toolkit.image import packages, requirements
from mlops_toolkit.image.bytecode import compiled, interpreter
from mlops_toolkit.image.entries import below
from mlops_toolkit.image.inside import Python
from mlops_toolkit.image.layer import written
from mlops_toolkit.image.packages import fetch, resolve
from mlops_toolkit.image.requirements import Asked, Locked
from mlops_toolkit.image.store import Store
from mlops_toolkit.image.target import Target
from mlops_toolkit.image.wanted import BASE, Package, default_base
from mlops_toolkit.image.wheel import unpack
from mlops_toolkit.oci.documents import Platform
from tests.check import ROOT
from tests.world import wheels

HERE = (sys.version_info[0], sys.version_info[1])


def target(
    platform: str = "linux/amd64", version: tuple[int, int] = (3, 12), libc: tuple[str, tuple[int, int]] = ("glibc", (2, 36))
) -> Target:
    return Target(Platform.parse(platform), Python("/usr/bin/python3", version, *libc))


def test_the_server_needs_what_the_extra_says() -> None:
    """The table in the code is the extra `serve` of pyproject.toml without ONNX Runtime, and the lock has all of it with hashes."""
    text = (ROOT / "pyproject.toml").read_text()
    line = re.search(r"^serve = \[(.*)\]$", text, re.MULTILINE)
    assert line
    extra = {re.split(r"[><=;]", one)[0] for one in re.findall(r'"([^"]+)"', line[1])}
    assert {*requirements.SERVER, "numpy", "onnxruntime"} == extra
    locked = requirements.lock((ROOT / "mlops_toolkit/image/serve.txt").read_text())
    assert extra <= {one.name for one in locked}
    assert all(one.hashes for one in locked)
    assert any("python_full_version" in one.marker for one in locked)


def test_the_model_decides_before_the_training_before_our_lock() -> None:
    """Versions of what the model was saved with, then of what was installed there, then ours; of the server's own packages always ours."""
    ours = [Locked(name, "9", "", frozenset()) for name in ("uvloop", "numpy", "onnxruntime", "protobuf", "h11")]
    trained = requirements.environment(
        "# Python 3.11\nprotobuf==5.1\nscipy==1.2\nuvloop==0.1\ntorch==2.6.0+cu121\n--index-url==evil\n-r x\n"
    )
    asked = requirements.asked({"onnxruntime": "onnxruntime==1.2"}, {"tokenizers": "tokenizers==0.1"}, trained, ours)
    assert asked.roots == ("numpy==9", "onnxruntime==1.2", "tokenizers==0.1", "uvloop==9")
    assert asked.constraints == ("h11==9", "protobuf==5.1", "scipy==1.2", "torch==2.6.0")
    assert asked.careful == ("h11==9", "protobuf==9")


@pytest.mark.parametrize(
    "word", ["numpy", "numpy>=1", "--index-url=x==1", "a==1; import os", "a==1 b==2", "a @ file:///x==1", "-e .==1", "a==1\nb==2"]
)
def test_a_package_is_one_version_or_refused(word: str) -> None:
    """Out of a model's folder or out of mlops.yaml: nothing but NAME==VERSION reaches pip."""
    with pytest.raises(InvalidFile):
        requirements.pinned([word], where="model", hostile=True)
    with pytest.raises(UsageError, match="one package at one version"):
        requirements.pinned([word], where="publish.packages", hostile=False)


def test_wheels_are_chosen_for_the_image_not_for_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another architecture, C library and version than those that run pip; markers are judged there too."""
    index = tmp_path / "index"
    needs = [
        'new; python_version >= "3.13"',
        'old; python_version < "3.13"',
        'arm; platform_machine == "aarch64"',
        'win; sys_platform == "win32"',
    ]
    wheels.wheel(index, "root", requires=needs)
    for name in ("new", "old", "win"):
        wheels.wheel(index, name)
    for tag in ("cp313-cp313-manylinux_2_28_aarch64", "cp312-cp312-manylinux_2_40_x86_64", "cp312-cp312-musllinux_1_2_x86_64"):
        wheels.wheel(index, "arm", tag=tag, licence="MIT")
    wheels.only(index, monkeypatch)
    asked = Asked(("root==1.0",), (), ())
    arm = resolve(asked, target("linux/arm64", (3, 13)), [], gpu=False)
    assert [(one.name, one.licence) for one in arm.packages] == [("arm", "MIT"), ("new", None), ("root", None)]
    assert [one.name for one in resolve(asked, target(), [], gpu=False).packages] == ["old", "root"]
    only = Asked(("arm==1.0",), (), ())
    with pytest.raises(UsageError) as caught:
        resolve(only, target(), [], gpu=False)  # its only wheel for this processor needs a newer C library
    assert caught.value.name == "no-packages"
    assert "arm==1.0" in str(caught.value)
    assert [one.name for one in resolve(only, target(libc=("musl", (1, 2))), [], gpu=False).packages] == ["arm"]


def test_a_wheel_that_our_lock_does_not_know_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same name and version with another hash, and one that changes between pip's choice and its download."""
    index = tmp_path / "index"
    sha = wheels.wheel(index, "uvloop")
    wheels.only(index, monkeypatch)
    asked = Asked(("uvloop==1.0",), (), ())
    assert resolve(asked, target(), [Locked("uvloop", "1.0", "", frozenset({sha}))], gpu=False).packages == (Package("uvloop", "1.0", sha),)
    with pytest.raises(EnvironmentFailure) as caught:
        resolve(asked, target(), [Locked("uvloop", "1.0", "", frozenset({"0" * 64}))], gpu=False)
    assert caught.value.name == "package-differs"
    resolved = resolve(asked, target(), [], gpu=False)
    wheels.wheel(index, "uvloop", files={"uvloop/__init__.py": "evil"})
    (tmp_path / "to").mkdir()
    with pytest.raises(EnvironmentFailure) as caught:
        fetch(resolved, target(), tmp_path / "to")
    assert caught.value.name == "packages-unreachable"
    assert not list((tmp_path / "to").iterdir())


def test_no_image_without_a_gpu_brings_what_only_a_gpu_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The build for the processor alone where the index has it, else the package without its libraries for GPUs; of torch, it is said."""
    index = tmp_path / "index"
    wheels.wheel(index, "xgboost", requires=["nvidia-nccl-cu12"])
    wheels.wheel(index, "torch", requires=["nvidia-cublas"])
    for name in ("nvidia-nccl-cu12", "nvidia-cublas"):
        wheels.wheel(index, name)
    wheels.only(index, monkeypatch)

    def names(*roots: str, gpu: bool = False) -> tuple[list[str], str]:
        found = resolve(Asked(roots, (), ()), target(), [], gpu=gpu)
        return [one.name for one in found.packages], " ".join(found.notes)

    assert names("xgboost==1.0") == (["xgboost"], "without nvidia-nccl-cu12, which only a GPU needs")
    assert names("xgboost==1.0", gpu=True)[0] == ["nvidia-nccl-cu12", "xgboost"]
    found, said = names("torch==1.0")
    assert found == ["nvidia-cublas", "torch"]
    assert "comes with its libraries for GPUs" in said
    wheels.wheel(index, "xgboost-cpu")
    wheels.wheel(index, "torch", "1.0+cpu")
    assert names("torch==1.0", "xgboost==1.0")[0] == ["torch", "xgboost-cpu"]


def test_versions_of_the_training_that_contradict_are_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are constraints while they can be met; a server that needs another version of something is not held up by them."""
    index = tmp_path / "index"
    wheels.wheel(index, "server", requires=["click>=2"])
    for version in ("1", "2", "3"):
        wheels.wheel(index, "click", version)
    wheels.only(index, monkeypatch)

    def click(trained: str) -> str:
        found = resolve(Asked(("server==1.0",), (trained,), ("click==3",)), target(), [], gpu=False)
        return found.packages[0].version

    assert click("click==2") == "2"
    assert click("click==1") == "3"


def test_a_password_in_an_address_is_not_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pip's complaint names the index with the login in it: ours does not."""
    monkeypatch.setenv("PIP_INDEX_URL", "http://me:hunter2@127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(MlopsError) as caught:
        resolve(Asked(("nothing==1",), (), ()), target(), [], gpu=False)
    assert "hunter2" not in str(caught.value)


def test_wheels_are_unpacked_without_scripts_and_never_outside(tmp_path: Path) -> None:
    """Libraries below .data come along, scripts and a known package's own tests do not; a wheel with a way out is refused."""
    index = tmp_path / "index"
    files = {"a/x.py": "1", "a-1.0.data/purelib/b.py": "2", "a-1.0.data/scripts/a": "#!python", "a/tests/test_x.py": "3"}
    wheels.wheel(index, "a", files=files)
    wheels.wheel(index, "scipy", files={"scipy/tests/test_x.py": "", "scipy/stats/tests/data.bin": "", "scipy/__init__.py": ""})
    unpack(sorted(index.glob("*.whl")), tmp_path / "lib")
    found = {path.relative_to(tmp_path / "lib").as_posix() for path in (tmp_path / "lib").rglob("*") if path.is_file()}
    assert {path for path in found if "dist-info" not in path} == {"a/x.py", "b.py", "a/tests/test_x.py", "scipy/__init__.py"}
    for name in ("../out", "/etc/passwd", "a/../../out", "a\\..\\out"):
        bad = tmp_path / "bad-1.0-py3-none-any.whl"
        with zipfile.ZipFile(bad, "w") as archive:
            archive.writestr(name, "x")
        with pytest.raises(EnvironmentFailure) as caught:
            unpack([bad], tmp_path / "bad")
        assert caught.value.name == "bad-wheel"


def spoilt(place: Path, how: str) -> Path:
    """A wheel that cannot be unpacked."""
    with zipfile.ZipFile(place, "w", zipfile.ZIP_LZMA if how == "lzma" else zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", "x" * 1000)
        archive.writestr("b/c", "x")
        archive.writestr({"folder": "a/b", "deep": "a/b/c", "file": "b"}.get(how, "d"), "x")
    raw = bytearray(place.read_bytes())
    if how == "encrypted":
        raw[6] |= 1  # in the file's own header, and in the directory's
        raw[raw.index(b"PK\1\2") + 8] |= 1
    elif how == "unknown":
        raw[8] = raw[raw.index(b"PK\1\2") + 10] = 77
    elif how in ("stream", "lzma"):
        raw[31:40] = b"\xff" * 9
    elif how == "half":
        del raw[40:]
    elif how == "none":
        raw[:] = b"PK no zip"
    place.write_bytes(raw)
    return place


@pytest.mark.parametrize("how", ["none", "half", "encrypted", "unknown", "stream", "lzma", "folder", "deep", "file"])
def test_a_wheel_that_cannot_be_unpacked_is_named(how: str, tmp_path: Path) -> None:
    """Damaged, encrypted, compressed in an unknown way, or with a name that is a file's and a folder's."""
    bad = spoilt(tmp_path / "bad-1.0-py3-none-any.whl", how)
    with pytest.raises(EnvironmentFailure, match="cannot be unpacked") as caught:
        unpack([bad], tmp_path / "bad")
    assert caught.value.name == "bad-wheel"


def test_the_licence_in_a_wheel_is_read_within_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Metadata of gigabytes that compress to nothing, or that cannot be unpacked, says none."""
    place = tmp_path / "a-1.0-py3-none-any.whl"
    asked: list[int] = []
    read = zipfile.ZipExtFile.read
    monkeypatch.setattr(zipfile.ZipExtFile, "read", lambda self, n=-1: (asked.append(n), read(self, n))[1])
    for text, said in (("License-Expression: MIT\n", "MIT"), ("x" * (3 << 20) + "\nLicense-Expression: MIT\n", None)):
        with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a-1.0.dist-info/METADATA", text)
        assert packages._expression(place) == said
    assert asked
    assert all(0 < n <= 1 << 20 for n in asked)
    raw = bytearray(place.read_bytes())
    raw[60:80] = b"\xff" * 20
    place.write_bytes(raw)
    assert packages._expression(place) is None


def test_compiled_files_are_the_same_wherever_they_are_made(tmp_path: Path) -> None:
    """A package of many files, compiled in two folders, at two times: the same layer; files that are no Python are passed over."""
    import shutil

    import mlops_toolkit.stats

    layers = []
    for name in ("first", "second"):
        folder = tmp_path / name / "lib"
        shutil.copytree(Path(mlops_toolkit.stats.__file__).parent, folder / "stats", ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "template.py").write_text("{% not python %}")
        python = interpreter(HERE)
        assert python
        compiled(folder, "/opt/lib", python)
        assert not (folder / "__pycache__" / f"template.cpython-{HERE[0]}{HERE[1]}.pyc").exists()
        layers.append(written(below(folder, "opt/lib"), Store(tmp_path / name / "store"), "x"))
    assert layers[0].digest == layers[1].digest
    raw = next((tmp_path / "first/lib/stats/__pycache__").glob("paired.*.pyc")).read_bytes()
    assert raw[4:8] == b"\x01\x00\x00\x00"  # PEP 552: by hash, the source is not looked at
    assert interpreter((3, 99)) is None


def test_the_default_base_has_the_python_that_trained_it() -> None:
    """So that the versions it was saved with are there for the image's Python too."""
    assert default_base("3.11.7") == "docker.io/library/python:3.11-slim"
    assert default_base("3.14.0rc1") == "docker.io/library/python:3.14-slim"
    assert default_base("3.9.1") == default_base("nonsense") == BASE
