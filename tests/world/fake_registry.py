"""A registry in memory that does what real ones do and Debian's does not: referrers, strict ranges, resumed chunks, expired tokens, broken lines.

It is held to the same contract as the real one (tests/unit/oci/test_contract.py). What may go wrong is said by `trouble`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from mlops_toolkit.oci.auth import Login
from mlops_toolkit.oci.documents import INDEX
from tests.world.listening import listening
from tests.world.tokens import SERVICE, Tokens


@dataclass
class Asked:
    """One request, as it came."""

    method: str
    path: str
    headers: dict[str, str]

    @property
    def authorization(self) -> str | None:
        return self.headers.get("authorization")

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class Trouble:
    """What happens to one request instead of an answer.

    cut     the line breaks: `before` the request is read, after so many bytes of its `body`, `after` it was done and before the answer
    kept    whether the bytes of a cut body count
    status  an answer with this status and these headers, and with this body
    """

    cut: str = ""
    bytes: int = 0
    kept: bool = True
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass
class Upload:
    """An upload that is going on."""

    repository: str
    data: bytearray = field(default_factory=bytearray)
    turn: int = 0


class FakeRegistry:
    """The settings may be changed while it runs. trouble: asked before each request is done."""

    def __init__(self, **settings: Any) -> None:
        self.patch = self.mounts = self.referrers = True
        self.page, self.least_chunk, self.most_body = 1000, 0, 1 << 40
        self.forgets = False  # uploads whose last answer was lost, as docker-registry does
        self.ranges = True  # whether parts of a blob are given
        self.tokens: Tokens | None = None
        self.realm = ""
        self.challenge = ""  # instead of the usual one
        self.basic: Login | None = None
        self.uses: int | None = None  # how many requests a token is good for
        self.storage: str | None = None  # where blobs are really given: an address that gets the path behind it
        self.trouble: Callable[[Asked], Trouble | None] = lambda asked: None
        for name, value in settings.items():
            assert hasattr(self, name), name
            setattr(self, name, value)
        self.host = ""
        self.asked: list[Asked] = []
        self.blobs: dict[tuple[str, str], bytes] = {}
        self.manifests: dict[tuple[str, str], tuple[str, bytes]] = {}
        self.uploads: dict[str, Upload] = {}
        self.seen: dict[str, int] = {}
        self.lock = threading.RLock()

    @contextlib.contextmanager
    def serving(self) -> Iterator[FakeRegistry]:
        """While it answers, at `host`."""
        with listening(_server(self)) as port:
            self.host = f"127.0.0.1:{port}"
            yield self

    def allowed(self, asked: Asked, repository: str) -> tuple[bool, str]:
        """Whether it may be done, and the challenge if not."""
        needs = {"GET": "pull", "HEAD": "pull", "DELETE": "delete"}.get(asked.method, "push")
        said = asked.authorization or ""
        if self.basic is not None:
            return said == self.basic.basic, 'Basic realm="models"'
        if self.tokens is None:
            return True, ""
        challenge = self.challenge or f'Bearer realm="{self.realm}",service="{SERVICE}",scope="repository:{repository}:{needs}"'
        with self.lock:
            self.seen[said] = self.seen.get(said, 0) + 1
            worn = self.uses is not None and self.seen[said] > self.uses
        access = None if worn else self.tokens.read(said.removeprefix("Bearer "))
        return access is not None and needs in access.get(repository, set()), challenge


def _server(registry: FakeRegistry) -> ThreadingHTTPServer:
    class Handler(_Handler):
        pass

    Handler.registry = registry
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign] -- broken lines are what is tested
    return server


class _Cut(Exception):
    """The line breaks here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two packets: else the second waits 40 ms for the other side's word
    registry: FakeRegistry

    def log_message(self, *_: object) -> None:
        pass

    def handle_any(self) -> None:
        asked = Asked(self.command, self.path, {name.lower(): value for name, value in self.headers.items()})
        with self.registry.lock:
            self.registry.asked.append(asked)
        trouble = self.registry.trouble(asked)
        try:
            self.done(asked, trouble)
        except _Cut:
            self.close_connection = True
            self.connection.close()

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = handle_any  # noqa: N815 -- the names http.server looks for

    def body(self, trouble: Trouble | None) -> tuple[bytes, bool]:
        """What came, and whether the line held."""
        length = int(self.headers.get("Content-Length") or 0)
        if trouble and trouble.cut == "before":
            raise _Cut
        if trouble and trouble.cut == "body" and trouble.bytes < length:
            return self.rfile.read(trouble.bytes), False
        return self.rfile.read(length), True

    def done(self, asked: Asked, trouble: Trouble | None) -> None:
        body, whole = self.body(trouble)
        if trouble and trouble.status:
            return self.say(trouble.status, trouble.body, trouble.headers)
        url = urlsplit(asked.path)
        match = re.fullmatch(r"/v2/(.+?)/(blobs|manifests|tags|referrers)/(.*)", url.path)
        if not match:
            return self.say(200 if url.path == "/v2/" else 404)
        repository, kind, rest = match[1], match[2], match[3]
        allowed, challenge = self.registry.allowed(asked, repository)
        if not allowed:
            return self.error(401, "UNAUTHORIZED", {"WWW-Authenticate": challenge})
        if len(body) > self.registry.most_body:
            return self.say(413)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        if rest.startswith("uploads/"):
            answer = self.upload(asked, repository, rest[8:], query, body, whole=whole or bool(trouble and trouble.kept))
        elif not whole:
            raise _Cut
        else:
            answer = getattr(self, kind)(asked, repository, rest, query, body)
        if not whole or (trouble and trouble.cut == "after"):
            raise _Cut
        status, content, headers = answer
        if trouble and trouble.cut == "answer":
            self.say(status, content, headers, only=trouble.bytes)
            raise _Cut
        return self.say(status, content, headers)

    def upload(self, asked: Asked, repository: str, key: str, query: dict[str, str], body: bytes, *, whole: bool) -> Any:
        registry = self.registry
        with registry.lock:
            if asked.method == "POST" and not key:
                lent = registry.blobs.get((query.get("from", ""), query.get("mount", "")))
                if registry.mounts and lent is not None:
                    registry.blobs[repository, query["mount"]] = lent
                    return 201, b"", {"Location": f"/v2/{repository}/blobs/{query['mount']}"}
                key = f"u{len(registry.uploads)}"
                registry.uploads[key] = Upload(repository)
                least = {"OCI-Chunk-Min-Length": str(registry.least_chunk)} if registry.least_chunk else {}
                return 202, b"", {**self.state(key), **least}
            going = registry.uploads.get(key)
            old = going is not None and query.get("turn") != str(going.turn)
            if going is None or going.repository != repository or (old and (registry.forgets or asked.method != "GET")):
                registry.uploads.pop(key, None)
                return self.wrong(404, "BLOB_UPLOAD_UNKNOWN")
            if asked.method == "GET":
                return 204, b"", self.state(key)
            if asked.method == "PATCH" and not registry.patch:
                return self.wrong(405, "UNSUPPORTED")
            limits = re.fullmatch(r"(\d+)-(\d+)", asked.headers.get("content-range", ""))
            if asked.method == "PATCH" and (not limits or int(limits[1]) != len(going.data)):
                return 416, b"", self.state(key)
            if whole:
                going.data += body
                if asked.method == "PATCH" and int(limits[2]) - int(limits[1]) + 1 == len(body):  # type: ignore[index]
                    going.turn += 1
            if asked.method == "PATCH":
                return 202, b"", self.state(key)
            content = bytes(going.data)
            del registry.uploads[key]
            registry.uploads[f"done {key}"] = going
            if f"sha256:{hashlib.sha256(content).hexdigest()}" != query.get("digest"):
                return self.wrong(400, "DIGEST_INVALID")
            registry.blobs[repository, query["digest"]] = content
            return 201, b"", {"Location": f"/v2/{repository}/blobs/{query['digest']}"}

    def state(self, key: str) -> dict[str, str]:
        going = self.registry.uploads[key]
        place = f"/v2/{going.repository}/blobs/uploads/{key}?turn={going.turn}"
        return {"Location": place, "Range": f"0-{max(0, len(going.data) - 1)}"}

    def blobs(self, asked: Asked, repository: str, digest: str, query: dict[str, str], body: bytes) -> Any:
        content = self.registry.blobs.get((repository, digest))
        if content is None:
            return self.wrong(404, "BLOB_UNKNOWN")
        if asked.method == "GET" and self.registry.storage:
            return 307, b"", {"Location": f"{self.registry.storage}/{repository}/{digest}?X-Signature=s"}
        part = re.fullmatch(r"bytes=(\d+)-", asked.headers.get("range", ""))
        if part and self.registry.ranges:
            at = int(part[1])
            return 206, content[at:], {"Content-Range": f"bytes {at}-{len(content) - 1}/{len(content)}"}
        return 200, content, {"Docker-Content-Digest": digest}

    def manifests(self, asked: Asked, repository: str, reference: str, query: dict[str, str], body: bytes) -> Any:
        registry = self.registry
        with registry.lock:
            if asked.method == "PUT":
                return self.put_manifest(asked, repository, reference, body)
            if asked.method == "DELETE":
                gone = [key for key, (_, kept) in registry.manifests.items() if key[0] == repository and _digest(kept) == reference]
                for key in gone:
                    del registry.manifests[key]
                return (202, b"", {}) if gone else self.wrong(404, "MANIFEST_UNKNOWN")
            found = registry.manifests.get((repository, reference))
            if found is None or found[0] not in asked.headers.get("accept", ""):
                return self.wrong(404, "MANIFEST_UNKNOWN")
            return 200, found[1], {"Content-Type": found[0], "Docker-Content-Digest": _digest(found[1])}

    def put_manifest(self, asked: Asked, repository: str, reference: str, body: bytes) -> Any:
        registry, document = self.registry, json.loads(body)
        needed = [document.get("config"), *document.get("layers", [])]
        absent = [entry["digest"] for entry in needed if entry and (repository, entry["digest"]) not in registry.blobs]
        absent += [entry["digest"] for entry in document.get("manifests", []) if (repository, entry["digest"]) not in registry.manifests]
        if absent:
            return self.wrong(404, "MANIFEST_BLOB_UNKNOWN")
        digest = _digest(body)
        if ":" in reference and reference != digest:
            return self.wrong(400, "DIGEST_INVALID")
        for key in (reference, digest):
            registry.manifests[repository, key] = (asked.headers["content-type"], body)
        subject = {"OCI-Subject": document["subject"]["digest"]} if registry.referrers and document.get("subject") else {}
        return 201, b"", {"Docker-Content-Digest": digest, **subject}

    def tags(self, asked: Asked, repository: str, rest: str, query: dict[str, str], body: bytes) -> Any:
        found = sorted(tag for name, tag in self.registry.manifests if name == repository and ":" not in tag)
        if not found:
            return self.wrong(404, "NAME_UNKNOWN")
        shown = [tag for tag in found if tag > query.get("last", "")][: self.registry.page]
        more = {"Link": f'</v2/{repository}/tags/list?n=2&last={shown[-1]}>; rel="next"'} if shown and shown[-1] != found[-1] else {}
        return 200, json.dumps({"name": repository, "tags": shown}).encode(), more

    def referrers(self, asked: Asked, repository: str, digest: str, query: dict[str, str], body: bytes) -> Any:
        if not self.registry.referrers:
            return self.wrong(404, "UNSUPPORTED")
        entries = []
        for (name, key), (media_type, content) in sorted(self.registry.manifests.items()):
            document = json.loads(content)
            if name == repository and key == _digest(content) and (document.get("subject") or {}).get("digest") == digest:
                kind = document.get("artifactType") or document["config"]["mediaType"]
                marks = {"annotations": document["annotations"]} if document.get("annotations") else {}
                entries.append({"mediaType": media_type, "digest": key, "size": len(content), "artifactType": kind, **marks})
        at = int(query.get("at", "0"))
        more = (
            {"Link": f'<{urlsplit(asked.path).path}?at={at + self.registry.page}>; rel="next"'}
            if at + self.registry.page < len(entries)
            else {}
        )
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries[at : at + self.registry.page]}
        return 200, json.dumps(index).encode(), {"Content-Type": INDEX, **more}

    def wrong(self, status: int, code: str) -> Any:
        return status, json.dumps({"errors": [{"code": code, "message": code.lower()}]}).encode(), {"Content-Type": "application/json"}

    def error(self, status: int, code: str, headers: dict[str, str]) -> None:
        _, content, more = self.wrong(status, code)
        self.say(status, content, {**more, **headers})

    def say(self, status: int, content: bytes = b"", headers: dict[str, str] | None = None, only: int | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content if only is None else content[:only])


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
