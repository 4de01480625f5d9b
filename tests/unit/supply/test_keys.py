"""Keys as cosign and OpenSSL write them."""

from __future__ import annotations

import base64
import json
import re
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization as forms
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from mlops_toolkit.errors import UsageError
from mlops_toolkit.supply import keys
from tests.needs import require
from tests.world.proven import KEY, OTHER

# What `cosign generate-key-pair` 2.6.5 wrote, with the password "pw". It guards nothing.
COSIGN_KEY = """\
-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----
eyJrZGYiOnsibmFtZSI6InNjcnlwdCIsInBhcmFtcyI6eyJOIjo2NTUzNiwiciI6
OCwicCI6MX0sInNhbHQiOiJmd2kwRjk2ZmRxUk1haEVBWFVHc0pxTGpOSE1nYWxC
QkFjN0dYdmU5ZmxZPSJ9LCJjaXBoZXIiOnsibmFtZSI6Im5hY2wvc2VjcmV0Ym94
Iiwibm9uY2UiOiJ1YnVZcVBLTWN1Q2QwemQzRDVwY2MzdFdENkJvL3h1eiJ9LCJj
aXBoZXJ0ZXh0IjoiQmFWM2FKUkxnVzRETnhvZHhTSFZlSitIczFOSHRpN2U4V1lL
TUo0VzY1bzFybUNJa3FqTHhnSWNXUytmZHpURlRraktLazFnbEl2eGEwTXp5M0xN
UnNPdHRoeU5UUnM5MXB1WjM1aFV5K0tzQlZ1V3NCN0ZwS0d0Q3VIMVZhcjZZcTFL
NG9Laks1YzlKK1JEWGZsWnlWNCtiQjU3RFNnTC9vSTMvVnVVNmNWYllocHZkSWt4
OEdLNUhyRmVmL09QOFhhbWIwNmd4SUpZbWc9PSJ9
-----END ENCRYPTED SIGSTORE PRIVATE KEY-----
"""
COSIGN_PUB = """\
-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEBV2BQZtsTUbJPiigOUDOfYoJLOlV
qmdUc187eiT2zsbpG7vPR2cCrTnhzs1uHDsWPkId8rQ0fL0KzBdmY4SJXA==
-----END PUBLIC KEY-----
"""
PASSWORD = {"COSIGN_PASSWORD": "pw"}


def pem(key: object, password: bytes | None = None, form: forms.PrivateFormat = forms.PrivateFormat.PKCS8) -> bytes:
    locked = forms.BestAvailableEncryption(password) if password else forms.NoEncryption()
    return key.private_bytes(forms.Encoding.PEM, form, locked)  # type: ignore[attr-defined,no-any-return]


def test_cosigns_own_key_is_read(tmp_path: Path) -> None:
    (tmp_path / "cosign.key").write_text(COSIGN_KEY)
    (tmp_path / "cosign.pub").write_text(COSIGN_PUB)
    key = keys.signing_key("cosign.key", PASSWORD, tmp_path)
    public = keys.checking_key("cosign.pub", {}, tmp_path)
    assert key.public.pem.decode() == COSIGN_PUB
    assert public.verifies(key.sign(b"data"), b"data")
    assert not public.verifies(key.sign(b"data"), b"date")
    assert not public.verifies(b"no signature", b"data")


def test_a_key_comes_from_the_environment(tmp_path: Path) -> None:
    env = {"COSIGN_PRIVATE_KEY": COSIGN_KEY, "PUB": COSIGN_PUB, **PASSWORD}
    assert keys.signing_key("env://COSIGN_PRIVATE_KEY", env, tmp_path).public.hint == keys.checking_key("env://PUB", env, tmp_path).hint


@pytest.mark.parametrize("form", [forms.PrivateFormat.PKCS8, forms.PrivateFormat.TraditionalOpenSSL])
@pytest.mark.parametrize("password", [None, b"pw"])
def test_openssls_forms_are_read(form: forms.PrivateFormat, password: bytes | None) -> None:
    read = keys.read_private(pem(KEY.key, password, form), "pw" if password else None, where="key")
    assert read.public.fingerprint == KEY.public.fingerprint


