"""Digests of models: what they depend on, what they refuse, and that a large file is read once."""

from __future__ import annotations

import os
import socket
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_toolkit.errors import CommandFailed
from mlops_toolkit.models import digest as module
from mlops_toolkit.models.digest import Cache, File, digest, of_files

Build = dict[str, bytes]


def build(folder: Path, files: Build) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files whose bytes were read."""
    seen: list[str] = []
    real = module._read

    def counted(file: Path) -> tuple[str, str]:
        seen.append(file.name)
        return real(file)

    monkeypatch.setattr(module, "_read", counted)
    return seen


def test_a_file_s_digest_is_its_sha256_whatever_its_name_or_mode(tmp_path: Path) -> None:
    one = tmp_path / "model.bin"
    one.write_bytes(b"abc")
    two = tmp_path / "other"
    two.write_bytes(b"abc")
    two.chmod(0o755)
    known = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert digest(one).digest == digest(two).digest == known
    assert (digest(one).kind, digest(one).size) == ("file", 3)


def test_a_folder_s_digest_is_stable_over_copies_times_and_empty_folders(tmp_path: Path) -> None:
    files = {"b/ü.bin": b"1", "a": b"", "b.txt": b"2"}
    one, two = build(tmp_path / "one", files), build(tmp_path / "two", dict(reversed(files.items())))
    (two / "empty").mkdir()
    os.utime(two / "a", (1, 1))
    assert digest(one).digest == digest(two).digest
    assert [f.path for f in digest(one).files] == ["a", "b.txt", "b/ü.bin"]


@pytest.mark.parametrize(
    "change",
    [
        lambda m: (m / "a").write_bytes(b"x"),
        lambda m: (m / "a").rename(m / "A"),
        lambda m: (m / "a").chmod(0o755),
        lambda m: (m / "new").write_bytes(b""),
        lambda m: (m / "b" / "c").unlink(),
    ],
)
def test_a_folder_s_digest_sees(tmp_path: Path, change: Callable[[Path], object]) -> None:
    model = build(tmp_path / "m", {"a": b"1", "b/c": b"2", "d": b"3"})
    before = digest(model).digest
    change(model)
    assert digest(model).digest != before


@given(st.dictionaries(st.text("ab/\n \0x-", min_size=1, max_size=6), st.binary(max_size=3), min_size=1, max_size=4).flatmap(
    lambda one: st.tuples(st.just(one), st.dictionaries(st.text("ab/\n \0x-", min_size=1, max_size=6), st.binary(max_size=3), min_size=1, max_size=4))
))  # fmt: skip
@settings(deadline=None, max_examples=200)
def test_two_folders_have_one_digest_only_if_they_are_equal(pair: tuple[dict[str, bytes], dict[str, bytes]]) -> None:
    """Also where names hold blanks, line ends or what looks like the next line: names end in NUL, which no file name can hold."""
    one, two = ({n.replace("\0", "_"): c for n, c in files.items()} for files in pair)

    def made(files: dict[str, bytes]) -> str:
        return of_files((File(n, len(c), c.hex().ljust(64, "0")) for n, c in files.items()), "folder").digest

    assert (made(one) == made(two)) == (one == two)


def test_links_inside_the_model_are_followed(tmp_path: Path) -> None:
    model = build(tmp_path / "m", {"sub/best.ckpt": b"w"})
    (model / "last.ckpt").symlink_to("sub/best.ckpt")
    plain = build(tmp_path / "p", {"sub/best.ckpt": b"w", "last.ckpt": b"w"})
    assert digest(model).digest == digest(plain).digest
    (tmp_path / "latest").symlink_to("m")
    assert digest(tmp_path / "latest").digest == digest(model).digest


def outside(model: Path) -> None:
    (model.parent / "secret").write_text("s")
    (model / "link").symlink_to("../secret")


def cycle(model: Path) -> None:
    (model / "sub").mkdir()
    (model / "sub" / "up").symlink_to("..")


def itself(model: Path) -> None:
    (model / "link").symlink_to("link")


def fifo(model: Path) -> None:
    os.mkfifo(model / "pipe")


def listening(model: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(model / "s"))


@pytest.mark.parametrize(
    ("spoil", "name"),
    [
        (outside, "model-link-outside"),
        (itself, "model-link-outside"),
        (cycle, "model-link-cycle"),
        (fifo, "not-a-file"),
        (listening, "not-a-file"),
    ],
)
def test_what_is_no_model_is_refused(tmp_path: Path, spoil: Callable[[Path], None], name: str) -> None:
    model = build(tmp_path / "m", {"a": b"1"})
    spoil(model)
    with pytest.raises(CommandFailed) as caught:
        digest(model)
    assert caught.value.name == name
    assert caught.value.code == 5


def test_nothing_and_an_empty_folder_are_no_model(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="there is no model at"):
        digest(tmp_path / "absent")
    (tmp_path / "empty" / "deeper").mkdir(parents=True)
    with pytest.raises(CommandFailed, match="holds no file"):
        digest(tmp_path / "empty")
    with pytest.raises(CommandFailed) as caught:
        digest(Path("/dev/null"))
    assert caught.value.name == "not-a-file"


def test_a_file_that_is_gone_while_we_look_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = build(tmp_path / "m", {"a": b"1"})
    monkeypatch.setattr(module, "members", lambda path: iter([("a", path / "a"), ("b", path / "b")]))
    with pytest.raises(CommandFailed, match="cannot be read: No such file") as caught:
        digest(model)
    assert caught.value.name == "model-unreadable"


def test_what_was_read_is_not_read_again(tmp_path: Path, reads: list[str]) -> None:
    model, cache = build(tmp_path / "m", {"a": b"1", "b": b"2"}), Cache(tmp_path / "cache" / "d.sqlite")
    first = digest(model, cache=cache)
    assert digest(model, cache=cache) == first
    model.rename(tmp_path / "moved")  # the inodes are the same: still known
    assert digest(tmp_path / "moved", cache=cache).digest == first.digest
    assert sorted(reads) == ["a", "b"]


def test_a_change_that_keeps_size_and_time_is_seen(tmp_path: Path, reads: list[str]) -> None:
    """The ctime cannot be set back, and a fresh file is not believed within the clock's tick."""
    model, cache = tmp_path / "m", Cache(tmp_path / "d.sqlite")
    model.write_bytes(b"one")
    before = digest(model, cache=cache).digest
    status = model.stat()
    model.write_bytes(b"two")
    os.utime(model, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert digest(model, cache=cache).digest != before
    assert reads == ["m", "m"]


@pytest.mark.parametrize("damage", [b"", b"no database at all" * 100, None])
def test_a_damaged_cache_is_only_slow(tmp_path: Path, damage: bytes | None, reads: list[str]) -> None:
    model, cache = build(tmp_path / "m", {"a": b"1"}), Cache(tmp_path / "d.sqlite")
    first = digest(model, cache=cache)
    if damage is None:
        (tmp_path / "d.sqlite").unlink()
        (tmp_path / "d.sqlite").mkdir()
    else:
        (tmp_path / "d.sqlite").write_bytes(damage)
    assert [digest(model, cache=cache) for _ in range(3)] == [first] * 3
    assert len(reads) == (4 if damage is None else 2)


def test_a_lie_in_the_cache_s_shape_is_not_believed(tmp_path: Path) -> None:
    model, cache = build(tmp_path / "m", {"a": b"1"}), Cache(tmp_path / "d.sqlite")
    first = digest(model, cache=cache)
    connection = sqlite3.connect(cache.path)
    connection.execute("UPDATE digests SET sha256 = 'short'")
    connection.commit()
    connection.close()
    assert digest(model, cache=cache) == first


def test_a_file_that_is_still_written_to_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tmp_path / "m"
    model.write_bytes(b"1")
    real = module.copy_hashed

    def meddle(source: object, to: object) -> str:
        found = real(source, to)  # type: ignore[arg-type]
        with model.open("ab") as more:
            more.write(b"2")
        return found

    monkeypatch.setattr(module, "copy_hashed", meddle)
    with pytest.raises(CommandFailed) as caught:
        digest(model)
    assert caught.value.name == "model-changed"
