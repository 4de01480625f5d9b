"""Killed at any request of a push: a tag points to the old image or the new one, whole, and the next push mends it."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
from pathlib import Path

import pytest

from mlops_toolkit.oci.documents import CONFIG, LAYER_GZIP, Config, Descriptor, Index, Manifest, Platform
from mlops_toolkit.oci.registry import Registry
from tests.world import kills
from tests.world.registry import Running

ROOT = Path(__file__).resolve().parents[3]


def push(host: str, repository: str, version: int) -> None:
    """An index of one image of two layers, one of them in chunks, by digest; then its tag; then what refers to it."""
    registry = Registry(host, repository, None, chunk=1 << 16)
    config = Config(Platform("linux", "amd64"), created=f"200{version}-01-01T00:00:00Z").to_bytes()
    contents = [hashlib.shake_256(bytes([version, size % 251])).digest(size) for size in (150_000, 100)]
    for content in (config, *contents):
        described = Descriptor.of("", content)
        registry.push_blob(described.digest, described.size, lambda content=content: io.BytesIO(content))  # type: ignore[misc]
    manifest = Manifest(Descriptor.of(CONFIG, config), tuple(Descriptor.of(LAYER_GZIP, content) for content in contents))
    entry = Descriptor.of(manifest.media_type, manifest.to_bytes())
    registry.push_manifest(entry.digest, manifest.to_bytes())
    index = Index((entry,)).to_bytes()
    digest = registry.push_manifest(Descriptor.of("", index).digest, index, Index((entry,)).media_type)
    registry.tag("v1", digest)
    registry.add_referrer(
        Manifest(Descriptor.of(CONFIG, config), (), artifact_type="application/x", subject=Descriptor.of("x", index)).to_bytes()
    )
    registry.close()


def whole(registry: Registry, tag: str = "v1") -> str | None:
    """The digest under the tag, once everything below it was read."""
    stored = registry.pull_manifest(tag)
    if stored is None:
        return None
    for entry in Index.read(stored.content, stored.media_type).manifests:
        manifest = registry.pull_manifest(entry.digest)
        assert manifest is not None
        read = Manifest.read(manifest.content, manifest.media_type)
        for blob in (read.config, *read.layers):
            content = registry.read_blob(blob.digest)
            assert content is not None
            assert len(content) == blob.size
    return stored.digest


@pytest.mark.registry
@pytest.mark.parametrize("moment", kills.MOMENTS)
def test_a_tag_is_old_or_new_wherever_a_push_is_cut_off(
    open_registry: Running, monkeypatch: pytest.MonkeyPatch, moment: kills.Moment
) -> None:
    monkeypatch.setattr("mlops_toolkit.oci.patience.FIRST", 0.0001)
    monkeypatch.setattr("mlops_toolkit.oci.referrers.SETTLE_SECONDS", 0.0)
    name = f"kills/{moment}"
    registry = Registry(open_registry.host, name, None)
    push(open_registry.host, name, 1)
    old = whole(registry)
    seen: list[str | None] = []
    # what was begun stays: each push goes on where the one before was cut, so that the tag moves exactly once
    needed = kills.every(
        open_registry.host, lambda host: push(host, name, 2), lambda at, moment: seen.append(whole(registry)), moments=(moment,)
    )
    new = seen[-1]
    assert old is not None
    assert new not in (None, old)
    assert seen == [old] * seen.count(old) + [new] * seen.count(new)
    assert needed > 10
    assert len(registry.referrers(str(new))) == 1
    registry.close()


@pytest.mark.registry
def test_a_process_that_is_killed_leaves_the_old_image_and_the_next_mends_it(open_registry: Running) -> None:
    registry = Registry(open_registry.host, "kills/process", None)
    push(open_registry.host, "kills/process", 1)
    old = whole(registry)

    def start(host: str) -> subprocess.Popen[bytes]:
        code = "import sys; from tests.unit.oci.test_kills import push; push(sys.argv[1], 'kills/process', 2)"
        return subprocess.Popen([sys.executable, "-c", code, host], cwd=ROOT)

    assert kills.kill(open_registry.host, start, 4, "during")
    assert whole(registry) == old
    assert not kills.kill(open_registry.host, start, 1000)
    assert whole(registry) not in (None, old)
    registry.close()
