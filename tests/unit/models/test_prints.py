"""A model's three fingerprints: what each counts, where each can be made, and that none of them changes from version to version."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from mlops_toolkit.config import read
from mlops_toolkit.config.read import Loaded
from mlops_toolkit.errors import UsageError
from mlops_toolkit.models import prints
from mlops_toolkit.system.git import Git

CONFIG = """\
name: cats
train:
  run: python train.py
  output: model/
  inputs: [src/, train.py]
  data: [data/train.csv]
  params: params.yaml
  seed: 3
evaluate:
  run: python evaluate.py
  inputs: [evaluate.py]
  data: [tests.csv]
  predictions: out/predictions.csv
gate:
  accuracy: {max-drop: 1pp}
"""
FILES = {
    "src/net.py": "layers = 3\n",
    "train.py": "import src.net\n",
    "evaluate.py": "print(1)\n",
    "tests.csv": "id,target\n1,a\n",
    "params.yaml": "lr: 0.1\n",
    "requirements.txt": "numpy==2.0\n",
    "README.md": "words\n",
    ".gitignore": "data/\nmodel/\nout/\n",
    "mlops.yaml": CONFIG,
}


def git(root: Path, *arguments: str) -> str:
    env = {"PATH": os.environ["PATH"], "HOME": str(root.parent), "GIT_CONFIG_NOSYSTEM": "1"}
    people = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "protocol.file.allow=always"]
    return subprocess.run(["git", "-C", root, *people, *arguments], env=env, check=True, capture_output=True, text=True).stdout.strip()


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with everything of the model but its training data."""
    made = tmp_path / "repository"
    write(made, FILES)
    git(made, "init", "-q")
    git(made, "add", "-A")
    git(made, "commit", "-q", "-m", "cats")
    return made


def load(root: Path, config: str = "mlops.yaml") -> Loaded:
    return read.load(root / config, root=root)


def env(root: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(root.parent), "XDG_CACHE_HOME": str(root.parent / "cache")}


def seen(root: Path, config: str = "mlops.yaml") -> prints.Seen:
    return prints.seen(load(root, config), Git(root, env(root)), env(root))


def with_data(root: Path) -> Path:
    write(root, {"data/train.csv": "1,2\n"})
    return root


def test_a_print_is_what_it_always_was(root: Path) -> None:
    """Computed by the version before these prints were made in one place: another digest would train every model of every user again."""
    made = seen(with_data(root)).prints
    assert made.train == "sha256:05f8e9924aef92ef3fba6f3e395416e202d742913c7c8ca58172c998fb41fb74"
    assert made.evaluate == "sha256:d11ac2106f624289ad6f32dbe9257a3d43b8b2376e68c50297f294d9c2068a52"


def test_without_its_data_two_prints_are_missing_and_it_is_said_why(root: Path) -> None:
    found = seen(root)
    assert (found.prints.train, found.prints.evaluate) == (None, None)
    assert found.untold == '"data/train.csv" is not there'
    assert found.prints.tracked is not None


def test_the_tracked_print_is_the_same_with_the_data_and_without(root: Path) -> None:
    before = seen(root).prints.tracked
    assert seen(with_data(root)).prints.tracked == before
    write(root, {"data/train.csv": "3,4\n", "data/more.csv": "", "src/untracked.py": "", "model/weights": "1", "out/predictions.csv": "x"})
    assert seen(root).prints.tracked == before


def test_what_the_evaluation_lacks_does_not_hide_what_training_reads(root: Path) -> None:
    whole = seen(with_data(root)).prints
    (root / "tests.csv").unlink()
    found = seen(root)
    assert (found.prints.train, found.prints.evaluate) == (whole.train, None)
    assert found.untold == '"tests.csv" is not there'


Change = Callable[[Path], None]


def _config(old: str, new: str) -> Change:
    def change(root: Path) -> None:
        assert old in CONFIG
        write(root, {"mlops.yaml": CONFIG.replace(old, new)})

    return change


