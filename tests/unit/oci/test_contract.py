"""What a registry is asked and how it answers: the same for Debian's docker-registry, open, locked and with tokens, and for the fake."""

from __future__ import annotations

import io
import os
import random
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.oci.auth import Login
from mlops_toolkit.oci.documents import EMPTY, EMPTY_CONFIG, INDEX, LAYER_GZIP, MANIFEST, Descriptor, Index, Manifest, Platform, digest_of
from mlops_toolkit.oci.parallel import at_once
from mlops_toolkit.oci.registry import Registry
from tests.world.fake_registry import FakeRegistry
from tests.world.registry import PASSWORD, USER, running
from tests.world.tokens import Tokens

ABSENT = "sha256:" + "0" * 64
KINDS = ["open", "locked", "tokens", "fake", "fake with tokens", "fake without the list"]


@dataclass
class Place:
    """A registry and who may write there; the repository's name is each test's own."""

    host: str
    login: Login | None
    repository: str

    def at(self, name: str = "one", *, chunk: int = 16 << 20, login: Login | str | None = "") -> Registry:
        return Registry(self.host, f"{self.repository}/{name}", self.login if isinstance(login, str) else login, chunk=chunk)


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[str, Login | None]]]:
    me = Login(USER, PASSWORD)
    with ExitStack() as stack:
        found: dict[str, tuple[str, Login | None]] = {}

        def start(kind: str) -> tuple[str, Login | None]:
            if kind in ("open", "locked"):
                real = stack.enter_context(running(tmp_path_factory.mktemp(kind), password=kind == "locked"))
                return real.host, real.login
            tokens = Tokens()
            realm = stack.enter_context(tokens.serving()) if "tokens" in kind else ""
            if kind == "tokens":
                folder = tmp_path_factory.mktemp(kind)
                auth = {
                    "realm": realm,
                    "service": "registry.example",
                    "issuer": "the token server",
                    "rootcertbundle": str(tokens.bundle(folder)),
                }
                return stack.enter_context(running(folder, auth={"token": auth})).host, me
            fake = FakeRegistry(tokens=tokens if realm else None, realm=realm, page=2, referrers="without" not in kind)
            return stack.enter_context(fake.serving()).host, me if realm else None

        class Lazily(dict):  # type: ignore[type-arg]
            def __missing__(self, kind: str) -> tuple[str, Login | None]:
                self[kind] = start(kind)
                return self[kind]

        found = Lazily()
        yield found


@pytest.fixture(params=[pytest.param(kind, marks=[] if "fake" in kind else [pytest.mark.registry]) for kind in KINDS])
def place(request: pytest.FixtureRequest, places: dict[str, tuple[str, Login | None]]) -> Place:
    host, login = places[request.param]
    return Place(host, login, request.node.originalname.replace("_", "-"))


def push(registry: Registry, content: bytes, **more: str) -> str:
    return registry.push_blob(digest_of(content), len(content), lambda: io.BytesIO(content), **more)


def image(registry: Registry, text: bytes = b"a layer", **annotations: str) -> tuple[bytes, Descriptor]:
    """A manifest of one layer, all but itself pushed."""
    push(registry, EMPTY)
    push(registry, text)
    content = Manifest(EMPTY_CONFIG, (Descriptor.of(LAYER_GZIP, text),), annotations, "application/x").to_bytes()
    return content, Descriptor.of(MANIFEST, content)


@pytest.mark.parametrize("size", [0, 1, 1000, 1 << 20, (1 << 20) + 1, 2_500_001])
def test_a_blob_of_any_size_comes_back_and_is_sent_once(place: Place, size: int) -> None:
    registry, content = place.at(chunk=1 << 20), random.Random(size).randbytes(size)
    digest = digest_of(content)
    assert push(registry, content) == "sent"
    assert (registry.sent_blobs, registry.sent_bytes) == (1, size)
    assert push(registry, content) == "there"
    assert (registry.sent_blobs, registry.sent_bytes) == (1, size)
    assert registry.blob_exists(digest)
    with registry.pull_blob(digest) as stream:
        assert stream is not None
        assert stream.read() == content
    assert registry.read_blob(digest) == content
    registry.close()


def test_what_is_not_there_is_none(place: Place) -> None:
    registry = place.at()
    assert not registry.blob_exists(ABSENT)
    with registry.pull_blob(ABSENT) as stream:
        assert stream is None
    assert registry.read_blob(ABSENT) is None
    assert registry.pull_manifest("v1") is None
    assert registry.pull_manifest(ABSENT) is None
    assert registry.manifest_digest("v1") is None
    assert registry.tags() == []
    assert registry.referrers(ABSENT) == []
    registry.delete_manifest(ABSENT)
    registry.close()


def test_another_repository_lends_what_it_has(place: Place) -> None:
    lender, borrower, content = place.at("lender"), place.at("borrower"), os.urandom(1000)
    assert push(borrower, b"not lent", from_repository=lender.repository) == "sent"
    push(lender, content)
    assert push(borrower, content, from_repository=lender.repository) == "mounted"
    assert (borrower.sent_blobs, borrower.sent_bytes, borrower.mounted_blobs) == (1, 8, 1)
    assert borrower.read_blob(digest_of(content)) == content
    for registry in (lender, borrower):
        registry.close()


