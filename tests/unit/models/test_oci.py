"""Models in an OCI registry: the real Debian docker-registry on loopback, open and behind a password."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
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
    assert str(caught.value) == (f"{locked_registry.host}/owner/repo/mlops-models refuses: 401 Unauthorized\n  `docker login` there first")
    assert not store(locked_registry.host, tmp_path, env=env).has("", digest(model).digest)


def test_no_secret_is_in_any_text(tmp_path: Path) -> None:
    opened = store("ghcr.io", tmp_path, token="ghs_secret", actor="octocat")
    assert "ghs_secret" not in repr(opened)
    assert "ghs_secret" not in repr(login("ghcr.io", {"HOME": str(tmp_path)}, "ghs_secret", "octocat"))


def test_the_forge_s_token_goes_to_its_own_registry_only(tmp_path: Path) -> None:
    env = {"HOME": str(tmp_path)}
    assert login("ghcr.io", env, "t", "octocat").user == "octocat"  # type: ignore[union-attr]
    assert login("registry.example.org", env, "t", "octocat") is None
    assert login("ghcr.io", env, None, None) is None


@pytest.mark.parametrize(
    "entry", [{"auths": []}, {"auths": {"h": 1}}, [], {"auths": {"h": {"auth": "%%%"}}}, {"credHelpers": {"h": "../evil"}}]
)
def test_a_strange_docker_file_is_no_login(tmp_path: Path, entry: Any) -> None:
    assert login("h", docker_login(tmp_path / "docker", entry), None, None) is None


def test_a_credential_helper_is_asked(tmp_path: Path) -> None:
    helper = tmp_path / "bin" / "docker-credential-mine"
    helper.parent.mkdir()
    helper.write_text('#!/bin/sh\nread host\n[ "$1 $host" = "get h" ] && echo \'{"Username": "u", "Secret": "s"}\'\n')
    helper.chmod(0o755)
    env = {**docker_login(tmp_path / "docker", {"credsStore": "mine"}), "PATH": f"{helper.parent}:/usr/bin:/bin"}
    found = login("h", env, None, None)
    assert found is not None
    assert (found.user, found.password) == ("u", "s")


@dataclass
class Script:
    """What a registry of our own answers, request by request."""

    answers: list[tuple[int, dict[str, str], bytes]]
    seen: list[tuple[str, str, str | None]] = field(default_factory=list)


@pytest.fixture
def scripted() -> Iterator[Any]:
    servers: list[HTTPServer] = []

    def serve(script: Script) -> str:
        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                script.seen.append((self.command, self.path, self.headers.get("Authorization")))
                status, headers, body = script.answers.pop(0) if script.answers else (500, {}, b"")
                self.send_response(status)
                length = headers.get("X-Promised", str(len(body)))
                for name, value in {**headers, "Content-Length": length}.items():
                    self.send_header(name, value.replace("HOST", self.headers["Host"]))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 -- the names http.server looks for

            def log_message(self, *_: object) -> None:
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        servers.append(server)
        return f"127.0.0.1:{server.server_port}"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def talk(host: str, env: dict[str, str] | None = None) -> Registry:
    return Registry(host, "r", login(host, env or {"HOME": "/nowhere"}, None, None), sleep=lambda _: None)


def test_a_bearer_challenge_is_answered_with_a_token_for_this_repository(tmp_path: Path, scripted: Any) -> None:
    challenge = {"WWW-Authenticate": 'Bearer realm="http://HOST/token",service="s",scope="ignored"'}
    script = Script([(401, challenge, b""), (200, {}, b'{"token": "abc"}'), (404, {}, b""), (404, {}, b"")])
    host = scripted(script)
    env = docker_login(tmp_path / "docker", {"auths": {host: {"username": "u", "password": "p"}}})
    registry = talk(host, env)
    assert registry.manifest_digest("t") is None
    assert registry.manifest_digest("t") is None
    registry.close()
    basic = "Basic " + base64.b64encode(b"u:p").decode()
    assert script.seen == [
        ("HEAD", "/v2/r/manifests/t", None),
        ("GET", "/token?service=s&scope=repository%3Ar%3Apull&scope=ignored", basic),
        ("HEAD", "/v2/r/manifests/t", "Bearer abc"),
        ("HEAD", "/v2/r/manifests/t", "Bearer abc"),
    ]


def test_a_challenge_that_wants_our_password_in_the_clear_gets_nothing(tmp_path: Path, scripted: Any) -> None:
    script = Script([(401, {"WWW-Authenticate": 'Bearer realm="http://elsewhere.example/token"'}, b"")])
    host = scripted(script)
    registry = talk(host, docker_login(tmp_path / "docker", {"auths": {host: {"username": "u", "password": "p"}}}))
    with pytest.raises(EnvironmentFailure, match="refuses: 401"):
        registry.manifest_digest("t")
    registry.close()
    assert len(script.seen) == 1


def test_a_stumbling_registry_is_asked_again_a_bounded_number_of_times(scripted: Any) -> None:
    script = Script([(503, {}, b""), (429, {}, b""), (200, {"Docker-Content-Digest": "sha256:x"}, b"")])
    registry = talk(scripted(script))
    assert registry.manifest_digest("t") == "sha256:x"
    with pytest.raises(EnvironmentFailure) as caught:
        registry.manifest_digest("t")
    registry.close()
    assert caught.value.name == "registry-unreachable"
    assert len(script.seen) == 3 + 5


def test_a_failed_upload_begins_again_from_the_first_byte(scripted: Any) -> None:
    begin = (202, {"Location": "/v2/r/blobs/uploads/1?state=secret"}, b"")
    script = Script([(404, {}, b""), begin, (500, {}, b""), (404, {}, b""), begin, (201, {}, b"")])
    registry = talk(scripted(script))
    registry.push_blob("sha256:x", 3, lambda: io.BytesIO(b"abc"))
    registry.close()
    assert [method for method, _, _ in script.seen] == ["HEAD", "POST", "PUT", "HEAD", "POST", "PUT"]
    assert script.seen[-1][1] == "/v2/r/blobs/uploads/1?state=secret&digest=sha256:x"


def test_a_download_that_breaks_off_is_an_environment_failure_and_leaves_nothing(tmp_path: Path, scripted: Any) -> None:
    layer = {"mediaType": "x", "digest": "sha256:" + "1" * 64, "size": 9, "annotations": {"org.opencontainers.image.title": "m"}}
    annotations = {"vnd.mlops.model.kind": "file"}
    manifest = {"schemaVersion": 2, "artifactType": ARTIFACT, "config": layer, "layers": [layer], "annotations": annotations}
    script = Script([(200, {}, json.dumps(manifest).encode()), (200, {"Content-Encoding": "x", "X-Promised": "9"}, b"half")])
    with pytest.raises(EnvironmentFailure) as caught:
        store(scripted(script), tmp_path).get("", "sha256:" + "1" * 64, tmp_path / "to")
    assert caught.value.name == "registry-unreachable"
    assert "broke off" in caught.value.message
    assert [path.name for path in tmp_path.iterdir()] == []


def test_no_registry_at_all_is_an_environment_failure_without_addresses(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        registry = talk(f"127.0.0.1:{free.getsockname()[1]}")
        with pytest.raises(EnvironmentFailure) as caught:
            registry.manifest_digest("t")
        registry.close()
    assert caught.value.message.endswith("/r failed: ConnectionError")


@pytest.mark.parametrize("word", ["oci://", "oci://host", "oci://ho st/r", "oci://u:p@host/r", "oci://host/r?x=1"])
def test_what_is_no_repository_is_refused(word: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_store(word, Setting({}, "r"))
    assert caught.value.name == "bad-store"
