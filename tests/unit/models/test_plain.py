"""Models where somebody else keeps them: a file of the web, a file or folder in cloud storage."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import fsspec
import pytest

from mlops_toolkit.ci import Context
from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.models import plain
from mlops_toolkit.models.base import Store
from mlops_toolkit.models.digest import digest
from mlops_toolkit.models.open import fetch, open_models, reachable
from mlops_toolkit.records.run import Model
from tests.unit.models import stores

CONTENT = bytes(range(256)) * 9000


class Web:
    """A server whose answers a test decides: path -> (status, body), and how often it fails before."""

    def __init__(self) -> None:
        self.pages: dict[str, tuple[int, bytes]] = {}
        self.failures, self.cut, self.seen = 0, 0, list[dict[str, str]]()
        self.url = ""


@pytest.fixture
def web() -> Iterator[Web]:
    made = Web()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.seen.append({"method": self.command, **self.headers})
            if made.failures:
                made.failures -= 1
                self.send_error(503)
                return
            status, body = made.pages.get(self.path.partition("?")[0], (404, b""))
            if status == 302:
                self.send_response(302)
                self.send_header("Location", body.decode())
                self.end_headers()
                return
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body[: len(body) - made.cut])

        def do_HEAD(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    made.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()


def opened(address: str, tmp_path: Path) -> Store:
    return open_models(address, env={"HOME": str(tmp_path)}, context=Context(), root=tmp_path)


def recorded(address: str, tmp_path: Path) -> Model:
    found = opened(address, tmp_path).look(address)
    return Model(found.digest, found.size, "m", found.kind, (address,))


def had(model: Model, tmp_path: Path, to: str = "here/m") -> Path:
    fetch(model, tmp_path / to, lambda address: opened(address, tmp_path), env={"HOME": str(tmp_path)})
    return tmp_path / to


def test_a_file_of_the_web_is_looked_at_and_fetched(web: Web, tmp_path: Path) -> None:
    web.pages["/models/spam.onnx"] = (200, CONTENT)
    address = f"{web.url}/models/spam.onnx?version=3"
    model = recorded(address, tmp_path)
    assert (model.digest, model.size, model.kind) == (f"sha256:{hashlib.sha256(CONTENT).hexdigest()}", len(CONTENT), "file")
    assert had(model, tmp_path).read_bytes() == CONTENT
    assert reachable(model, lambda at: opened(at, tmp_path), env={"HOME": str(tmp_path)})
    assert not any("Authorization" in headers for headers in web.seen)


def test_it_is_asked_again_where_that_may_help_and_follows_where_it_is_sent(web: Web, tmp_path: Path) -> None:
    web.pages = {"/old": (302, f"{web.url}/new".encode()), "/new": (200, CONTENT)}
    web.failures = 2
    assert had(recorded(f"{web.url}/old", tmp_path), tmp_path).read_bytes() == CONTENT


def test_nobodys_password_is_sent_to_a_host_that_a_pointer_names(web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    web.pages["/m"] = (200, CONTENT)
    recorded(f"{web.url}/m", tmp_path)
    assert web.seen
    assert not any("Authorization" in headers for headers in web.seen)


@pytest.mark.parametrize(
    ("how", "name"),
    [("exchanged", "model-damaged"), ("gone", "model-unreachable"), ("cut", "model-unreachable"), ("down", "model-unreachable")],
)
def test_what_is_not_the_model_leaves_nothing(web: Web, tmp_path: Path, how: str, name: str) -> None:
    web.pages["/m"] = (200, CONTENT)
    address = f"{web.url}/m?token=secret"
    model = recorded(address, tmp_path)
    if how == "exchanged":
        web.pages["/m"] = (200, CONTENT + b"!")
    elif how == "gone":
        web.pages = {}
    elif how == "cut":
        web.cut = 100_000
    else:
        web.failures = 100
    with pytest.raises(EnvironmentFailure) as caught:
        had(model, tmp_path)
    cause = caught.value.__cause__
    assert isinstance(cause, EnvironmentFailure)
    assert cause.name == name
    assert "secret" not in f"{caught.value} {cause}"
    assert not (tmp_path / "here" / "m").exists()
    assert list((tmp_path / "here").iterdir()) == []


@pytest.fixture
def memory() -> Iterator[Any]:
    files = fsspec.filesystem("memory")
    yield files
    files.store.clear()
    files.pseudo_dirs[:] = [""]


def test_a_file_in_cloud_storage_is_a_file_and_a_folder_a_folder(memory: Any, tmp_path: Path) -> None:
    source = stores.model(tmp_path / "source")
    for path in source.rglob("*"):
        if path.is_file():
            memory.pipe_file(f"/bucket/folder/{path.relative_to(source)}", path.read_bytes())
    memory.pipe_file("/bucket/folder-beside", b"not of it")
    memory.pipe_file("/bucket/m.onnx", CONTENT)
    folder, file = recorded("memory://bucket/folder", tmp_path), recorded("memory://bucket/m.onnx", tmp_path)
    assert (folder.kind, file.kind) == ("folder", "file")
    assert file.digest == f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
    assert recorded("memory://bucket/folder/", tmp_path).digest == folder.digest
    back = had(folder, tmp_path, "back")
    assert digest(back).digest == folder.digest
    assert (back / "weights.bin").read_bytes() == (source / "weights.bin").read_bytes()
    assert had(file, tmp_path).read_bytes() == CONTENT


def test_a_changed_or_lost_file_of_a_folder_is_damage_and_an_empty_place_is_unreachable(memory: Any, tmp_path: Path) -> None:
    memory.pipe_file("/bucket/folder/a", b"a")
    memory.pipe_file("/bucket/folder/b", b"b")
    model = recorded("memory://bucket/folder", tmp_path)
    store = opened("memory://bucket/folder", tmp_path)
    for change in (lambda: memory.pipe_file("/bucket/folder/a", b"A"), lambda: memory.rm_file("/bucket/folder/a")):
        change()
        with pytest.raises(EnvironmentFailure) as caught:
            store.get("memory://bucket/folder", model.digest, tmp_path / "to")
        assert caught.value.name == "model-damaged"
    memory.rm("/bucket/folder", recursive=True)
    assert not store.has("memory://bucket/folder", model.digest)
    for ask in (lambda: store.look("memory://bucket/folder"), lambda: store.get("memory://bucket/folder", model.digest, tmp_path / "to")):
        with pytest.raises(EnvironmentFailure) as caught:
            ask()
        assert caught.value.name == "model-unreachable"
    assert not (tmp_path / "to").exists()


def test_a_model_that_a_store_of_ours_keeps_is_told_from_its_list(memory: Any, tmp_path: Path) -> None:
    """By its address and digest, whatever lies beside."""
    source = stores.model(tmp_path / "source")
    known = digest(source)
    for word in ("memory://bucket/models", "file:"):
        address = opened(word, tmp_path).put(source, known.digest)
        found = opened(address, tmp_path).look(address)
        assert (found.digest, found.size, found.kind) == (known.digest, known.size, "folder")
        with pytest.raises(EnvironmentFailure):
            opened(address, tmp_path).look(address.replace(known.digest[-64:], "0" * 64))


def test_a_name_that_leads_out_of_the_model_is_damage(tmp_path: Path) -> None:
    class Hostile:
        def _strip_protocol(self, address: str) -> str:
            return "b/m"

        def isfile(self, place: str) -> bool:
            return False

        def find(self, place: str) -> list[str]:
            return ["b/m/../../out"]

    with pytest.raises(EnvironmentFailure) as caught:
        plain.get(Hostile(), "s3://b/m", "sha256:" + "0" * 64, tmp_path / "to")
    assert caught.value.name == "model-damaged"
    assert not (tmp_path / "out").exists()


def test_the_web_is_read_and_never_written(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailure) as caught:
        opened("https://host/m", tmp_path).put(tmp_path, "sha256:" + "0" * 64)
    assert caught.value.name == "model-not-stored"