COUNT: dict[str, Change] = {
    "code of the training": lambda root: write(root, {"src/net.py": "layers = 4\n"}),
    "code of the evaluation": lambda root: write(root, {"evaluate.py": "print(2)\n"}),
    "test data that git has": lambda root: write(root, {"tests.csv": "id,target\n1,b\n"}),
    "a parameter": lambda root: write(root, {"params.yaml": "lr: 0.2\n"}),
    "a lock file": lambda root: write(root, {"requirements.txt": "numpy==2.1\n"}),
    "the command of the training": _config("python train.py", "python train.py --fast"),
    "the command of the evaluation": _config("python evaluate.py", "python evaluate.py --all"),
    "the seed": _config("seed: 3", "seed: 4"),
    "the output": _config("output: model/", "output: weights/"),
    "the name of data elsewhere": _config("data/train.csv", "data/other.csv"),
    "a file that is gone": lambda root: (root / "src/net.py").unlink(),
    "an executable bit": lambda root: (root / "train.py").chmod(0o755),
}


@pytest.mark.parametrize("what", COUNT)
def test_the_tracked_print_counts(root: Path, what: str) -> None:
    before = seen(root).prints.tracked
    COUNT[what](root)
    assert seen(root).prints.tracked != before
    changed = seen(root).prints.tracked
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "x")
    assert seen(root).prints.tracked == changed  # committed or not: what stands in the work tree


COUNT_NOT: dict[str, Change] = {
    "words": lambda root: write(root, {"README.md": "more words\n", "docs/a.md": ""}),
    "the gate": _config("max-drop: 1pp", "max-drop: 2pp"),
    "slices": _config("  predictions:", "  slices: [language]\n  predictions:"),
    "metrics": _config("  predictions:", "  metrics: [accuracy]\n  predictions:"),
    "how it is written": _config("python train.py\n", "'python train.py'  # quoted\n"),
    "code of nothing": lambda root: write(root, {"scripts/other.py": "1\n"}),
}


@pytest.mark.parametrize("what", COUNT_NOT)
def test_the_tracked_print_does_not_count(root: Path, what: str) -> None:
    before = seen(with_data(root))
    COUNT_NOT[what](root)
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "x")
    assert seen(root) == before


def test_dvcs_file_stands_for_the_data_beside_it(root: Path) -> None:
    write(root, {".gitignore": "data/*\n!data/*.dvc\n", "data/train.csv.dvc": "outs: [{md5: 1}]\n"})
    git(root, "add", "-A")
    before = seen(root).prints.tracked
    write(root, {"data/train.csv.dvc": "outs: [{md5: 2}]\n"})
    assert seen(root).prints.tracked != before


