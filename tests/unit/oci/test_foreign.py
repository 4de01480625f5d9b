"""What we push is read, checked and copied by a program that nobody here wrote (skopeo), and what it pushes is read by us."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import subprocess
import tarfile
from pathlib import Path

import pytest

from mlops_toolkit.oci.documents import CONFIG, INDEX, LAYER_GZIP, Config, Descriptor, Index, Manifest, Platform
from mlops_toolkit.oci.registry import Registry
from tests.needs import require
from tests.world.registry import Running

pytestmark = pytest.mark.registry


def pushed(registry: Registry, architecture: str) -> Descriptor:
    """An image of one real layer, pushed by digest."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        info = tarfile.TarInfo("hello")
        info.size = 5
        archive.addfile(info, io.BytesIO(b"world"))
    layer = gzip.compress(tar.getvalue(), mtime=0)
    platform = Platform("linux", architecture)
    diff = f"sha256:{hashlib.sha256(tar.getvalue()).hexdigest()}"
    config = Config(platform, {"Env": ["A=1"], "Labels": {"l": "v"}}, (diff,), ({"created_by": "test"},), "2026-01-01T00:00:00Z").to_bytes()
    for content in (layer, config):
        described = Descriptor.of("", content)
        registry.push_blob(described.digest, described.size, lambda content=content: io.BytesIO(content))  # type: ignore[misc]
    manifest = Manifest(Descriptor.of(CONFIG, config), (Descriptor.of(LAYER_GZIP, layer),), {"k": "v"}).to_bytes()
    found = Descriptor.of("application/vnd.oci.image.manifest.v1+json", manifest)
    registry.push_manifest(found.digest, manifest)
    return Descriptor(found.media_type, found.digest, found.size, platform=platform)


def test_skopeo_reads_and_copies_what_we_push_and_we_what_it_pushes(locked_registry: Running, tmp_path: Path) -> None:
    program = require("registry", "skopeo")["skopeo"]
    env = {**locked_registry.docker_config(tmp_path / "docker"), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}

    def skopeo(*words: str) -> bytes:
        done = subprocess.run([program, *words], env=env, capture_output=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    registry = Registry(locked_registry.host, "foreign/app", locked_registry.login)
    index = Index((pushed(registry, "amd64"), pushed(registry, "arm64"))).to_bytes()
    digest = registry.push_manifest("v1", index, INDEX)
    ours, theirs = f"docker://{locked_registry.host}/foreign/app:v1", f"docker://{locked_registry.host}/foreign/copy:v1"
    seen = json.loads(skopeo("inspect", "--tls-verify=false", "--override-arch=arm64", ours))
    assert (seen["Architecture"], seen["Labels"], seen["Env"]) == ("arm64", {"l": "v"}, ["A=1"])
    assert f"sha256:{hashlib.sha256(skopeo('inspect', '--raw', '--tls-verify=false', ours)).hexdigest()}" == digest
    skopeo("copy", "--all", "--src-tls-verify=false", "--dest-tls-verify=false", ours, theirs)
    copy = Registry(locked_registry.host, "foreign/copy", locked_registry.login)
    stored = copy.pull_manifest("v1")
    assert stored is not None
    assert stored.content == index
    skopeo("copy", "--src-tls-verify=false", "--override-arch=amd64", "--format=v2s2", ours, f"dir:{tmp_path / 'dir'}")
    skopeo("copy", "--dest-tls-verify=false", f"dir:{tmp_path / 'dir'}", theirs.replace("v1", "docker"))
    stored = copy.pull_manifest("docker")
    assert stored is not None
    manifest = Manifest.read(stored.content, stored.media_type)
    assert manifest.media_type == "application/vnd.docker.distribution.manifest.v2+json"
    config = copy.read_blob(manifest.config.digest)
    assert config is not None
    assert Config.read(config).config["Env"] == ["A=1"]
    for one in (registry, copy):
        one.close()
