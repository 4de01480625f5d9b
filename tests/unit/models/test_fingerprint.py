"""Fingerprints on real git repositories: equal when nothing that matters differs, and able to say what does."""

from __future__ import annotations

import http.server
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from mlops_toolkit.errors import EnvironmentFailure, MlopsError, UsageError
from mlops_toolkit.models.digest import Cache, digest
from mlops_toolkit.models.fingerprint import Fingerprint, changes, fingerprint
from mlops_toolkit.system import git as git_module

ENV = {
    **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
    "GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.org", "GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@example.org",
    "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1",
}  # fmt: skip


def git(folder: Path, *args: str) -> str:
    return subprocess.run(["git", "-C", str(folder), *args], env=ENV, capture_output=True, text=True, check=True).stdout.strip()


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    write(
        folder,
        {
            "train.py": "1",
            "src/net.py": "2",
            "src/ünï net.py": "3",
            "README.md": "r",
            "docs/a.py": "d",
            ".github/workflows/m.yml": "w",
            "mlops.yaml": "y",
            "uv.lock": "l",
            "data/a.csv": "x",
        },
    )
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "one")
    return folder


def made(folder: Path, *, at: str = "", **options: Any) -> Fingerprint:
    found = git_module.find(folder, ENV)
    return fingerprint(git=found, folder=folder / at, command=options.pop("command", "python train.py"), **options)


def names(found: Fingerprint, kind: str = "file") -> list[str]:
    return [name.partition(":")[2] for name in found.parts if name.startswith(kind + ":")]


def test_by_default_all_tracked_files_count_but_documentation_and_ci(repository: Path) -> None:
    assert names(made(repository)) == ["data/a.csv", "src/net.py", "src/ünï net.py", "train.py", "uv.lock"]


def test_files_are_known_by_the_ids_git_has_or_would_have(repository: Path) -> None:
    """A change in the work tree gives the fingerprint that its commit has later, staged or not."""
    before = made(repository)
    assert before.parts["file:src/net.py"] == git(repository, "rev-parse", "HEAD:src/net.py")
    write(repository, {"src/net.py": "new", "src/ünï net.py": "new too"})
    changed = made(repository)
    git(repository, "add", "src/net.py")
    assert made(repository) == changed
    git(repository, "commit", "-q", "-a", "-m", "two")
    assert made(repository) == changed
    assert changes(before.parts, changed.parts) == ("src/net.py changed", "src/ünï net.py changed")


def test_touching_a_file_changes_nothing(repository: Path) -> None:
    before = made(repository)
    os.utime(repository / "train.py", (1, 1))
    assert made(repository) == before


def test_another_checkout_another_commit_the_same_fingerprint(repository: Path, tmp_path: Path) -> None:
    """What a squash merge needs: the same files, reached by other commits, in another clone."""
    before = made(repository)
    git(repository, "commit", "-q", "--allow-empty", "-m", "two")
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{repository}", "clone")
    write(tmp_path / "clone", {"README.md": "other words"})
    assert made(tmp_path / "clone") == before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda r: (r / "train.py").unlink(), ("train.py removed",)),
        (lambda r: (r / "train.py").chmod(0o755), ("train.py changed",)),
        (lambda r: (r / "helper.py").write_text("untracked code"), ("helper.py added",)),
        (lambda r: (r / "notes.txt").write_text("untracked words"), ()),
        (lambda r: ((r / "train.py").unlink(), (r / "train.py").symlink_to("src/net.py")), ("train.py changed",)),
        (lambda r: (r / "uv.lock").write_text("torch 3"), ("uv.lock changed",)),
    ],
)
def test_changes_are_seen_and_said(repository: Path, change: Callable[[Path], object], said: tuple[str, ...]) -> None:
    before = made(repository)
    change(repository)
    assert changes(before.parts, made(repository).parts) == said


