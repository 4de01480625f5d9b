"""The documents of a registry: the same bytes for the same things, and nothing hostile gets in."""

from __future__ import annotations

import base64
import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.oci.documents import (
    DOCKER_CONFIG,
    DOCKER_INDEX,
    DOCKER_LAYER,
    DOCKER_MANIFEST,
    EMPTY_CONFIG,
    INDEX,
    LAYER_GZIP,
    MANIFEST,
    Config,
    Descriptor,
    Index,
    Manifest,
    Platform,
    digest_of,
    kind_of,
    matches,
    read,
)

LAYER = Descriptor.of(LAYER_GZIP, b"layer", annotations={"b": "2", "a": "1"})
GOOD: dict[str, Any] = {
    "schemaVersion": 2,
    "mediaType": MANIFEST,
    "config": EMPTY_CONFIG.document(),
    "layers": [LAYER.document()],
    "annotations": {"k": "ü"},
    "artifactType": "application/x",
    "subject": LAYER.document(),
}
PLATFORMS = st.builds(Platform, st.just("linux"), st.sampled_from(["amd64", "arm64"]), st.sampled_from(["", "v8"]))
DESCRIPTORS = st.builds(
    Descriptor,
    st.sampled_from([LAYER_GZIP, MANIFEST]),
    st.binary(max_size=4).map(digest_of),
    st.integers(0, 2**63 - 1),
    st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=2),
    st.none() | PLATFORMS,
    st.none() | st.text(min_size=1, max_size=5),
)
MARKS = st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3)


def document(**changes: Any) -> bytes:
    return json.dumps({key: value for key, value in {**GOOD, **changes}.items() if value is not ...}).encode()


@given(
    st.builds(
        Manifest, DESCRIPTORS, st.lists(DESCRIPTORS, max_size=3).map(tuple), MARKS, st.none() | st.text(min_size=1), st.none() | DESCRIPTORS
    )
)
def test_a_manifest_is_read_as_it_was_written(manifest: Manifest) -> None:
    content = manifest.to_bytes()
    assert Manifest.read(content, MANIFEST) == manifest
    assert Manifest.read(content).to_bytes() == content


@given(st.builds(Index, st.lists(DESCRIPTORS, max_size=3).map(tuple), MARKS))
def test_an_index_is_read_as_it_was_written(index: Index) -> None:
    assert Index.read(index.to_bytes(), INDEX) == index


def test_the_order_in_which_things_are_said_changes_no_byte() -> None:
    one, other = ({"a": "1", "b": "2"}, {"b": "2", "a": "1"})
    assert Manifest(EMPTY_CONFIG, (), one).to_bytes() == Manifest(EMPTY_CONFIG, (), other).to_bytes()
    assert Manifest.read(document()).to_bytes() == Manifest.read(json.dumps(dict(reversed(GOOD.items()))).encode()).to_bytes()
    assert b" " not in Manifest(EMPTY_CONFIG, (), one).to_bytes()


def test_docker_s_names_are_read_and_kept() -> None:
    config = {**EMPTY_CONFIG.document(), "mediaType": DOCKER_CONFIG}
    layer = {**LAYER.document(), "mediaType": DOCKER_LAYER, "urls": ["https://elsewhere.example"]}
    content = document(mediaType=DOCKER_MANIFEST, config=config, layers=[layer], annotations=..., artifactType=..., subject=...)
    manifest = Manifest.read(content, DOCKER_MANIFEST)
    assert (manifest.media_type, manifest.layers[0].media_type) == (DOCKER_MANIFEST, DOCKER_LAYER)
    assert b"elsewhere" not in manifest.to_bytes()
    listed = {
        "schemaVersion": 2,
        "mediaType": DOCKER_INDEX,
        "manifests": [{**LAYER.document(), "platform": {"os": "linux", "architecture": "arm64"}}],
    }
    assert Index.read(json.dumps(listed).encode(), DOCKER_INDEX).manifests[0].platform == Platform("linux", "arm64")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"schemaVersion": 1}, "schema version is 1"),
        ({"schemaVersion": "2"}, "schema version"),
        ({"mediaType": "text/html"}, "the registry calls it"),
        ({"mediaType": 3}, "mediaType is no text"),
        ({"manifests": []}, "at once"),
        ({"fsLayers": []}, "at once"),
        ({"config": ...}, "a descriptor is missing"),
        ({"config": []}, "a descriptor is missing"),
        ({"layers": {}}, "layers is no list"),
        ({"layers": [LAYER.document()] * 5000}, "more than 4096 entries"),
        ({"layers": [{**LAYER.document(), "digest": "sha256:../../etc/passwd"}]}, "cannot be checked"),
        ({"layers": [{**LAYER.document(), "digest": "md5:" + "0" * 32}]}, "cannot be checked"),
        ({"layers": [{**LAYER.document(), "size": -1}]}, "has no size"),
        ({"layers": [{**LAYER.document(), "size": True}]}, "has no size"),
        ({"layers": [{**LAYER.document(), "size": 1.5}]}, "has no size"),
        ({"layers": [{**LAYER.document(), "size": 2**64}]}, "has no size"),
        ({"layers": [{**LAYER.document(), "mediaType": ""}]}, "no media type"),
        ({"layers": [{**LAYER.document(), "data": base64.b64encode(b"other").decode()}]}, "is another's"),
        ({"layers": [{**LAYER.document(), "data": "%"}]}, "not base64"),
        ({"annotations": {"k": 1}}, "an annotation is no text"),
        ({"annotations": []}, "annotations is no object"),
        ({"subject": {}}, "no media type"),
        ({"more": json.loads("[" * 40 + "]" * 40)}, "deeper than 32 levels"),
    ],
)
def test_a_hostile_manifest_is_refused_with_the_reason(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(EnvironmentFailure) as caught:
        Manifest.read(document(**changes), MANIFEST)
    assert caught.value.name == "image-unreadable"
    assert why in caught.value.message


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "Expecting value"),
        (b"[]", "no JSON object"),
        (b"\xff", "decode"),
        (b'{"a":1,"a":2}', "a key stands in it twice"),
        (b'{"a":NaN}', "NaN is no JSON"),
        (b'{"a":' * 100_000, "nested too deep"),
        (b" " * (4 << 20) + b"{}", "larger than"),
        (b'{"a":' + b"9" * 5000 + b"}", "digits"),
    ],
)
def test_what_is_no_document_is_refused(content: bytes, why: str) -> None:
    with pytest.raises(EnvironmentFailure) as caught:
        read(content, "manifest")
    assert why in caught.value.message


