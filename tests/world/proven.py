"""A small published image in a registry, with all that is attached to one: made as `publish` makes it, without a base or packages."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from mlops_toolkit.image.wanted import Package
from mlops_toolkit.models.digest import File, of_files
from mlops_toolkit.oci.auth import Login
from mlops_toolkit.oci.documents import CONFIG, INDEX, LAYER_GZIP, MANIFEST, Config, Descriptor, Index, Manifest, Platform, digest_of
from mlops_toolkit.oci.registry import Registry
from mlops_toolkit.records.result import Check, Result, Side
from mlops_toolkit.records.run import Data, Evaluation, GateOutcome, MetricValue, Model, Run
from mlops_toolkit.supply import provenance, sbom
from mlops_toolkit.supply.keys import PrivateKey
from mlops_toolkit.supply.prove import Proof, prove

COMMIT, RUN = "a1b2c3d4" * 5, "20261124-092057-3f9a1c"
FILES = {"mlops-model.json": b'{"schema": 1}\n', "model.onnx": b"weights " * 2000, "bin/convert": b"#!/bin/sh\n"}
BASE = ("docker.io/library/python:3.12-slim", f"sha256:{'b' * 64}")
KEY, OTHER = (PrivateKey(ec.derive_private_key(secret, ec.SECP256R1())) for secret in (7, 8))
PASSED = provenance.Decision("passed")
BUILDER = provenance.Builder(
    "https://github.com/owner/spam/.github/workflows/release.yml@refs/tags/v1.2.3",
    "https://github.com/owner/spam/actions/runs/7",
    "2026-11-24T10:00:00Z",
    "2026-11-24T10:01:00Z",
    "https://github.com/owner/spam",
)


def model_digest(files: Mapping[str, bytes] = FILES) -> str:
    listed = [File(path, len(content), hashlib.sha256(content).hexdigest(), path.startswith("bin/")) for path, content in files.items()]
    return of_files(listed, "folder").digest


def tar(files: Mapping[str, bytes]) -> bytes:
    """An archive of plain files; those in a folder `bin` may be executed."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, content in files.items():
            info = tarfile.TarInfo(path)
            info.size, info.mode = len(content), 0o755 if "/bin/" in path else 0o644
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def blob(registry: Registry, content: bytes) -> bytes:
    registry.push_blob(digest_of(content), len(content), lambda: io.BytesIO(content))
    return content


def layer(registry: Registry, files: Mapping[str, bytes]) -> tuple[Descriptor, str]:
    """(descriptor, digest of what it unpacks to) of a layer that is pushed."""
    raw = tar(files)
    return Descriptor.of(LAYER_GZIP, blob(registry, gzip.compress(raw, mtime=0))), digest_of(raw)


def image(
    registry: Registry, marks: Mapping[str, str], files: Mapping[str, bytes] = FILES, above: Mapping[str, bytes] | None = None
) -> tuple[Descriptor, tuple[Descriptor, ...]]:
    """(index, manifests) of an image for two platforms, pushed. above: a layer on top of the model's, as Docker's builds may have."""
    entries = []
    for architecture in ("amd64", "arm64"):
        base = layer(registry, {"etc/platform": architecture.encode()})
        model = layer(registry, {f"models/spam/{path}": content for path, content in files.items()})
        layers = [base, model, *([layer(registry, above)] if above else [])]
        platform = Platform("linux", architecture)
        config = blob(registry, Config(platform, {}, tuple(diff for _, diff in layers)).to_bytes())
        raw = Manifest(Descriptor.of(CONFIG, config), tuple(one for one, _ in layers), marks).to_bytes()
        registry.push_manifest(digest_of(raw), raw)
        entries.append(Descriptor(MANIFEST, digest_of(raw), len(raw), platform=platform))
    raw = Index(tuple(entries), marks).to_bytes()
    registry.push_manifest(digest_of(raw), raw, INDEX)
    return Descriptor.of(INDEX, raw), tuple(entries)