def test_a_link_has_the_id_that_git_gives_it(repository: Path) -> None:
    (repository / "link").symlink_to("train.py")
    git(repository, "add", "link")
    staged = made(repository)
    (repository / "link").unlink()
    (repository / "link").symlink_to("src/net.py")
    changed = made(repository)
    git(repository, "add", "link")
    assert made(repository) == changed != staged


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"command": "python train.py --epochs 2"}, ("the command changed",)),
        ({"seed": 1}, ("the seed changed",)),
        ({"extra": {"output": "model/"}}, ("the output added",)),
        ({"params": "params.yaml"}, ("params.yaml added",)),
    ],
)
def test_the_rest_counts_too(repository: Path, options: dict[str, Any], said: tuple[str, ...]) -> None:
    before = made(repository)
    write(repository, {"params.yaml": "lr: 1"})
    assert changes(before.parts, made(repository, **options).parts) == said


def test_declared_inputs_and_nothing_else_count(repository: Path) -> None:
    found = made(repository, inputs=["src/", "train.py"])
    assert names(found) == ["src/net.py", "src/ünï net.py", "train.py"]
    assert names(found, "lock") == ["uv.lock"]
    write(repository, {"data/a.csv": "y", "src/new.bin": "untracked, and asked for"})
    assert changes(found.parts, made(repository, inputs=["src/", "train.py"]).parts) == ("src/new.bin added",)


def test_an_input_that_git_ignores_counts_when_it_is_named(repository: Path) -> None:
    write(repository, {".gitignore": "big/\n", "big/one.bin": "1", "big/deep/two.bin": "2"})
    assert names(made(repository, inputs=["big/"])) == ["big/deep/two.bin", "big/one.bin"]


@pytest.mark.parametrize(
    "options", [{"inputs": ["src/", "nothing/"]}, {"data": ["data/a.csv", "data/*.parquet"]}, {"data": ["data/a.csv", "gone"]}]
)
def test_an_input_that_is_not_there_names_its_line(repository: Path, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as caught:
        made(repository, place=lambda key: {"inputs[1]": "mlops.yaml:7", "data[1]": "mlops.yaml:9"}.get(key, key), **options)
    assert (caught.value.name, caught.value.code) == ("missing-input", 2)
    assert caught.value.where in ("mlops.yaml:7", "mlops.yaml:9")


@pytest.mark.parametrize(
    ("link", "to", "file"),
    [
        ("src/shared.py", "../shared/net.py", "shared/net.py"),
        ("src/shared", "../shared", "shared/net.py"),
        ("src/shared", "../other/link", "shared/net.py"),
        ("src/big", "../ignored/net.py", "ignored/net.py"),
        ("src/big", "../../outside/net.py", "../outside/net.py"),
    ],
)
def test_what_is_read_through_a_declared_link_counts(repository: Path, link: str, to: str, file: str) -> None:
    write(repository, {"shared/net.py": "1", "other/a": "a", ".gitignore": "ignored/\n", file: "1"})
    (repository / "other/link").symlink_to("../shared")
    (repository / link).symlink_to(to)
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "links")
    before = made(repository, inputs=["src/"])
    write(repository, {"other/a": "b"})
    assert made(repository, inputs=["src/"]) == before
    write(repository, {file: "2"})
    assert changes(before.parts, made(repository, inputs=["src/"]).parts) == (f"{link} changed",)


@pytest.mark.parametrize("to", ["../src/circle", "nowhere", "/nowhere", "..", "../.."])
def test_a_link_that_leads_nowhere_or_around_is_what_it_says(repository: Path, to: str) -> None:
    (repository / "src/circle").symlink_to(to)
    assert "src/circle" in names(made(repository, inputs=["src/"]))


def test_what_the_command_writes_itself_never_counts(repository: Path) -> None:
    before = made(repository, exclude=["/model/", "/metrics.json"])
    write(repository, {"model/w.py": "w", "metrics.json": "{}"})
    git(repository, "add", "-A")
    assert made(repository, exclude=["/model/", "/metrics.json"]) == before


