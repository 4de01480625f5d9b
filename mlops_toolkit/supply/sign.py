"""Signatures where cosign looks for them: under the tags `sha256-<hex>.sig` and `.att`, one layer each, beside those of others.

A signature is over a payload that names the image by digest ("simple signing"); an attestation is a signed statement. cosign 3 looks for
bundles among the referrers first (see attach): both are written, and every reader finds its own.
"""

from __future__ import annotations

import base64
import io
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.oci.documents import CONFIG, Descriptor, Manifest, digest_of
from mlops_toolkit.oci.registry import Registry
from mlops_toolkit.supply import words
from mlops_toolkit.supply.envelope import parsed
from mlops_toolkit.supply.facts import Signature
from mlops_toolkit.supply.keys import PrivateKey, PublicKey, decoded

TRIES = 5
MOST_LAYERS = 200  # of a tag with signatures: whoever may write there may add any number
KIND = "cosign container image signature"


def payload(name: str, digest: str) -> bytes:
    """What is signed, byte for byte as cosign writes it. name: host/repository."""
    document = {
        "critical": {"identity": {"docker-reference": name}, "image": {"docker-manifest-digest": digest}, "type": KIND},
        "optional": None,
    }
    return json.dumps(document, separators=(",", ":")).encode()


def sign(registry: Registry, digest: str, key: PrivateKey, *, sleep: Callable[[float], None] = time.sleep) -> bool:
    """Sign an image by its digest; False where this key's signature is there already."""
    body = payload(registry.name, digest)
    layer = Descriptor.of(words.SIMPLE_SIGNING, body)

    def same(other: Descriptor) -> bool:
        return other.digest == layer.digest and checked(other, body, key.public)

    layer = replace(layer, annotations={words.SIGNATURE: base64.b64encode(key.sign(body)).decode()})
    return _append(registry, words.tag_of(digest, "sig"), layer, body, same, sleep)


def attest(registry: Registry, digest: str, envelope: bytes, predicate_type: str, *, sleep: Callable[[float], None] = time.sleep) -> bool:
    """Put a signed statement about an image under its `.att` tag; False where it is there already."""
    layer = Descriptor.of(words.DSSE, envelope, annotations={words.SIGNATURE: "", words.PREDICATE: predicate_type})
    return _append(registry, words.tag_of(digest, "att"), layer, envelope, lambda other: other.digest == layer.digest, sleep)


def checked(layer: Descriptor, body: bytes, key: PublicKey) -> bool:
    """Whether the annotation of a layer is the key's signature of its bytes."""
    try:
        return key.verifies(decoded(layer.annotations.get(words.SIGNATURE)), body)
    except ValueError:
        return False


def _append(
    registry: Registry, tag: str, layer: Descriptor, body: bytes, same: Callable[[Descriptor], bool], sleep: Callable[[float], None]
) -> bool:
    """Read, add, write, and see that it stayed: others may sign at the same moment."""
    sent = False
    for attempt in range(TRIES):
        before = layers(registry, tag)
        if any(same(other) for other in before):
            return sent
        if attempt:
            sleep(0.2 * 2**attempt)
            before = layers(registry, tag)
            if any(same(other) for other in before):
                return sent
        registry.push_blob(layer.digest, layer.size, lambda: io.BytesIO(body))
        after = (*before, layer)
        config = _config(after)
        registry.push_blob(digest_of(config), len(config), lambda config=config: io.BytesIO(config))  # type: ignore[misc]
        registry.push_manifest(tag, Manifest(Descriptor.of(CONFIG, config), after).to_bytes())
        sent = True
    hint = "another job signs the same image all the time; let only one publish it"
    raise EnvironmentFailure("signature-lost", f"what was written to {registry.name}:{tag} did not stay there", hint=hint)


def layers(registry: Registry, tag: str) -> tuple[Descriptor, ...]:
    """What lies under a tag of signatures; nothing where there is no such tag. `image-unreadable` where it is something else."""
    found = registry.pull_manifest(tag)
    if found is None:
        return ()
    held = Manifest.read(found.content, found.media_type).layers
    if len(held) > MOST_LAYERS:
        raise EnvironmentFailure("image-unreadable", f"{registry.name}:{tag} holds more than {MOST_LAYERS} signatures")
    return held


def _config(after: tuple[Descriptor, ...]) -> bytes:
    """The configuration that an image manifest must have, as cosign writes it: it configures nothing."""
    document: Mapping[str, Any] = {
        "architecture": "",
        "created": "0001-01-01T00:00:00Z",
        "history": [{"created": "0001-01-01T00:00:00Z"} for _ in after],
        "os": "",
        "rootfs": {"type": "layers", "diff_ids": [layer.digest for layer in after]},
        "config": {},
    }
    return json.dumps(document, separators=(",", ":")).encode()


def signatures(registry: Registry, digest: str, key: PublicKey | None) -> tuple[tuple[Signature, ...], tuple[tuple[str, str], ...]]:
    """The signatures under an image's `.sig` tag, and what there is none: (place, why). key: None checks nothing."""
    tag = words.tag_of(digest, "sig")
    try:
        held = layers(registry, tag)
    except EnvironmentFailure as error:
        if error.name not in ("image-unreadable", "image-damaged"):
            raise
        return (), ((tag, error.message),)
    found, spoiled = [], []
    for number, layer in enumerate(held, 1):
        place = f"{tag} #{number}"
        body = read_blob(registry, layer)
        if isinstance(body, str):
            spoiled.append((place, body))
            continue
        try:
            found.append(_signature(place, layer, body, digest, key))
        except ValueError as error:
            spoiled.append((place, str(error)))
    return tuple(found), tuple(spoiled)


def _signature(place: str, layer: Descriptor, body: bytes, digest: str, key: PublicKey | None) -> Signature:
    if key is not None and not checked(layer, body, key):
        return Signature(place, "wrong")
    document = parsed(body)  # only what the key signed is read where there is one
    critical = document.get("critical") if isinstance(document, dict) else None
    image = critical.get("image") if isinstance(critical, dict) else None
    if not isinstance(critical, dict) or not isinstance(image, dict) or critical.get("type") != KIND:
        raise ValueError("not the payload of a signature")
    identity = critical.get("identity")
    reference = identity.get("docker-reference") if isinstance(identity, dict) else ""
    reference = reference if isinstance(reference, str) else ""
    if image.get("docker-manifest-digest") != digest:
        return Signature(place, "another", reference)
    return Signature(place, "unchecked" if key is None else "ok", reference)


def read_blob(registry: Registry, layer: Descriptor) -> bytes | str:
    """A small blob, whole and verified; where it cannot be had, why."""
    if layer.size > words.MOST:
        return f"larger than {words.MOST / 1e6:.0f} MB"
    try:
        body = registry.read_blob(layer.digest, words.MOST)
    except EnvironmentFailure as error:
        if error.name != "image-damaged":
            raise
        return error.message
    return "not in the registry" if body is None else body