def test_a_submodule_stands_for_the_data_in_it(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "data"
    write(other, {"train.csv": "1\n"})
    git(other, "init", "-q")
    git(other, "add", "-A")
    git(other, "commit", "-q", "-m", "one")
    git(root, "submodule", "add", "-q", str(other), "sub")
    write(root, {"mlops.yaml": CONFIG.replace("data/train.csv", "sub/train.csv").replace("[src/, train.py]", "[src/, train.py, sub/]")})
    before = seen(root).prints
    assert before.train is not None
    write(other, {"train.csv": "2\n"})
    git(other, "commit", "-q", "-am", "two")
    git(root / "sub", "pull", "-q")
    assert seen(root).prints.tracked != before.tracked


def test_a_folder_behind_a_link_counts_by_where_the_link_leads(root: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        write(tmp_path / name, {"train.csv": "1\n"})
    (root / "big").symlink_to(tmp_path / "one")
    git(root, "add", "-A")
    write(root, {"mlops.yaml": CONFIG.replace("data/train.csv", "big/train.csv")})
    before = seen(root).prints.tracked
    write(tmp_path / "one", {"train.csv": "2\n"})
    assert seen(root).prints.tracked == before
    (root / "big").unlink()
    (root / "big").symlink_to(tmp_path / "two")
    assert seen(root).prints.tracked != before


@pytest.mark.parametrize("link", ["src/shared.py", "shared.csv"])
def test_what_a_link_leads_to_counts_where_the_data_is_not_here_too(root: Path, link: str) -> None:
    write(root, {"common/file": "1\n", "mlops.yaml": CONFIG.replace("[tests.csv]", "[shared.csv]"), "shared.csv": "id\n"})
    (root / link).unlink(missing_ok=True)
    (root / link).symlink_to("../common/file" if "/" in link else "common/file")
    git(root, "add", "-A")
    before = seen(root)
    assert before.untold is not None
    write(root, {"common/file": "2\n"})
    assert seen(root).prints.tracked != before.prints.tracked


def test_data_that_git_lfs_has_not_fetched_is_not_taken_for_the_data(root: Path) -> None:
    """A pointer's digest would look like new data, and train every model of a checkout without LFS."""
    write(with_data(root), {"tests.csv": "version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 9\n"})
    found = seen(root)
    assert (found.prints.train, found.untold) == (None, "tests.csv is not here: Git LFS has not fetched it")
    write(root, {"mlops.yaml": CONFIG.replace("[tests.csv]", '["*.csv"]')})
    assert (seen(root).untold or "").startswith("tests.csv is not here")


def test_an_address_is_told_by_name_where_it_cannot_be_asked(root: Path) -> None:
    write(root, {"mlops.yaml": CONFIG.replace("data/train.csv", "'http://127.0.0.1:9/train.csv?sig=hidden'")})
    found = seen(root)
    assert found.prints.train is None
    assert "does not answer" in (found.untold or "")
    assert "hidden" not in (found.untold or "")
    assert found.prints.tracked is not None


def test_an_address_that_no_machine_could_read_is_an_error_here_too(root: Path) -> None:
    write(root, {"mlops.yaml": CONFIG.replace("data/train.csv", "nowhere://x/train.csv")})
    with pytest.raises(UsageError) as caught:
        seen(root)
    assert caught.value.name == "unknown-address"


def test_models_of_one_repository_have_prints_of_their_own(root: Path) -> None:
    config = CONFIG.replace("[src/, train.py]", "[../../src/, train.py]").replace("params: params.yaml\n", "params: ../../params.yaml\n")
    for name in ("a", "b"):
        write(root, {f"models/{name}/{path}": FILES[path] for path in ("train.py", "evaluate.py", "tests.csv")})
        write(root, {f"models/{name}/mlops.yaml": config.replace("data/train.csv", "tests.csv")})
    git(root, "add", "-A")
    one, other = (seen(root, f"models/{name}/mlops.yaml") for name in ("a", "b"))
    assert one.untold is None
    assert one.prints.tracked != other.prints.tracked  # they are of other files, though these say the same
    write(root, {"models/a/evaluate.py": "print(3)\n"})
    assert seen(root, "models/b/mlops.yaml") == other
    write(root, {"src/net.py": "shared = 1\n"})
    assert seen(root, "models/b/mlops.yaml").prints.train != other.prints.train


def test_outside_of_git_there_is_no_tracked_print(tmp_path: Path) -> None:
    write(tmp_path / "plain", {**FILES, "data/train.csv": "1\n"})
    found = prints.seen(load(tmp_path / "plain"), None, env(tmp_path / "plain"))
    assert found.prints.tracked is None
    assert found.prints.train is not None


def test_what_is_neither_trained_nor_evaluated_has_no_print(root: Path) -> None:
    write(root, {"mlops.yaml": "name: cats\n"})
    made = seen(root).prints
    assert (made.train, made.evaluate) == (None, None)


def test_every_suite_counts(root: Path) -> None:
    both = "name: cats\nevaluate:\n  suites:\n    a: {run: python evaluate.py, inputs: [evaluate.py]}\n    b: {run: python b.py, inputs: [train.py]}\n"
    write(root, {"mlops.yaml": both})
    before = seen(root).prints
    write(root, {"train.py": "other\n"})
    after = seen(root).prints
    assert before.train is after.train is None
    assert before.evaluate != after.evaluate
    assert before.tracked != after.tracked
