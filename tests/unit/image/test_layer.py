"""A layer's bytes are a function of the files alone, read back by programs that nobody here wrote."""

from __future__ import annotations

import hashlib
import io
import os
import random as randoms
import socket
import subprocess
import tarfile
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_toolkit.errors import InvalidFile
from mlops_toolkit.image.archive import Archive
from mlops_toolkit.image.entries import Entry, below
from mlops_toolkit.image.layer import described, written
from mlops_toolkit.image.store import Store
from mlops_toolkit.oci.documents import LAYER as TAR
from mlops_toolkit.oci.documents import LAYER_GZIP as GZIP

NAME = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/"), min_size=1, max_size=60).filter(
    lambda name: name not in (".", "..") and not name.startswith(".wh.") and len(name.encode()) < 250
)
TREES = st.dictionaries(
    st.lists(NAME, min_size=1, max_size=4).map("/".join), st.tuples(st.binary(max_size=3000), st.booleans()), min_size=1
)


def by_tarfile(entries: list[Entry]) -> bytes:
    """What Python's own library makes of the same files."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT, encoding="utf-8") as archive:
        for entry in sorted(entries, key=lambda one: one.path.encode("utf-8")):
            for folder in sorted(folders_of(entry.path) - set(archive.getnames()), key=len):
                info = tarfile.TarInfo(folder)
                info.type, info.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(info)
            info = tarfile.TarInfo(entry.path)
            info.size, info.mode = entry.size, 0o755 if entry.executable else 0o644
            with entry.open() as source:
                archive.addfile(info, source)
    return out.getvalue()


def folders_of(path: str) -> set[str]:
    parts = path.split("/")
    return {"/".join(parts[:depth]) for depth in range(1, len(parts))}


@settings(max_examples=60)
@given(TREES, st.randoms())
def test_any_tree_is_read_back_and_its_order_does_not_matter(tree: dict[str, tuple[bytes, bool]], random: object) -> None:
    """Names, contents and modes as they were; owners, times and the order in which files were found leave no mark."""
    import tempfile

    above = set().union(*map(folders_of, tree))
    tree = {path: told for path, told in tree.items() if path not in above}
    entries = [Entry(path, content, executable) for path, (content, executable) in tree.items()]
    with tempfile.TemporaryDirectory() as temporary:
        store = Store(Path(temporary))
        layer = written(entries, store, "x")
        random.shuffle(entries)  # type: ignore[attr-defined]
        again = written(entries, store, "x")
        assert layer == again
        raw = layer.file.read_bytes()
        assert (f"sha256:{hashlib.sha256(raw).hexdigest()}", len(raw)) == (layer.digest, layer.size)
        plain = zlib.decompress(raw, 31) if layer.media_type == GZIP else raw
        assert f"sha256:{hashlib.sha256(plain).hexdigest()}" == layer.diff_id
        assert plain == by_tarfile(entries)
        with tarfile.open(layer.file) as archive:
            found = {one.name: one for one in archive}
            assert {name for name, one in found.items() if one.isfile()} == set(tree)
            for name, one in found.items():
                assert (one.uid, one.gid, one.uname, one.gname, one.mtime) == (0, 0, "", "", 0)
                if one.isfile():
                    content = archive.extractfile(one)
                    assert content is not None
                    assert content.read() == tree[name][0]
                    assert one.mode == (0o755 if tree[name][1] else 0o644)
                else:
                    assert one.isdir()


def test_two_machines_two_umasks_two_days(tmp_path: Path) -> None:
    """The same files written at other times, in another order, under another umask, in another folder give the same bytes; `tar` unpacks them."""
    layers = []
    for machine, mode, time in (("a", 0o600, 1), ("b", 0o664, 1_700_000_000)):
        folder = tmp_path / machine / "model"
        (folder / "deep" / "er").mkdir(parents=True)
        for name in sorted(("w.bin", "deep/x.json", "deep/er/ü" * 30), reverse=machine == "b"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(name.encode() * 500)
            (folder / name).chmod(mode)
            os.utime(folder / name, (time, time))
        layers.append(written(below(folder, "models/spam"), Store(tmp_path / machine / "store"), "model"))
    assert layers[0].file.read_bytes() == layers[1].file.read_bytes()
    subprocess.run(["tar", "-xf", layers[0].file, "-C", tmp_path / "a"], check=True, env={**os.environ, "LC_ALL": "C.UTF-8"})
    assert (tmp_path / "a/models/spam/deep/x.json").read_bytes() == b"deep/x.json" * 500


def test_weights_are_not_compressed_and_text_is(tmp_path: Path) -> None:
    """What does not shrink is stored as it is (the layer's digest is the archive's); memory stays far below the file's size."""
    import tracemalloc

    big = tmp_path / "weights"
    with big.open("wb") as out:
        for _ in range(40):
            out.write(os.urandom(1 << 20))
    tracemalloc.start()
    layer = written([Entry("m/weights", big)], Store(tmp_path / "store"), "model")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert layer.media_type == TAR
    assert layer.digest == layer.diff_id
    assert peak < 12 << 20
    trees = written([Entry("m/trees", b"feature <= 0.5\n" * 100_000)], Store(tmp_path / "store"), "model")
    assert trees.media_type == GZIP
    assert trees.size < 20_000


