"""Servers that networks put in the way, for real on this machine: a certificate nobody knows, a proxy that says no, a hole that answers nothing."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.world.listening import listening


class _Quiet(BaseHTTPRequestHandler):
    status = 404

    def _answer(self) -> None:
        self.send_response(self.status)
        self.send_header("content-length", "0")
        self.end_headers()

    do_GET = do_HEAD = do_POST = do_CONNECT = _answer  # noqa: N815 (http.server calls them so)

    def log_message(self, *args: Any) -> None:
        """Nobody reads it."""


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is what these servers are for."""


@contextmanager
def _serving(status: int, certificate: tuple[Path, Path] | None = None) -> Iterator[int]:
    server = _Server(("127.0.0.1", 0), type("Handler", (_Quiet,), {"status": status}))
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    with listening(server) as port:
        yield port


def certificate(folder: Path, name: str = "localhost", *, days: int = 2) -> tuple[Path, Path]:
    """(certificate, key) that a server signed for itself, good until `days` from now; of a negative number it ended so long ago."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(timezone.utc)
    who = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder(
        who, who, key.public_key(), x509.random_serial_number(), now - timedelta(days=9), now + timedelta(days=days)
    )
    made = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False).sign(key, hashes.SHA256())
    files = folder / f"{name}.pem", folder / f"{name}.key"
    files[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    files[1].write_bytes(key.private_bytes(*form))
    return files


@contextmanager
def tls(signed: tuple[Path, Path]) -> Iterator[str]:
    """`localhost:PORT` of a server that speaks TLS and knows nothing (404)."""
    with _serving(404, signed) as port:
        yield f"localhost:{port}"


@contextmanager
def plain(status: int = 404) -> Iterator[str]:
    """`localhost:PORT` of a server, or proxy, that answers everything with this status."""
    with _serving(status) as port:
        yield f"localhost:{port}"


@contextmanager
def hole() -> Iterator[str]:
    """`localhost:PORT` that takes connections and answers nothing."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        yield f"localhost:{listening.getsockname()[1]}"


@contextmanager
def closed() -> Iterator[str]:
    """`localhost:PORT` where nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"localhost:{bound.getsockname()[1]}"