def test_openssl_reads_what_is_signed(tmp_path: Path) -> None:
    openssl = require("registry", "openssl")["openssl"]
    (tmp_path / "pub").write_bytes(KEY.public.pem)
    (tmp_path / "sig").write_bytes(KEY.sign(b"data"))
    asked = [openssl, "dgst", "-sha256", "-verify", "pub", "-signature", "sig"]
    assert subprocess.run(asked, cwd=tmp_path, input=b"data", capture_output=True, check=False).stdout == b"Verified OK\n"
    assert subprocess.run(asked, cwd=tmp_path, input=b"date", capture_output=True, check=False).returncode != 0


def test_the_same_is_signed_the_same() -> None:
    assert KEY.sign(b"data") == KEY.sign(b"data") != OTHER.sign(b"data")


@pytest.mark.parametrize(
    ("text", "env", "name", "says"),
    [
        (COSIGN_KEY.encode(), {}, "bad-key-password", "is not set"),
        (COSIGN_KEY.encode(), {"COSIGN_PASSWORD": "other"}, "bad-key-password", "cannot be opened"),
        (pem(KEY.key, b"pw"), {}, "bad-key-password", "is not set"),
        (pem(KEY.key, b"pw"), {"COSIGN_PASSWORD": "other"}, "bad-key-password", "cannot be opened"),
        (b"hello", {}, "bad-key", "no private key can be read there"),
        (KEY.public.pem, {}, "bad-key", "no private key can be read there"),
        (pem(ed25519.Ed25519PrivateKey.generate()), {}, "bad-key", "a key of Ed25519"),
        (pem(rsa.generate_private_key(65537, 2048)), {}, "bad-key", "a key of RSA"),
        (pem(ec.derive_private_key(5, ec.SECP384R1())), {}, "bad-key", "secp384r1"),
    ],
)
def test_what_cannot_sign_is_refused(tmp_path: Path, text: bytes, env: dict[str, str], name: str, says: str) -> None:
    (tmp_path / "key").write_bytes(text)
    with pytest.raises(UsageError, match=says) as refused:
        keys.signing_key("key", env, tmp_path)
    assert refused.value.name == name
    assert "pw" not in str(refused.value)
    assert "other" not in str(refused.value)


def test_a_costly_key_is_not_opened() -> None:
    """A file may ask for any amount of memory; only what cosign's library reads is."""
    body = re.search(r"-----\n(.*?)\n-----END", COSIGN_KEY, re.DOTALL)
    assert body is not None
    box = json.loads(base64.b64decode(body[1]))
    box["kdf"]["params"]["N"] = 2**30
    text = f"-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n{base64.b64encode(json.dumps(box).encode()).decode()}\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----"
    with pytest.raises(UsageError, match="not known here"):
        keys.read_private(text.encode(), "pw", where="key")


def test_a_private_key_is_no_public_one(tmp_path: Path) -> None:
    """Whoever gives it by mistake is told, before it spreads."""
    (tmp_path / "key").write_bytes(pem(KEY.key))
    with pytest.raises(UsageError, match="that is a private key"):
        keys.checking_key("key", {}, tmp_path)


@pytest.mark.parametrize(
    ("reference", "says"), [("none.key", "No such file"), ("env://NONE", "NONE is not set"), ("awskms://alias/key", "not read from awskms")]
)
def test_where_no_key_is(tmp_path: Path, reference: str, says: str) -> None:
    for read in (keys.signing_key, keys.checking_key):
        with pytest.raises(UsageError, match=says):
            read(reference, {}, tmp_path)


def test_a_key_is_never_shown() -> None:
    assert repr(KEY) == "PrivateKey()"
    assert repr(KEY.public) == "PublicKey()"