def test_a_model_s_folder_in_a_monorepo_sees_lock_files_above_it(repository: Path) -> None:
    write(repository, {"models/spam/train.py": "s", "models/spam/requirements.txt": "r", "models/ham/requirements.txt": "h"})
    git(repository, "add", "-A")
    found = made(repository, at="models/spam", inputs=["train.py"])
    assert names(found) == ["models/spam/train.py"]
    assert names(found, "lock") == ["models/spam/requirements.txt", "uv.lock"]
    assert found.of_locks() is not None
    shared = made(repository, at="models/spam", inputs=["train.py", "../../src/"])
    assert names(shared) == ["models/spam/train.py", "src/net.py", "src/ünï net.py"]


def test_line_ends_are_git_s_business(repository: Path) -> None:
    """A filter of .gitattributes is applied: the same file with other line ends is the same input."""
    write(repository, {".gitattributes": "*.py text\n"})
    git(repository, "add", "-A")
    write(repository, {"train.py": "a\nb\n"})
    unix = made(repository)
    (repository / "train.py").write_bytes(b"a\r\nb\r\n")
    assert made(repository) == unix


def test_a_filter_that_is_not_installed_does_not_stop_us(repository: Path) -> None:
    write(repository, {".gitattributes": "*.bin filter=lfs\n", "w.bin": "pointer"})
    git(repository, "add", "-A")
    git(repository, "config", "filter.lfs.clean", "no-such-program")
    git(repository, "config", "filter.lfs.required", "true")
    before = made(repository)
    write(repository, {"w.bin": "other"})
    assert changes(before.parts, made(repository).parts) == ("w.bin changed",)


def test_a_submodule_is_known_by_its_commit(repository: Path, tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    git(inner, "init", "-q", "-b", "main")
    write(inner, {"a.py": "1"})
    git(inner, "add", "-A")
    git(inner, "commit", "-q", "-m", "i")
    git(repository, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner), "lib")
    before = made(repository)
    assert before.parts["file:lib"] == git(inner, "rev-parse", "HEAD")
    write(repository / "lib", {"a.py": "2"})
    dirty = made(repository)
    git(repository / "lib", "commit", "-q", "-a", "-m", "j")
    clean = made(repository)
    assert len({before.digest, dirty.digest, clean.digest}) == 3
    git(repository, "add", "lib")
    assert made(repository) == clean


def test_without_git_files_are_known_by_content(tmp_path: Path) -> None:
    write(tmp_path, {"train.py": "1", "README.md": "r", ".hidden": "h", "__pycache__/x.pyc": "p", "mlops.yaml": "y"})
    found = fingerprint(git=None, folder=tmp_path, command="c")
    assert names(found) == ["train.py"]
    write(tmp_path, {"train.py": "2"})
    assert changes(found.parts, fingerprint(git=None, folder=tmp_path, command="c").parts) == ("train.py changed",)


