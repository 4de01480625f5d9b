"""Which files a preview column can name, on a real file system."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_toolkit.records.result import Example, Examples, Result
from mlops_toolkit.report.previews import LARGEST, Preview, names_file, read, sniff

PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 40


def naming(*texts: str) -> Result:
    """A result whose broken examples name these files."""
    return Result(
        "m",
        "pass",
        "passed",
        "",
        examples=Examples((), tuple(Example(str(i), "a", "a", "b", {"image": t}) for i, t in enumerate(texts)), 0, len(texts)),
    )


def test_pictures_sounds_and_texts_below_the_folder_are_read(tmp_path: Path) -> None:
    """By what they are, not by their names."""
    (tmp_path / "img").mkdir()
    files = {
        "img/a.png": PNG,
        "b.jpg": b"\xff\xd8\xff\xe0",
        "c.gif": b"GIF89a",
        "d.webp": b"RIFF0000WEBP",
        "e.wav": b"RIFF0000WAVE",
        "f.mp3": b"ID3xx",
        "g.ogg": b"OggS",
        "h.txt": "text ü".encode(),
        "i.svg": b"<?xml version='1.0'?>\n<svg xmlns='x'>",
        "j.png": b"\xff\xd8\xff",
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    found = read(naming(*files), folder=tmp_path)
    assert {name: p.mime for name, p in found.items()} == {
        "img/a.png": "image/png", "b.jpg": "image/jpeg", "c.gif": "image/gif", "d.webp": "image/webp", "e.wav": "audio/wav",
        "f.mp3": "audio/mpeg", "g.ogg": "audio/ogg", "h.txt": "text/plain", "i.svg": "image/svg+xml", "j.png": "image/jpeg",
    }  # fmt: skip
    assert all(found[name].data == data for name, data in files.items())


def test_no_path_leaves_the_folder(tmp_path: Path) -> None:
    """Not upwards, not absolute, not through a link, not into a hidden folder, not a pipe or a folder."""
    inside, outside = tmp_path / "in", tmp_path / "out"
    for folder in (inside / ".git", outside, inside / "folder.png"):
        folder.mkdir(parents=True)
    for path in (outside / "secret.png", inside / ".git" / "a.png", inside / ".hidden.png"):
        path.write_bytes(PNG)
    (inside / "link.png").symlink_to(outside / "secret.png")
    (inside / "linked").symlink_to(outside)
    (inside / "git.png").symlink_to(inside / ".git" / "a.png")
    os.mkfifo(inside / "pipe.png")
    texts = (
        "../out/secret.png",
        str(outside / "secret.png"),
        "link.png",
        "linked/secret.png",
        ".git/a.png",
        ".hidden.png",
        "git.png",
        "pipe.png",
        "folder.png",
        "x/../../out/secret.png",
        "no.png",
        "a\0.png",
        "http://x/a.png",
        "file:///etc/a.png",
        "x" * 5000 + ".png",
    )
    assert dict(read(naming(*texts), folder=inside)) == {}


def test_what_is_too_large_or_something_else_is_said_not_read(tmp_path: Path) -> None:
    """A note instead of bytes."""
    with (tmp_path / "big.png").open("wb") as out:
        out.write(PNG)
        out.truncate(LARGEST + 1)
    (tmp_path / "program.png").write_bytes(b"\x7fELF\x02\x01\x01\x00")
    found = read(naming("big.png", "program.png"), folder=tmp_path)
    assert found["big.png"] == Preview("", b"", "not shown: 2.00 MB, more than the 2.00 MB a preview may have")
    assert found["program.png"].note == "not shown: neither a picture, a sound nor a text"


def test_the_budget_is_of_all_together_and_broken_examples_come_first(tmp_path: Path) -> None:
    """The rest is a note."""
    for i in range(4):
        (tmp_path / f"{i}.png").write_bytes(PNG)
    make = lambda i: Example(str(i), "a", "a", "b", {"image": f"{i}.png"})
    result = Result("m", "pass", "passed", "", examples=Examples((make(0), make(1)), (make(2), make(3)), 2, 2))
    found = read(result, folder=tmp_path, budget=len(PNG) * 2 + 5)
    assert {name: p.note is None for name, p in found.items()} == {"2.png": True, "3.png": True, "0.png": False, "1.png": False}


@given(st.binary(max_size=60))
@settings(deadline=None, max_examples=200)
def test_any_bytes_have_a_kind_or_none(data: bytes) -> None:
    """Only the kinds that a page may embed."""
    assert sniff(data) in (
        None,
        "image/png",
        "image/jpeg",
        "image/gif",
        "image/webp",
        "image/svg+xml",
        "audio/wav",
        "audio/mpeg",
        "audio/ogg",
        "text/plain",
    )


@given(st.text(max_size=40))
@settings(deadline=None, max_examples=200)
def test_any_text_is_asked_without_an_error(text: str) -> None:
    """Whether it names a file or not."""
    found = read(naming(text, text + ".png", "a/" + text + ".txt"), folder=Path(__file__).parent)
    assert all(names_file(name) for name in found)


@pytest.mark.parametrize("text", ["a.html", "a.js", "a", "", ".png", "a.png.exe", "../a.png", "/a.png"])
def test_what_does_not_look_like_a_preview_is_text(text: str) -> None:
    """Nothing is opened for it."""
    assert not names_file(text)