def test_what_does_not_compress_is_not_copied(tmp_path: Path) -> None:
    """The store keeps nothing of it, and still knows it by its key; what is read, from anywhere, is the archive's bytes, and a changed file is found."""
    weights = tmp_path / "weights"
    weights.write_bytes(os.urandom(3_000_000))
    entries = [Entry("m/a/weights", weights), Entry("m/empty", b""), Entry("m/small", b"small"), Entry("m/z", os.urandom(70_000))]
    store, archive = Store(tmp_path / "store"), Archive(entries)
    layer = described(archive, store, "model")
    assert layer == replace(written(entries, Store(tmp_path / "other"), "model"), file=layer.file)
    assert not layer.file.exists()
    store.keep("k", layer)
    assert store.layer("k") is None
    known = store.layer("k", archive)
    assert known is not None
    assert (known, known.archive) == (layer, archive)
    whole, reader, random = by_tarfile(entries), archive.open(), randoms.Random(1)
    assert reader.read() == whole
    for _ in range(200):
        at, amount = random.randrange(len(whole) + 1), random.choice([1, 511, 10_000, 2_000_000])
        reader.seek(at)
        assert reader.read(amount) == whole[at : at + amount]
    with weights.open("r+b") as out:
        out.truncate(2_999_999)
    reader.seek(0)
    with pytest.raises(InvalidFile, match="changed"):
        reader.read()
    reader.close()


@pytest.mark.parametrize(
    "path", ["../x", "/x", "a//b", "a/./b", "", "a/.wh.b", ".wh..wh..opq", "a\nb", "a\x00b", "x" * 300, "y/" * 2500 + "z", "a\udcffb"]
)
def test_names_that_would_mean_something_else_are_refused(path: str, tmp_path: Path) -> None:
    """A deletion mark, a way out, a control character: named, and nothing is written."""
    with pytest.raises(InvalidFile) as caught:
        written([Entry("fine", b""), Entry(path, b"")], Store(tmp_path), "x")
    assert caught.value.name == "bad-name"
    assert not list(tmp_path.glob("blobs/*"))


def test_what_is_no_plain_file_is_refused(tmp_path: Path) -> None:
    """A link, a pipe, a socket, a file beside a folder of its name; also one that came after the folder was listed."""
    folder = tmp_path / "model"
    folder.mkdir()
    store = Store(tmp_path / "store")
    (folder / "a").write_bytes(b"x")
    listed = below(folder, "m")
    (folder / "a").unlink()
    (folder / "a").symlink_to("/etc/passwd")
    for wrong in (lambda: written(listed, store, "x"), lambda: below(folder, "m")):
        with pytest.raises(InvalidFile, match="link"):
            wrong()
    (folder / "a").unlink()
    os.mkfifo(folder / "a")
    with pytest.raises(InvalidFile, match="pipe"):
        below(folder, "m")
    with pytest.raises(InvalidFile, match="pipe"):
        written(listed, store, "x")
    (folder / "a").unlink()
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(folder / "a"))
        with pytest.raises(InvalidFile):
            below(folder, "m")
    with pytest.raises(InvalidFile, match="a file's and a folder's"):
        written([Entry("a", b""), Entry("a/b", b"")], store, "x")


def test_a_file_that_changes_under_it_is_found(tmp_path: Path) -> None:
    """Shorter, longer, or of other content than its digest says: no layer."""
    place = tmp_path / "w"
    place.write_bytes(b"abc")
    sha = hashlib.sha256(b"abc").hexdigest()
    store = Store(tmp_path / "store")
    assert written([Entry("w", place, sha256=sha)], store, "x").size
    for other in (b"abd", b"ab", b"abcd"):
        place.write_bytes(other)
        with pytest.raises(InvalidFile) as caught:
            written([Entry("w", place, sha256=sha)], store, "x")
        assert caught.value.name == "model-changed"


def test_the_store_forgets_the_oldest_and_never_gives_half(tmp_path: Path) -> None:
    """A layer is known by its key while its bytes are there and whole; what was used for the last time long ago goes first."""
    store = Store(tmp_path)
    layers = [written([Entry("w", os.urandom(200_000))], store, "x") for _ in range(3)]
    for number, layer in enumerate(layers):
        store.keep(f"k{number}", layer)
        os.utime(layer.file, (number + 1, number + 1))
    assert store.layer("k1") == layers[1]  # and now it is the one that was used last
    store.trim(most=layers[0].size + 10)
    assert [store.layer(f"k{number}") is not None for number in range(3)] == [False, True, False]
    layers[1].file.write_bytes(b"half")
    assert store.layer("k1") is None
    (tmp_path / "known/k1.json").write_text("[]")
    assert store.layer("k1") is None