def test_images_and_indexes_keep_their_types_and_bytes(place: Place) -> None:
    registry = place.at()
    content, entry = image(registry, b"1")
    assert registry.push_manifest(entry.digest, content) == entry.digest
    platform = Descriptor(entry.media_type, entry.digest, entry.size, platform=Platform("linux", "arm64", "v8"))
    index = Index((platform,), {"k": "v"}).to_bytes()
    digest = registry.push_manifest("v1", index, INDEX)
    for reference in ("v1", digest):
        stored = registry.pull_manifest(reference)
        assert stored is not None
        assert (stored.content, stored.media_type, stored.digest) == (index, INDEX, digest)
    assert registry.manifest_digest("v1") == digest_of(index)
    one = registry.pull_manifest(entry.digest)
    assert one is not None
    assert (one.content, one.media_type) == (content, MANIFEST)
    registry.delete_manifest(digest)
    assert registry.pull_manifest(digest) is None
    registry.close()


def test_a_manifest_without_its_layers_is_refused_in_words(place: Place) -> None:
    registry = place.at()
    lost = Manifest(EMPTY_CONFIG, (Descriptor(LAYER_GZIP, ABSENT, 3),)).to_bytes()
    with pytest.raises(EnvironmentFailure) as caught:
        registry.push_manifest("v1", lost)
    assert caught.value.name == "registry-rejects"
    assert "BLOB_UNKNOWN" in caught.value.message
    registry.close()


def test_a_tag_is_not_taken_from_another(place: Place) -> None:
    registry = place.at()
    first, entry = image(registry, b"1")
    second, other = image(registry, b"2")
    registry.push_manifest("v1", first, if_absent=True)
    registry.push_manifest("v1", first, if_absent=True)
    with pytest.raises(EnvironmentFailure) as caught:
        registry.push_manifest("v1", second, if_absent=True)
    assert caught.value.name == "tag-taken"
    assert registry.manifest_digest("v1") == entry.digest
    registry.push_manifest(other.digest, second)
    registry.tag("latest", entry.digest)
    registry.tag("latest", other.digest)
    assert registry.manifest_digest("latest") == other.digest
    with pytest.raises(EnvironmentFailure, match="is not in"):
        registry.tag("next", ABSENT)
    registry.close()


def test_all_tags_are_listed_whatever_a_page_holds(place: Place) -> None:
    registry = place.at()
    content, _ = image(registry)
    names = sorted(f"v{number}" for number in range(5))
    for name in names:
        registry.push_manifest(name, content)
    assert registry.tags() == names
    registry.close()


def attached(subject: Descriptor, kind: str, text: str) -> bytes:
    return Manifest(EMPTY_CONFIG, (EMPTY_CONFIG,), {"text": text}, kind, subject).to_bytes()


def test_what_refers_to_an_image_is_found_by_type_and_attached_once(place: Place) -> None:
    registry = place.at()
    content, subject = image(registry)
    registry.push_manifest("v1", content)
    added = [registry.add_referrer(attached(subject, f"application/{kind}", kind)) for kind in ("sbom", "proof", "proof-2")]
    assert {entry.digest for entry in registry.referrers(subject.digest)} == {entry.digest for entry in added}
    (proof,) = registry.referrers(subject.digest, "application/proof")
    assert (proof.digest, proof.artifact_type, proof.annotations) == (added[1].digest, "application/proof", {"text": "proof"})
    before = registry.manifest_digest(subject.digest.replace(":", "-"))
    assert registry.add_referrer(attached(subject, "application/proof", "proof")) == proof
    assert registry.manifest_digest(subject.digest.replace(":", "-")) == before
    registry.close()


def test_what_two_attach_at_once_is_all_found(place: Place) -> None:
    """Both write before one of them looks again: whoever was written over sees it and does it again."""
    registry = place.at()
    content, subject = image(registry)
    registry.push_manifest("v1", content)
    wanted = [attached(subject, "application/x", str(number)) for number in range(2)]
    written = threading.Barrier(2)

    def wait(_: float) -> None:
        try:
            written.wait(10)
        except threading.BrokenBarrierError:
            return
        written.abort()  # they meet once; then one of them may be alone

    def attach(one: bytes) -> None:
        mine = Registry(registry.host, registry.repository, place.login, sleep=wait)
        mine.add_referrer(one)
        mine.close()

    threads = [threading.Thread(target=attach, args=[one]) for one in wanted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {entry.digest for entry in registry.referrers(subject.digest)} == {digest_of(one) for one in wanted}
    registry.close()


def test_several_threads_share_one_registry(place: Place) -> None:
    registry = place.at(chunk=1 << 18)
    contents = [random.Random(seed).randbytes(300_000) for seed in range(8)]
    assert at_once(registry, [lambda content=content: push(registry, content) for content in contents]) == ["sent"] * 8
    assert (registry.sent_blobs, registry.sent_bytes) == (8, 8 * 300_000)
    assert all(registry.blob_exists(digest_of(content)) for content in contents)
    registry.close()


@pytest.mark.parametrize("login", [None, Login(USER, "wrong")])
def test_who_may_not_is_told_so_and_no_secret(place: Place, login: Login | None) -> None:
    registry = place.at(login=login)
    if place.login is None:  # where nobody is asked, no login is in the way
        assert push(registry, b"mine") in ("sent", "there")
        registry.close()
        return
    with pytest.raises(EnvironmentFailure) as caught:
        push(registry, b"mine")
    assert caught.value.name == "registry-refuses"
    assert "docker login" in str(caught.value)
    assert "wrong" not in str(caught.value)
    registry.close()


def test_a_blob_that_is_another_s_is_refused(place: Place, tmp_path: Path) -> None:
    """Content that changed since its digest was taken never arrives under it."""
    registry = place.at(chunk=1 << 18)
    for size in (10, 300_000):
        with pytest.raises(EnvironmentFailure) as caught:
            registry.push_blob(digest_of(b"x" * size), size, lambda size=size: io.BytesIO(b"y" * size))  # type: ignore[misc]
        assert "DIGEST_INVALID" in caught.value.message
        assert not registry.blob_exists(digest_of(b"x" * size))
    registry.close()
