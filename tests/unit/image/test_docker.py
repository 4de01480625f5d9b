"""What Docker is told and what it tells, without one: tests/docker holds it against a real engine."""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from mlops_toolkit.errors import CommandFailed, EnvironmentFailure, UsageError
from mlops_toolkit.image import docker, engine
from mlops_toolkit.image.base import Base
from mlops_toolkit.image.inside import Python
from mlops_toolkit.image.layer import repacked
from mlops_toolkit.image.store import Store
from mlops_toolkit.image.wanted import Wanted
from mlops_toolkit.oci.documents import Config, Descriptor, Platform, digest_of
from mlops_toolkit.oci.reference import Reference
from tests.world import images


def test_our_dockerfile_installs_what_is_asked_for_and_nothing_else() -> None:
    """By the base's own package manager, in one step, in order; what is no name of a package never reaches the shell."""
    text = docker.written(("libsndfile1", "ffmpeg=7:5.1-0+deb12u1"), musl=False)
    assert "install -y --no-install-recommends ffmpeg=7:5.1-0+deb12u1 libsndfile1 && " in text
    assert text.startswith("ARG BASE\nFROM ${BASE}\n")
    assert "apk add --no-cache ffmpeg\n" in docker.written(("ffmpeg",), musl=True)
    for name in ("a;b", "$(x)", "-o", "a b", "", "A", "a\nRUN x", "`x`", "a=1;b"):
        with pytest.raises(UsageError) as caught:
            docker.written((name,), musl=False)
        assert caught.value.name == "bad-package"


def test_an_error_in_the_stream_is_an_error() -> None:
    """Docker answers 200 and tells of the failure inside: it is found, with the lines before it; a stream that breaks off built nothing."""
    lines = [
        {"stream": "Step 1/2 : FROM x\n"},
        {"stream": "boom\x1b[0m\n"},
        {"errorDetail": {"message": "no"}, "error": "the command returned 1"},
    ]
    with pytest.raises(CommandFailed) as caught:
        engine.of_stream(json.dumps(line).encode() + b"\r\n" for line in lines)
    assert caught.value.name == "docker-build-failed"
    assert "FROM x" in str(caught.value)
    assert "the command returned 1" in str(caught.value)
    assert "\x1b" not in str(caught.value)
    image = "sha256:" + "a" * 64
    assert engine.of_stream([json.dumps({"aux": {"ID": image}}).encode()]) == image
    for stream in ([], [b"not json\n"], [json.dumps({"stream": "x"}).encode()], [b"[1]"]):
        with pytest.raises(CommandFailed, match="could not build"):
            engine.of_stream(stream)


def test_without_docker_it_is_said(tmp_path: Path) -> None:
    """Neither the command nor the engine's socket: which way leads out."""
    env = {"PATH": str(tmp_path), "DOCKER_HOST": "tcp://127.0.0.1:9"}
    with pytest.raises(EnvironmentFailure) as caught:
        engine.found(env)
    assert caught.value.name == "no-docker"
    assert "publish without Dockerfile" in str(caught.value)


def test_a_layer_of_dockers_keeps_its_files_and_loses_its_times(tmp_path: Path) -> None:
    """Two builds at two times give the same bytes; owners by number, modes, links and attributes stay; an old file keeps its time."""

    def built(now: int) -> io.BytesIO:
        raw = io.BytesIO()
        with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for name, mtime, more in (("new", now, {}), ("old", 1000, {"uid": 5, "mode": 0o4755})):
                info = tarfile.TarInfo(name)
                info.size, info.mtime, info.uname = 1, mtime, "root"
                info.pax_headers = {"mtime": f"{mtime}.5", "SCHILY.xattr.security.capability": "x"}
                for key, value in more.items():
                    setattr(info, key, value)
                archive.addfile(info, io.BytesIO(b"x"))
            link = tarfile.TarInfo("link")
            link.type, link.linkname, link.mtime = tarfile.SYMTYPE, "new", now
            archive.addfile(link)
        raw.seek(0)
        return raw

    store = Store(tmp_path)
    first, second = (repacked(built(now), store, "x", 1_700_000_000) for now in (1_800_000_000, 1_900_000_000))
    assert first == second
    with tarfile.open(first.file) as archive:
        found = {one.name: one for one in archive}
    assert (found["new"].mtime, found["old"].mtime, found["link"].linkname) == (1_700_000_000, 1000, "new")
    assert (found["old"].uid, found["old"].mode, found["old"].uname) == (5, 0o4755, "")
    assert found["new"].pax_headers["SCHILY.xattr.security.capability"] == "x"


def test_a_base_whose_layers_are_not_read_here_stays_below(tmp_path: Path) -> None:
    """A layer compressed by zstd lies in the store as it came: what Docker put on it is taken all the same, and its Python is the base's.
    An archive without a layer that it names is said to be strange.
    """
    store, platform, zstd = Store(tmp_path / "store"), Platform("linux", "amd64"), b"(\xb5/\xfd"
    with store.writing() as (out, settle):
        out.write(zstd)
        settle(digest_of(zstd))
    layer = Descriptor("application/vnd.oci.image.layer.v1.tar+zstd", digest_of(zstd), len(zstd))
    config = Config(platform, {"Env": ["NV_CUDA_LIB_VERSION=12"]}, (digest_of(b"base"),))
    base = Base(None, None, platform, (layer,), config, Python("/usr/bin/python3.11", (3, 11), "glibc", (2, 36)))
    own = images.layer({"opt/words": b"x"})
    built = replace(config, diff_ids=(*config.diff_ids, digest_of(own))).to_bytes()
    reference = Reference.parse("docker.io/library/x")
    wanted = Wanted(tmp_path, "x", reference, reference, tmp_path)

    def saved(**files: bytes) -> Path:
        told = json.dumps([{"Config": "config", "Layers": ["base", "own"]}]).encode()
        with tarfile.open(tmp_path / "image.tar", "w") as archive:
            for name, content in {"manifest.json": told, "config": built, **files}.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
        return tmp_path / "image.tar"

    made = docker._taken(saved(own=own), wanted, base, store)
    assert (made.layers[0], len(made.layers), made.python, made.gpu) == (layer, 2, base.python, True)
    with pytest.raises(EnvironmentFailure, match="no own") as caught:
        docker._taken(saved(), wanted, base, store)
    assert caught.value.name == "no-docker"
