"""A registry behind a company's own certificate, reached through its proxy: both are named by the usual variables."""

from __future__ import annotations

import contextlib
import datetime
import io
import ipaddress
import select
import socket
import ssl
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.oci.auth import Login
from mlops_toolkit.oci.registry import Registry
from tests.world.fake_registry import FakeRegistry, _server
from tests.world.listening import listening

HOST = "registry.company.example"
VARIABLES = (
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "HTTPS_PROXY",
    "https_proxy",
    "NO_PROXY",
    "no_proxy",
    "ALL_PROXY",
    "all_proxy",
)


def certificate(folder: Path) -> Path:
    """A certificate of our own for the host, and its key, in one file; who trusts it needs the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.datetime.now(datetime.timezone.utc)
    day = datetime.timedelta(days=1)
    names = x509.SubjectAlternativeName([x509.DNSName(HOST), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - day, now + day)
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "both.pem").write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    (folder / "ca.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return folder / "ca.pem"


@contextlib.contextmanager
def proxy(to: int, asked: list[str]) -> Iterator[int]:
    """A proxy that knows one address, whatever it is asked for."""

    class Handler(BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            asked.append(f"{self.path} {self.headers.get('Authorization')}")
            with socket.create_connection(("127.0.0.1", to)) as beyond:
                self.send_response(200)
                self.end_headers()
                pair = {self.connection: beyond, beyond: self.connection}
                while ready := select.select(list(pair), [], [], 10)[0]:
                    for side in ready:
                        data = side.recv(65536)
                        if not data:
                            self.close_connection = True
                            return
                        pair[side].sendall(data)

        def log_message(self, *_: object) -> None:
            pass

    with listening(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as port:
        yield port


@pytest.fixture
def company(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, FakeRegistry, list[str]]]:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("mlops_toolkit.oci.patience.FIRST", 0.0001)
    ca, asked = certificate(tmp_path), list[str]()
    fake = FakeRegistry(basic=Login("u", "p"))
    server = _server(fake)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "both.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    with listening(server) as port, proxy(port, asked) as through:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{through}")
        yield ca, fake, asked


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_a_company_s_certificate_and_proxy_are_used(
    company: tuple[Path, FakeRegistry, list[str]], monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    ca, fake, asked = company
    monkeypatch.setenv(variable, str(ca))
    registry = Registry(HOST, "a/b", Login("u", "p"))
    digest = "sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    assert registry.push_blob(digest, 1, lambda: io.BytesIO(b"x")) == "sent"
    assert registry.read_blob(digest) == b"x"
    registry.close()
    assert set(asked) == {f"{HOST}:443 None"}  # the proxy learns where to, and not who
    assert fake.blobs


def test_a_certificate_that_nobody_vouches_for_is_refused(company: tuple[Path, FakeRegistry, list[str]]) -> None:
    _, fake, _ = company
    registry = Registry(HOST, "a/b", Login("u", "p"))
    with pytest.raises(EnvironmentFailure) as caught:
        registry.tags()
    registry.close()
    assert caught.value.name == "registry-untrusted"
    assert str(caught.value).startswith(f"nobody vouches for the certificate of {HOST}\n  let SSL_CERT_FILE name")
    assert fake.asked == []


def test_no_proxy_stands_before_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with FakeRegistry().serving() as fake:
        registry = Registry(fake.host, "a/b", None)
        assert registry.tags() == []
        registry.close()