def run(**more: Any) -> Run:
    """A recorded run that passed its gate."""
    made: dict[str, Any] = {
        "id": RUN,
        "model": "spam",
        "commit": COMMIT,
        "tree": "c" * 40,
        "branch": "main",
        "started": "2026-11-24T09:20:57Z",
        "ended": "2026-11-24T09:30:00Z",
        "status": "succeeded",
        "seed": 1,
        "trained": Model(model_digest(), sum(map(len, FILES.values())), "model", "folder"),
        "evaluations": {"": Evaluation(data=Data(f"sha256:{'d' * 64}", 2000, "classification"))},
        "metrics": {"accuracy": MetricValue(0.9722, 2000, "accuracy", "higher", 0.0037)},
        "gate": GateOutcome("passed", "pass", sentence="accuracy +0.2 pp (likely −0.1 to +0.5; allowed −1.0)"),
    }
    return Run(**{**made, **more})


def result(checks: Sequence[Check] = ()) -> Result:
    first = Check("accuracy", baseline=0.97, head=0.9722, change=0.0022, low=-0.001, high=0.005, n=2000, margin=0.01, verdict="pass")
    return Result("spam", "pass", "passed", "accuracy +0.2 pp", Side("b" * 40, "20261101-000000-aaaaaa"), checks=tuple(checks) or (first,))


def bill(name: str, digest: str) -> bytes:
    packages = [Package("numpy", "2.4.6", "e" * 64, "BSD-3-Clause"), Package("onnxruntime", "1.32.0", "f" * 64, "MIT License")]
    model = sbom.Model("spam", RUN, model_digest(), "onnx", {"model.onnx": hashlib.sha256(FILES["model.onnx"]).hexdigest()})
    return sbom.sbom(digest, name, RUN, packages, model, BASE, 1_764_000_000)


@dataclass
class Proven:
    """The image, and what proves it. `tag` points at it."""

    registry: Registry
    subject: Descriptor
    platforms: tuple[Descriptor, ...]
    sbom: bytes = field(repr=False)
    documents: list[bytes] = field(repr=False)
    proof: Proof | None = None
    tag: str = "v1.2.3"

    def prove(self, key: PrivateKey | None = KEY) -> Proof:
        others = [one.digest for one in self.platforms]
        return prove(self.registry, self.subject, sbom=self.sbom, documents=self.documents, key=key, also_signed=others)


def published(
    host: str,
    repository: str,
    *,
    login: Login | None = None,
    key: PrivateKey | None = KEY,
    decision: provenance.Decision = PASSED,
    prove_it: bool = True,
    marks: Mapping[str, str] | None = None,
    sleep: Callable[[float], None] = time.sleep,
    **more: Any,
) -> Proven:
    """Push it, prove it, tag it. marks: annotations beside the usual ones; more: what else of the run's record."""
    registry = Registry(host, repository, login, sleep=sleep)
    recorded = run(**more)
    said = {
        "vnd.mlops.model.digest": recorded.trained.digest if recorded.trained else "",
        "vnd.mlops.run": recorded.id,
        "vnd.mlops.verdict": decision.word,
        "org.opencontainers.image.revision": recorded.commit or "",
    }
    subject, platforms = image(registry, {**said, **(marks or {})})
    made = bill(registry.name, subject.digest)
    told = provenance.Published(registry.name, subject.digest, "v1.2.3", base=BASE, sbom=digest_of(made))
    documents = [provenance.statement(recorded, told, BUILDER), provenance.verdict(recorded, recorded.gate, result(), decision, told)]
    found = Proven(registry, subject, platforms, made, documents)
    if prove_it:
        found.proof = found.prove(key)
    stored = registry.pull_manifest(subject.digest)
    assert stored is not None
    registry.push_manifest(found.tag, stored.content, INDEX)
    return found
