"""Signing keys: ECDSA on P-256, as `cosign generate-key-pair` makes them, or plain PKCS #8; signatures that are the same each time."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_toolkit.errors import UsageError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec

PASSWORD = "COSIGN_PASSWORD"  # noqa: S105 -- the name of the variable
MOST = 100_000  # bytes of a file with a key
_ENCRYPTED = re.compile(
    rb"-----BEGIN ENCRYPTED (SIGSTORE|COSIGN) PRIVATE KEY-----\s*([A-Za-z0-9+/=\s]+?)\s*-----END ENCRYPTED \1 PRIVATE KEY-----"
)
_COSTS = ((2**15, 8, 1), (2**16, 8, 1), (2**17, 8, 1))  # scrypt's N, r, p: those that cosign's library reads, and no costlier ones
MADE = "`cosign generate-key-pair` makes one, and so does `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256`"


@dataclass(frozen=True)
class PublicKey:
    """What a signature is checked with."""

    key: ec.EllipticCurvePublicKey = field(repr=False)

    @property
    def hint(self) -> str:
        """What a bundle names the key by: its SHA-256 (of the DER form), in base64."""
        return base64.b64encode(hashlib.sha256(self._der()).digest()).decode()

    @property
    def fingerprint(self) -> str:
        """What a person compares: SHA256 of the DER form, hexadecimal."""
        return hashlib.sha256(self._der()).hexdigest()

    @property
    def pem(self) -> bytes:
        from cryptography.hazmat.primitives import serialization as forms

        return self.key.public_bytes(forms.Encoding.PEM, forms.PublicFormat.SubjectPublicKeyInfo)

    def _der(self) -> bytes:
        from cryptography.hazmat.primitives import serialization as forms

        return self.key.public_bytes(forms.Encoding.DER, forms.PublicFormat.SubjectPublicKeyInfo)

    def verifies(self, signature: bytes, data: bytes) -> bool:
        """Whether it is the signature of this key (ECDSA over SHA-256, DER) under this data."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec

        try:
            self.key.verify(signature, data, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True)
