"""Models in an OCI registry: the real Debian docker-registry on loopback, open and behind a password."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import socket
from pathlib import Path
from typing import Any

import pytest
import requests

from mlops_toolkit.ci import Context
from mlops_toolkit.errors import EnvironmentFailure, UsageError
from mlops_toolkit.models.base import Setting
from mlops_toolkit.models.digest import digest
from mlops_toolkit.models.oci import ARTIFACT, OciStore, open_store
from mlops_toolkit.models.open import open_models
from mlops_toolkit.oci.auth import login
from mlops_toolkit.oci.registry import Registry
from mlops_toolkit.oci.wire import Wire
from tests.unit.models import stores
from tests.world.fake_registry import Asked, FakeRegistry, Trouble
from tests.world.registry import PASSWORD, Running


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlops_toolkit.oci.patience.FIRST", 0.001)


def store(host: str, tmp_path: Path, name: str = "owner/repo/mlops-models", **more: Any) -> OciStore:
    return open_store(f"oci://{host}/{name}", Setting({"HOME": str(tmp_path), **more.pop("env", {})}, "r", **more))


def docker_login(folder: Path, entry: dict[str, Any]) -> dict[str, str]:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(entry))
    return {"DOCKER_CONFIG": str(folder)}


@pytest.mark.registry
def test_it_is_a_store(tmp_path: Path, open_registry: Running) -> None:
    stores.keeps_what_it_is_given(store(open_registry.host, tmp_path), tmp_path)


@pytest.mark.registry
def test_it_refuses_what_changed(tmp_path: Path, open_registry: Running) -> None:
    stores.refuses_what_changed_since_its_digest_was_taken(store(open_registry.host, tmp_path, "changed"), tmp_path)


@pytest.mark.registry
@pytest.mark.parametrize("content", [b"[]", b"too long for it"])
def test_it_gives_nothing_back_that_was_damaged(tmp_path: Path, open_registry: Running, content: bytes) -> None:
    def damage(address: str) -> None:
        name = hashlib.sha256(b"{}").hexdigest()
        (blob,) = [path for path in open_registry.blobs() if path.parent.name == name]
        blob.write_bytes(content)

    try:
        stores.gives_nothing_back_that_was_damaged(store(open_registry.host, tmp_path, "damaged"), tmp_path, damage)
    finally:
        for blob in open_registry.blobs():
            if blob.parent.name == hashlib.sha256(b"{}").hexdigest():
                blob.write_bytes(b"{}")


@pytest.mark.registry
def test_it_is_an_artifact_that_others_understand(tmp_path: Path, open_registry: Running) -> None:
    """OCI 1.1: artifact type, the empty config, a title a layer, the digest as the tag."""
    model = stores.model(tmp_path / "model")
    known = digest(model)
    address = store(open_registry.host, tmp_path, "understood").put(model, known.digest)
    assert address == f"oci://{open_registry.host}/understood:{known.digest.replace(':', '-')}"
    url = f"http://{open_registry.host}/v2/understood/manifests/{known.digest.replace(':', '-')}"
    manifest = requests.get(url, headers={"Accept": "application/vnd.oci.image.manifest.v1+json"}, timeout=10).json()
    assert manifest["artifactType"] == ARTIFACT
    assert manifest["config"]["mediaType"] == "application/vnd.oci.empty.v1+json"
    titles = {layer["annotations"]["org.opencontainers.image.title"]: layer["size"] for layer in manifest["layers"]}
    assert titles == {file.path: file.size for file in known.files}


@pytest.mark.registry
def test_what_two_models_share_is_sent_once(tmp_path: Path, open_registry: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = store(open_registry.host, tmp_path, "shared")
    one = stores.model(tmp_path / "one")
    opened.put(one, digest(one).digest)
    (one / "twin").write_text("only this differs")
    sent: list[str] = []
    real = Wire.attempt

    def spy(self: Wire, method: str, path: str, **options: Any) -> Any:
        if method == "PUT":
            sent.append(path.partition("digest=")[2] or path)
        return real(self, method, path, **options)

    monkeypatch.setattr(Wire, "attempt", spy)
    known = digest(one).digest
    opened.put(one, known)
    wanted = f"sha256:{hashlib.sha256(b'only this differs').hexdigest()}"
    assert sent == [wanted, f"manifests/{known.replace(':', '-')}"]


@pytest.mark.registry
def test_a_foreign_image_under_the_tag_is_no_model(tmp_path: Path, open_registry: Running) -> None:
    talk = Registry(open_registry.host, "foreign", None)
    talk.push_blob("sha256:" + hashlib.sha256(b"{}").hexdigest(), 2, lambda: io.BytesIO(b"{}"))
    config = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": "sha256:" + hashlib.sha256(b"{}").hexdigest(), "size": 2}
    image = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config, "layers": []}
    talk.push_manifest(stores.ABSENT.replace(":", "-"), json.dumps(image).encode())
    talk.close()
    with pytest.raises(EnvironmentFailure) as caught:
        store(open_registry.host, tmp_path, "foreign").get("", stores.ABSENT, tmp_path / "to")
    assert caught.value.name == "model-damaged"


@pytest.mark.registry
def test_a_model_is_told_by_whatever_tag_points_to_it(tmp_path: Path, open_registry: Running) -> None:
    """As people name it (`:v3`), and by the one it is stored under; the bytes are not fetched for it."""
    kept, known = store(open_registry.host, tmp_path, "tagged"), digest(stores.model(tmp_path / "model"))
    address = kept.put(tmp_path / "model", known.digest)
    talk = Registry(open_registry.host, "tagged", None)
    manifest = talk.pull_manifest(known.digest.replace(":", "-"))
    assert manifest is not None
    talk.push_manifest("v3", manifest.content)
    talk.close()
    for name in (address, f"oci://{open_registry.host}/tagged:v3"):
        found = open_models(name, env={"HOME": str(tmp_path)}, context=Context(), root=tmp_path).look(name)
        assert (found.digest, found.size, found.kind) == (known.digest, known.size, "folder")
    with pytest.raises(EnvironmentFailure) as caught:
        kept.look(f"oci://{open_registry.host}/tagged:v4")
    assert caught.value.name == "model-unreachable"


@pytest.mark.registry
def test_a_password_comes_from_docker_s_own_file(tmp_path: Path, locked_registry: Running) -> None:
    coded = base64.b64encode(f"me:{PASSWORD}".encode()).decode()
    env = docker_login(tmp_path / "docker", {"auths": {locked_registry.host: {"auth": coded}}})
    stores.keeps_what_it_is_given(store(locked_registry.host, tmp_path, env=env), tmp_path)


@pytest.mark.registry
@pytest.mark.parametrize("password", [None, "wrong"])
def test_a_refusal_says_what_to_do_and_no_secret(tmp_path: Path, locked_registry: Running, password: str | None) -> None:
    env = docker_login(tmp_path / "docker", {"auths": {locked_registry.host: {"username": "me", "password": password}}} if password else {})
    model = stores.model(tmp_path / "model")
    with pytest.raises(EnvironmentFailure) as caught:
        store(locked_registry.host, tmp_path, env=env).put(model, digest(model).digest)
    assert caught.value.name == "registry-refuses"
    assert str(caught.value) == (
        f"{locked_registry.host}/owner/repo/mlops-models refuses: 401 Unauthorized\n  "
        f"`docker login {locked_registry.host}` first, or set MLOPS_REGISTRY, MLOPS_REGISTRY_USER and MLOPS_REGISTRY_PASSWORD"
    )
    assert not store(locked_registry.host, tmp_path, env=env).has("", digest(model).digest)


def test_no_secret_is_in_any_text(tmp_path: Path) -> None:
    opened = store("ghcr.io", tmp_path, token="ghs_secret", actor="octocat")
    assert "ghs_secret" not in repr(opened)
    assert "ghs_secret" not in repr(login("ghcr.io", {"HOME": str(tmp_path)}, "ghs_secret", "octocat"))


def test_a_large_model_goes_up_in_chunks_several_files_at_a_time_and_resumes(tmp_path: Path) -> None:
    folder = stores.model(tmp_path / "model")
    for number in range(6):
        (folder / f"shard-{number}").write_bytes(bytes([number]) * ((17 << 20) if number == 0 else 1000))
    broken: list[str] = []

    def once(asked: Asked) -> Trouble | None:
        if asked.method == "PATCH" and not broken:
            broken.append(str(asked))
            return Trouble("body", 5 << 20)
        return None

    known = digest(folder)
    with FakeRegistry(trouble=once).serving() as fake:
        opened = store(fake.host, tmp_path)
        address = opened.put(folder, known.digest)
        chunks = [asked.headers["content-range"] for asked in fake.asked if asked.method == "PATCH"]
        assert chunks == ["0-16777215", "5242880-17825791"]
        begun = len(fake.asked)
        assert opened.put(folder, known.digest) == address
        assert [asked.method for asked in fake.asked[begun:]] == ["HEAD"]
        opened.get(address, known.digest, tmp_path / "back")
        assert digest(tmp_path / "back") == known


def test_a_download_that_breaks_off_is_an_environment_failure_and_leaves_nothing(tmp_path: Path) -> None:
    model = stores.model(tmp_path / "model") / "weights.bin"
    known = digest(model)
    with FakeRegistry(ranges=False).serving() as fake:
        opened = store(fake.host, tmp_path)
        address = opened.put(model, known.digest)
        fake.trouble = lambda asked: Trouble("answer", 1000) if asked.method == "GET" and "blobs" in asked.path else None
        (tmp_path / "out").mkdir()
        with pytest.raises(EnvironmentFailure) as caught:
            opened.get(address, known.digest, tmp_path / "out" / "to")
    assert caught.value.name == "registry-unreachable"
    assert "broke off" in caught.value.message
    assert list((tmp_path / "out").iterdir()) == []


def test_no_registry_at_all_is_an_environment_failure_without_addresses(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(EnvironmentFailure) as caught:
            store(f"127.0.0.1:{free.getsockname()[1]}", tmp_path).look("")
    assert caught.value.message.endswith("/mlops-models failed: nothing listens there")


@pytest.mark.parametrize("word", ["oci://", "oci://host", "oci://ho st/r", "oci://u:p@host/r", "oci://host/r?x=1"])
def test_what_is_no_repository_is_refused(word: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_store(word, Setting({}, "r"))
    assert caught.value.name == "bad-store"
