"""A token server as registries have beside them, with keys of its own: GET with Basic, and OAuth2's POST for a refresh token.

Debian's docker-registry believes its tokens (`auth: token`), and so does the registry of tests/world/fake_registry.py.
"""

from __future__ import annotations

import base64
import contextlib
import datetime
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.world.listening import listening

USER, PASSWORD, REFRESH = "me", "correct horse", "a-refresh-token"
ISSUER, SERVICE = "the token server", "registry.example"


@dataclass
class Tokens:
    """What it knows and what it was asked. lasts: seconds a token is good for. public: repositories that everybody may read."""

    lasts: int = 300
    public: tuple[str, ...] = ()
    oauth: bool = True
    asked: list[dict[str, Any]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)  # given instead of an answer, one a request
    made: int = 0

    def __post_init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, ISSUER)])
        now = datetime.datetime.now(datetime.timezone.utc)
        ends = now + datetime.timedelta(days=1)
        begins = now - datetime.timedelta(days=1)
        builder = x509.CertificateBuilder(name, name, self.key.public_key(), x509.random_serial_number(), begins, ends)
        self.certificate = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(
            self.key, hashes.SHA256()
        )

    def bundle(self, folder: Path) -> Path:
        """The certificate as a file, for `rootcertbundle`."""
        place = folder / "tokens.pem"
        place.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))
        return place

    def issue(self, scopes: list[str], *, known: bool) -> str:
        """A token for as much of the scopes as is allowed."""
        access = []
        for scope in scopes:
            kind, _, rest = scope.partition(":")
            name, _, actions = rest.rpartition(":")
            allowed = [action for action in actions.split(",") if known or (action == "pull" and name in self.public)]
            if kind == "repository":
                access.append({"type": kind, "name": name, "actions": allowed})
        now = int(time.time())
        self.made += 1
        claims = {"iss": ISSUER, "aud": SERVICE, "sub": USER, "nbf": now - 5, "iat": now, "exp": now + self.lasts, "jti": str(self.made)}
        chain = base64.b64encode(self.certificate.public_bytes(serialization.Encoding.DER)).decode()
        return jwt.encode({**claims, "access": access}, self.key, algorithm="ES256", headers={"x5c": [chain]})

    def read(self, token: str) -> dict[str, set[str]] | None:
        """repository -> actions; None for a token that is not ours or has expired."""
        try:
            claims = jwt.decode(token, self.key.public_key(), algorithms=["ES256"], audience=SERVICE, issuer=ISSUER)
        except jwt.InvalidTokenError:
            return None
        return {entry["name"]: set(entry["actions"]) for entry in claims["access"]}

    @contextlib.contextmanager
    def serving(self) -> Iterator[str]:
        """The address (`realm`) at which it answers."""
        tokens = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                fields = parse_qs(urlsplit(self.path).query)
                authorization = self.headers.get("Authorization")
                wanted = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
                self.answer("GET", fields, authorization, good=authorization in (None, wanted), known=authorization == wanted)

            def do_POST(self) -> None:
                fields = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                good = fields.get("grant_type") == ["refresh_token"] and fields.get("refresh_token") == [REFRESH]
                self.answer("POST", fields, self.headers.get("Authorization"), good=good, known=good)

            def answer(self, method: str, fields: dict[str, list[str]], authorization: str | None, *, good: bool, known: bool) -> None:
                tokens.asked.append({"method": method, "authorization": authorization, **fields})
                status = (
                    tokens.statuses.pop(0) if tokens.statuses else 404 if method == "POST" and not tokens.oauth else 200 if good else 401
                )
                body: dict[str, Any] = {}
                if status == 200:
                    scopes = [word for scope in fields.get("scope", []) for word in scope.split()]
                    name = "access_token" if method == "POST" else "token"
                    body = {name: tokens.issue(scopes, known=known), "expires_in": tokens.lasts}
                content = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        with listening(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as port:
            yield f"http://127.0.0.1:{port}/token"