class PrivateKey:
    """What signs; never shown."""

    key: ec.EllipticCurvePrivateKey = field(repr=False)

    @property
    def public(self) -> PublicKey:
        return PublicKey(self.key.public_key())

    def sign(self, data: bytes) -> bytes:
        """ECDSA over SHA-256, DER. The same data gives the same signature (RFC 6979) where OpenSSL can (3.2 and newer)."""
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec

        try:
            return self.key.sign(data, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
        except UnsupportedAlgorithm:
            return self.key.sign(data, ec.ECDSA(hashes.SHA256()))


def signing_key(reference: str, env: Mapping[str, str], folder: Path) -> PrivateKey:
    """The key that `publish.sign` names: a file, or `env://NAME`; its password is $COSIGN_PASSWORD. UsageError `bad-key`."""
    text, where = _text(reference, env, folder)
    return read_private(text, env.get(PASSWORD), where=where)


def checking_key(reference: str, env: Mapping[str, str], folder: Path) -> PublicKey:
    """The public key in a file or in `env://NAME`. UsageError `bad-key`."""
    text, where = _text(reference, env, folder)
    return read_public(text, where=where)


def _text(reference: str, env: Mapping[str, str], folder: Path) -> tuple[bytes, str]:
    if reference.startswith("env://"):
        name = reference.removeprefix("env://")
        if not env.get(name):
            hint = "give the step the secret as an environment variable of that name"
            raise UsageError("bad-key", f"the variable {name} is not set", where="the key", hint=hint)
        return env[name].encode(), f"${name}"
    if "://" in reference:
        hint = "name a file, or a variable as env://NAME; with a key in a KMS, sign the digest by `cosign sign --key` in a step of its own"
        raise UsageError("bad-key", f"keys are not read from {reference.partition('://')[0]}://", where="the key", hint=hint)
    try:
        with (folder / reference).open("rb") as file:
            return file.read(MOST), reference
    except OSError as error:
        raise UsageError("bad-key", f"the key cannot be read: {error.strerror}", where=reference, hint=MADE) from error


def read_private(text: bytes, password: str | None, *, where: str) -> PrivateKey:
    """A private key: cosign's encrypted form, PKCS #8 (encrypted or not) or SEC 1, in PEM. UsageError `bad-key`, `bad-key-password`."""
    from cryptography.hazmat.primitives import serialization as forms
    from cryptography.hazmat.primitives.asymmetric import ec

    try:
        found = _ENCRYPTED.search(text)
        if found:
            key: Any = forms.load_der_private_key(_opened(found[2], password, where), None)
        else:
            locked = b"BEGIN ENCRYPTED PRIVATE KEY" in text or b"Proc-Type: 4,ENCRYPTED" in text
            key = forms.load_pem_private_key(text, _needed(password, where).encode() if locked else None)
    except UsageError:
        raise
    except Exception as error:  # noqa: BLE001 (the libraries raise many kinds, and some name what they read)
        if b"ENCRYPTED PRIVATE KEY" in text or b"4,ENCRYPTED" in text:
            raise _wrong_password(where) from None
        raise UsageError("bad-key", f"no private key can be read there ({type(error).__name__})", where=where, hint=MADE) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise UsageError("bad-key", f"the key is not of the curve P-256 but {_kind(key)}", where=where, hint=MADE)
    return PrivateKey(key)


def _opened(body: bytes, password: str | None, where: str) -> bytes:
    """What cosign's encrypted form holds: scrypt makes a key of the password, and NaCl's secret box is opened with it."""
    from nacl.exceptions import CryptoError
    from nacl.secret import SecretBox

    box = json.loads(base64.b64decode(b"".join(body.split()), validate=True))
    kdf, cipher = box["kdf"], box["cipher"]
    cost = tuple(kdf["params"][name] for name in ("N", "r", "p"))
    if kdf["name"] != "scrypt" or cipher["name"] != "nacl/secretbox" or cost not in _COSTS:
        raise UsageError("bad-key", "the key is encrypted in a way that is not known here", where=where, hint=MADE)
    n, r, p = cost
    salt, nonce, sealed = (base64.b64decode(one, validate=True) for one in (kdf["salt"], cipher["nonce"], box["ciphertext"]))
    secret = hashlib.scrypt(_needed(password, where).encode(), salt=salt, n=n, r=r, p=p, maxmem=256 * n * r, dklen=32)
    try:
        return SecretBox(secret).decrypt(sealed, nonce)
    except CryptoError:
        raise _wrong_password(where) from None


def _needed(password: str | None, where: str) -> str:
    if password is None:
        hint = f"give the step the secret as the environment variable {PASSWORD}"
        raise UsageError("bad-key-password", f"the key is encrypted, and {PASSWORD} is not set", where=where, hint=hint)
    return password


def _wrong_password(where: str) -> UsageError:
    return UsageError("bad-key-password", f"the key cannot be opened with the password in {PASSWORD}", where=where)


def read_public(text: bytes, *, where: str) -> PublicKey:
    """A public key in PEM, as cosign.pub. UsageError `bad-key`."""
    from cryptography.hazmat.primitives import serialization as forms
    from cryptography.hazmat.primitives.asymmetric import ec

    if b"PRIVATE KEY" in text:
        hint = "name the public one (cosign.pub); `cosign public-key --key cosign.key` prints it"
        raise UsageError("bad-key", "that is a private key: nobody who checks a signature needs it", where=where, hint=hint)
    try:
        key = forms.load_pem_public_key(text)
    except Exception as error:  # noqa: BLE001 (as above)
        hint = "cosign.pub, or what `openssl pkey -pubout` prints"
        raise UsageError("bad-key", f"no public key can be read there ({type(error).__name__})", where=where, hint=hint) from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise UsageError("bad-key", f"the key is not of the curve P-256 but {_kind(key)}", where=where, hint=MADE)
    return PublicKey(key)


def _kind(key: object) -> str:
    curve = getattr(key, "curve", None)
    name = getattr(curve, "name", None) or type(key).__name__.strip("_").removesuffix("PrivateKey").removesuffix("PublicKey")
    return f"a key of {name}"


def decoded(text: object) -> bytes:
    """Base64 in the one form that its bytes have; ValueError otherwise: a second spelling of a signature is a second document."""
    try:
        data = base64.b64decode(text if isinstance(text, str) else "-", validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("not base64") from error
    if base64.b64encode(data).decode() != text:
        raise ValueError("not base64 as it is written")
    return data