def test_however_many_files_are_looked_at_their_digests_are_remembered_in_one_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A transaction a file costs 5 ms: ten minutes for a folder of 100,000 pictures."""
    for i in range(40):
        (tmp_path / f"{i}.png").write_text(str(i))
    written: list[int] = []
    monkeypatch.setattr(Cache, "write", lambda _self, digests: written.append(len(digests)))
    cache = Cache(tmp_path / ".cache" / "digests.sqlite")
    found = fingerprint(git=None, folder=tmp_path, data=["*.png"], command="c", cache=cache)
    assert found.parts["file:7.png"] == found.parts["data:7.png"] == digest(tmp_path / "7.png").digest
    assert [count for count in written if count] == [40, 40]


def test_data_is_known_by_its_content(repository: Path, tmp_path: Path) -> None:
    write(tmp_path, {"elsewhere/x.csv": "1"})
    write(repository, {"data/b.csv": "b", "data/deep/c.txt": "c"})
    found = made(repository, data=["data/*.csv", "data/deep", str(tmp_path / "elsewhere"), "data/**/c.txt"], cache=Cache(tmp_path / "c"))
    assert sorted(names(found, "data")) == sorted(["data/a.csv", "data/b.csv", "data/deep", str(tmp_path / "elsewhere"), "data/deep/c.txt"])
    write(tmp_path, {"elsewhere/y.csv": "2"})
    after = made(repository, data=["data/*.csv", "data/deep", str(tmp_path / "elsewhere"), "data/**/c.txt"])
    assert changes(found.parts, after.parts) == (f"{tmp_path / 'elsewhere'} changed",)


def test_data_in_cloud_storage_is_known_by_its_version(repository: Path) -> None:
    files = fsspec.filesystem("memory")
    files.pipe_file("/bucket/train/a.csv", b"1")
    before = made(repository, data=["memory://bucket/train/"])
    assert made(repository, data=["memory://bucket/train/"]) == before
    files.pipe_file("/bucket/train/b.csv", b"2")
    assert changes(before.parts, made(repository, data=["memory://bucket/train/"]).parts) == ("memory://bucket/train/ changed",)
    files.store.clear()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    headers: dict[str, str] = {"ETag": '"1"'}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(404 if "gone" in self.path else 500 if "broken" in self.path else 200)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    running = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://user:pw@127.0.0.1:{running.server_port}", headers
    running.shutdown()
    thread.join()
    running.server_close()


def test_data_on_the_web_is_known_by_its_etag(repository: Path, server: tuple[str, dict[str, str]]) -> None:
    url, headers = server
    before = made(repository, data=[f"{url}/d.csv?token=secret"])
    headers["ETag"] = '"2"'
    after = made(repository, data=[f"{url}/d.csv?token=secret"])
    (said,) = changes(before.parts, after.parts)
    assert said.startswith("http://…@127.0.0.1:")
    assert "pw" not in str(after.parts)
    assert "secret" not in str(after.parts)


@pytest.mark.parametrize(
    ("data", "kind", "name"),
    [
        ("{}/gone", UsageError, "missing-input"),
        ("{}/broken", EnvironmentFailure, "data-unreachable"),
        ("{}/unversioned", UsageError, "unversioned-data"),
        ("http://127.0.0.1:9/x", EnvironmentFailure, "data-unreachable"),
        ("memory://bucket/none", UsageError, "missing-input"),
        ("gs://bucket/x", EnvironmentFailure, "package-missing"),
        ("nosuch://bucket/x", UsageError, "unknown-address"),
    ],
)  # fmt: skip
def test_data_that_cannot_be_watched_is_a_named_error(
    repository: Path, server: tuple[str, dict[str, str]], data: str, kind: type[MlopsError], name: str
) -> None:
    if "unversioned" in data:
        server[1].clear()
    with pytest.raises(kind) as caught:
        made(repository, data=[data.format(server[0])], place=lambda key: "mlops.yaml:5")
    assert (caught.value.name, caught.value.where) == (name, "mlops.yaml:5")
    assert "pw" not in str(caught.value)


def test_however_many_files_git_is_started_a_handful_of_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four times at most, with every file changed too."""
    folder = tmp_path / "many"
    folder.mkdir()
    git(folder, "init", "-q")
    write(folder, {f"src/{i % 40}/f{i}.py": str(i) for i in range(400)})
    git(folder, "add", "-A")
    started: list[str] = []
    real = git_module.Git.__call__

    def spy(self: git_module.Git, *args: str, **options: Any) -> Any:
        started.append(args[0])
        return real(self, *args, **options)

    monkeypatch.setattr(git_module.Git, "__call__", spy)
    found = made(folder)
    assert len(names(found)) == 400
    write(folder, {f"src/{i % 40}/f{i}.py": f"new {i}" for i in range(400)})
    shutil.rmtree(folder / "src" / "0")
    assert len(names(made(folder))) == 390
    assert len(started) <= 8