def test_an_index_is_no_manifest_and_the_other_way_round() -> None:
    with pytest.raises(EnvironmentFailure, match="at once"):
        Index.read(document(mediaType=INDEX), INDEX)
    with pytest.raises(EnvironmentFailure, match=r"it is application/vnd\.oci\.image\.index"):
        Manifest.read(Index(()).to_bytes().replace(b"manifests", b"layers"), None)


def test_an_index_gives_the_manifest_of_a_platform() -> None:
    def entry(name: str) -> Descriptor:
        return Descriptor(MANIFEST, digest_of(name.encode()), 1, platform=Platform.parse(name))

    entries = [entry(name) for name in ("unknown/unknown", "linux/amd64", "linux/arm/v6", "linux/arm/v7", "linux/arm64/v8")]
    index = Index((*entries, LAYER))
    for wanted, found in [("linux/amd64", 1), ("linux/arm/v7", 3), ("linux/arm", 2), ("linux/arm64", 4), ("linux/arm64/v8", 4)]:
        assert index.choose(Platform.parse(wanted)) == entries[found], wanted
    assert index.choose(Platform.parse("linux/s390x")) is None


@pytest.mark.parametrize("text", ["linux", "linux/", "/amd64", "linux/arm/v7/x", "linux/a b", ""])
def test_what_is_no_platform_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no platform"):
        Platform.parse(text)


def test_a_configuration_keeps_what_it_does_not_know() -> None:
    source = {
        "architecture": "arm64",
        "os": "linux",
        "variant": "v8",
        "author": "me",
        "config": {"Env": ["A=1"], "Healthcheck": {"Test": ["NONE"]}},
        "rootfs": {"type": "layers", "diff_ids": [LAYER.digest]},
        "history": [{"created_by": "x", "empty_layer": True}],
        "created": "2026-01-01T00:00:00Z",
    }
    config = Config.read(json.dumps(source).encode())
    assert json.loads(config.to_bytes()) == source
    assert Config.read(config.to_bytes()) == config
    for broken in ({"rootfs": {"diff_ids": ["x"]}}, {"history": ["x"]}, {"config": []}, {"os": 1}):
        with pytest.raises(EnvironmentFailure):
            Config.read(json.dumps({**source, **broken}).encode())


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=3),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*GOOD, "x"]), inner, max_size=4),
    ),
    st.sampled_from([*GOOD, "manifests"]),
)
def test_any_document_is_read_or_refused(value: Any, key: str) -> None:
    content = json.dumps({**GOOD, key: value}).encode()
    for kind in (Manifest, Index, Config):
        with contextlib.suppress(EnvironmentFailure):
            kind.read(content)


@pytest.mark.parametrize(
    ("said", "content", "kind"),
    [
        (DOCKER_MANIFEST, b"{}", DOCKER_MANIFEST),
        ("application/json", document(), MANIFEST),
        ("", Index(()).to_bytes(), INDEX),
        ("text/plain", b'{"manifests": []}', INDEX),
        ("application/json", b'{"layers": []}', MANIFEST),
        ("application/json", b"[]", "application/json"),
        ("", b'{"mediaType": 3}', ""),
        ("text/html", document(), "text/html"),
    ],
)
def test_a_registry_that_calls_everything_json_is_understood(said: str, content: bytes, kind: str) -> None:
    assert kind_of(content, said) == kind


def test_digests_of_both_kinds_are_checked() -> None:
    assert matches(b"", "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    assert not matches(b"x", digest_of(b""))
    assert not matches(b"", "md5:d41d8cd98f00b204e9800998ecf8427e")
