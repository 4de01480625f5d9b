"""From a base and our layers to the documents of an image: its configuration, its manifests, its index. Pure: the same in, the same bytes out."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlops_toolkit.image.base import Base, environment
from mlops_toolkit.image.runtime import PYTHONPATH
from mlops_toolkit.image.store import Layer
from mlops_toolkit.image.wanted import Wanted
from mlops_toolkit.oci.documents import CONFIG, INDEX, MANIFEST, Config, Descriptor, Index, Manifest

USER = "10001:10001"  # no account of any base image; a fixed number, so that volumes can be made readable for it
MODELS = "/models"
MOST_VALUE, MOST_ALL = 4096, 48_000  # bytes of an annotation, of all: registries refuse manifests of more than 4 MB, people sooner
BY = "mlops publish"
ABOUT = {
    "verdict": "vnd.mlops.verdict",
    "undecided": "vnd.mlops.undecided",
    "run": "vnd.mlops.run",
    "commit": "org.opencontainers.image.revision",
    "digest": "vnd.mlops.model.digest",
}
# Asked every ten seconds: a bare socket starts in a third of the time that urllib takes.
_PROBE = (
    "import os,socket;e=os.environ;s=socket.create_connection(('127.0.0.1',int(e.get('MLOPS_SERVE_PORT')or'{port}')),4)\n"
    "if e.get('MLOPS_SERVE_TLS_CERT'):import ssl;s=ssl._create_unverified_context().wrap_socket(s)\n"
    "s.sendall(b'GET /v2/health/ready HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n')\n"
    "raise SystemExit(b' 200 ' not in s.recv(64))"
)


@dataclass(frozen=True)
class Document:
    """Bytes that go to the registry, and how they are spoken of."""

    descriptor: Descriptor
    content: bytes


@dataclass(frozen=True)
class Image:
    """One platform's: its configuration and its manifest."""

    config: Document
    manifest: Document


def image(wanted: Wanted, base: Base, layers: Sequence[Layer], marks: Mapping[str, str], manifest: str) -> Image:
    """layers: ours, lowest first, the model's last. marks: annotations, which are labels too. manifest: the sha256 of the model's own."""
    created = moment(wanted.epoch)
    steps = [{"created": created, "created_by": f"{BY}: {layer.what}"} for layer in layers]
    config = Config(
        base.config.platform,
        run(wanted, base, marks, manifest),
        (*base.config.diff_ids, *(layer.diff_id for layer in layers)),
        (*base.config.history, *steps),
        created,
    )
    raw = config.to_bytes()
    described = Descriptor.of(CONFIG, raw)
    ours = tuple(Descriptor(layer.media_type, layer.digest, layer.size) for layer in layers)
    document = Manifest(described, (*base.layers, *ours), marks).to_bytes()
    return Image(Document(described, raw), Document(Descriptor.of(MANIFEST, document), document))


def index(images: Sequence[tuple[Base, Image]], marks: Mapping[str, str]) -> Document:
    """All platforms under one digest."""
    entries = tuple(
        Descriptor(MANIFEST, image.manifest.descriptor.digest, image.manifest.descriptor.size, platform=base.config.platform)
        for base, image in sorted(images, key=lambda one: str(one[0].config.platform))
    )
    raw = Index(entries, marks).to_bytes()
    return Document(Descriptor.of(INDEX, raw), raw)


def run(wanted: Wanted, base: Base, marks: Mapping[str, str], manifest: str) -> dict[str, Any]:
    """How a container of it runs: as nobody, from files that are only read, without a shell."""
    env = {
        **environment(base.config),
        "PYTHONPATH": PYTHONPATH,
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONSAFEPATH": "1",
        "HOME": "/tmp",  # noqa: S108 -- for libraries that must write somewhere: the one folder a read-only container may be given
        "MLOPS_SERVE_PORT": str(wanted.port),
        "MLOPS_ABOUT": about(marks, manifest),
    }
    labels = base.config.config.get("Labels")
    return {
        "User": USER,
        "WorkingDir": "/",
        "Env": [f"{name}={value}" for name, value in env.items()],
        "Entrypoint": [base.python.path, "-m", "mlops_toolkit.serve"],
        "Cmd": [MODELS],
        "ExposedPorts": {f"{wanted.port}/tcp": {}},
        "StopSignal": "SIGTERM",
        "Labels": {**(labels if isinstance(labels, dict) else {}), **marks},
        "Healthcheck": {
            "Test": ["CMD", base.python.path, "-I", "-S", "-c", _PROBE.format(port=wanted.port)],
            "Interval": 10_000_000_000,
            "Timeout": 5_000_000_000,
            "StartPeriod": 120_000_000_000,
            "Retries": 3,
        },
    }


def about(marks: Mapping[str, str], manifest: str) -> str:
    """What the server in it tells of the model (see serve.watched_about): a container cannot see the labels of its image."""
    told = {name: marks[mark][:200] for name, mark in ABOUT.items() if mark in marks}
    return json.dumps({**told, "manifest": manifest}, separators=(",", ":"))


def marks_of(wanted: Wanted, base: Base) -> dict[str, str]:
    """What is written on the image: ours, then what the publisher says, bounded; names in order."""
    own = {
        "org.opencontainers.image.created": moment(wanted.epoch),
        "org.opencontainers.image.title": wanted.name,
    }
    if base.reference is not None:
        own["org.opencontainers.image.base.name"] = str(base.reference.at(tag=base.reference.tag))
        own["org.opencontainers.image.base.digest"] = base.reference.digest or ""
    return bounded({**own, **wanted.annotations})


def bounded(marks: Mapping[str, str]) -> dict[str, str]:
    """No value longer than 4,096 bytes, not more than 48,000 in all: what is cut ends with `…`, what has no room is left out."""
    found, left = {}, MOST_ALL
    for name, value in sorted(marks.items()):
        raw = "".join(letter if letter.isprintable() or letter == "\n" else " " for letter in value).encode("utf-8", "replace")
        if len(raw) > MOST_VALUE:
            raw = raw[: MOST_VALUE - 3].decode("utf-8", "ignore").encode() + "…".encode()
        left -= len(name.encode()) + len(raw)
        if left < 0:
            break
        found[name] = raw.decode()
    return found


def moment(epoch: int) -> str:
    """Seconds since 1970 as RFC 3339 says them, in UTC."""
    return dt.datetime.fromtimestamp(epoch, dt.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
