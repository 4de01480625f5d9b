"""A commit's files beside the user's clone: links, submodules and large files as they were, and never a write into what is the user's."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from mlops_toolkit.config import read
from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.evaluate.checkout import Checkout
from mlops_toolkit.history.local import LocalHistory
from mlops_toolkit.models.prints import LFS_POINTER
from mlops_toolkit.system import git as git_module
from tests.unit.doctor.places import MODEL, environment, git, repository


def checkout(tmp_path: Path, commit: str = "HEAD~1") -> Checkout:
    """The second last commit of the repository in `work`."""
    root = tmp_path / "work"
    found = git_module.find(root, environment(tmp_path))
    assert found is not None
    made = Checkout(tmp_path / "top", found, read.load(root / "mlops.yaml", root=root))
    made.fill(commit, LocalHistory(root / ".mlops"))
    return made


def commit(root: Path, message: str = "next") -> None:
    git(root, "add", "-A")
    git(root, "commit", "-q", "--allow-empty", "-m", message)


def test_the_user_s_clone_index_and_work_tree_are_only_read(tmp_path: Path) -> None:
    root = repository(tmp_path, {"a.txt": "old"})
    (root / "a.txt").write_text("new")
    commit(root)
    (root / "a.txt").write_text("not committed")
    before = git(root, "status", "--porcelain"), (root / ".git/index").read_bytes()
    made = checkout(tmp_path)
    assert (made.tree / "a.txt").read_text() == "old"
    assert (git(root, "status", "--porcelain"), (root / ".git/index").read_bytes()) == before


def test_a_tracked_link_to_the_model_s_disk_gives_way_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    (disk / "weights").write_text("the user's")
    root = repository(tmp_path)
    (root / "model").symlink_to(disk)
    (root / "data").symlink_to(disk)
    commit(root)
    commit(root)
    made = checkout(tmp_path)
    assert (made.tree / "model").is_symlink()
    assert not made.room("model/").is_symlink()
    with pytest.raises(EnvironmentFailure, match="leads out of the repository"):
        made.room("data/model")
    with pytest.raises(EnvironmentFailure, match="leads out of the repository"):
        made.room("../../model")
    assert (disk / "weights").read_text() == "the user's"


def test_data_is_laid_over_where_the_old_commit_has_a_link_and_this_one_a_folder(tmp_path: Path) -> None:
    old, root = tmp_path / "old", repository(tmp_path)
    old.mkdir()
    (old / "test.csv").write_text("old")
    (root / "data").symlink_to(old)
    commit(root)
    (root / "data").unlink()
    (root / "data").mkdir()
    (root / "data" / "test.csv").write_text("new")
    (root / "data" / "other.csv").write_text("new")
    commit(root)
    made = checkout(tmp_path)
    made.link(["data/test.csv", "data/*.csv", "s3://bucket/x", "/absolute", "absent.csv"])
    assert (made.tree / "data" / "test.csv").read_text() == "new"
    assert (old / "test.csv").read_text() == "old"
    assert [p.name for p in old.iterdir()] == ["test.csv"]


def test_what_is_carried_is_a_copy_and_what_is_gone_goes(tmp_path: Path) -> None:
    root = repository(tmp_path, {"src/a.py": "old", "src/gone.py": "old", "flat": "a file"})
    (root / "src/a.py").write_text("new")
    (root / "src/gone.py").unlink()
    (root / "flat").unlink()
    (root / "flat").mkdir()
    (root / "flat/b.py").write_text("new")
    (root / "link").symlink_to("src/a.py")
    commit(root)
    made = checkout(tmp_path)
    made.carry(["src/a.py", "src/gone.py", "flat/b.py", "link"])
    assert not (made.tree / "src/a.py").is_symlink(), "a program imports from where its file really lies"
    assert (made.tree / "src/a.py").read_text() == (made.tree / "flat/b.py").read_text() == "new"
    assert not (made.tree / "src/gone.py").exists()
    assert (made.tree / "link").readlink() == Path("src/a.py")


def test_a_submodule_is_at_the_commit_that_it_was_at_or_missing_by_name(tmp_path: Path) -> None:
    library = tmp_path / "library"
    library.mkdir()
    git(library, "init", "-q", "-b", "main")
    (library / "lib.py").write_text("old")
    commit(library)
    root = repository(tmp_path)
    git(root, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(library), "vendor/lib")
    commit(root)
    (root / "vendor/lib/lib.py").write_text("new")
    commit(root / "vendor/lib")
    commit(root)
    made = checkout(tmp_path)
    assert (made.tree / "vendor/lib/lib.py").read_text() == "old"
    assert made.absent == []
    git(root, "submodule", "deinit", "-q", "-f", "--all")
    second = Checkout(tmp_path / "second", made.git, made.loaded)
    second.fill("HEAD~1", LocalHistory(root / ".mlops"))
    assert not (second.tree / "vendor/lib").exists()
    assert second.absent[0].startswith("the submodule vendor/lib at ")


def test_a_large_file_is_its_content_or_missing_by_name_and_never_its_pointer(tmp_path: Path) -> None:
    def pointer(content: str) -> str:
        return f"{LFS_POINTER.decode()}v1\noid sha256:{hashlib.sha256(content.encode()).hexdigest()}\nsize {len(content)}\n"

    files = {name: pointer(name) for name in ("here.bin", "stored.bin", "absent.bin")}
    root = repository(tmp_path, {**files, ".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n"})
    commit(root)
    (root / "here.bin").write_text("here.bin")  # as `lfs: true` leaves it in the work tree
    oid = hashlib.sha256(b"stored.bin").hexdigest()
    stored = root / ".git/lfs/objects" / oid[:2] / oid[2:4] / oid
    stored.parent.mkdir(parents=True)
    stored.write_text("stored.bin")
    made = checkout(tmp_path)
    assert [(made.tree / name).read_text() for name in ("here.bin", "stored.bin")] == ["here.bin", "stored.bin"]
    assert not (made.tree / "absent.bin").exists()
    assert made.absent == ["absent.bin is in Git LFS, and its content at that commit is not here"]


def test_a_commit_that_is_nowhere_says_what_would_bring_it(tmp_path: Path) -> None:
    repository(tmp_path, {"mlops.yaml": MODEL})
    with pytest.raises(EnvironmentFailure, match="commit 0000000 is not in this clone, and its remote did not give it") as caught:
        checkout(tmp_path, "0" * 40)
    assert "fetch-depth: 0" in (caught.value.hint or "")
