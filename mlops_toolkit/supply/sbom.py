"""The bill of materials of a published image: the model, the packages that serve it, the image it stands on (CycloneDX 1.6, JSON).

Written by CycloneDX's own library, but for `modelCard`, which that does not know yet: it is put in as the specification has it.
"""

from __future__ import annotations

import datetime
import json
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from mlops_toolkit._version import __version__
from mlops_toolkit.oci.documents import canonical

if TYPE_CHECKING:
    from cyclonedx.model import HashType
    from cyclonedx.model.component import Component

MOST_FILES, MOST_METRICS, LONGEST = 1000, 200, 500
_SHA256 = re.compile(r"[0-9a-f]{64}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class Package(Protocol):
    """A Python package in the image, as whoever built it knows it. sha256: of its archive, hexadecimal."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def sha256(self) -> str | None: ...
    @property
    def licence(self) -> str | None: ...


@dataclass(frozen=True)
class Metric:
    """A number of the model's card, with its interval where it has one. slice: of which examples, None for all."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    slice: str | None = None


@dataclass(frozen=True)
class Model:
    """The model. digest: of the whole, as the run's record has it; format: how it is stored.

    files    path -> SHA-256 (hexadecimal) of each of its files
    task     classification, regression, …; inputs, outputs: each tensor in words
    facts    more, by name: run, commit, data digest
    """

    name: str
    version: str
    digest: str
    format: str
    files: Mapping[str, str] = field(default_factory=dict)
    task: str | None = None
    inputs: Sequence[str] = ()
    outputs: Sequence[str] = ()
    metrics: Sequence[Metric] = ()
    facts: Mapping[str, str] = field(default_factory=dict)


def sbom(
    subject: str, name: str, version: str, packages: Sequence[Package], model: Model, base: tuple[str, str] | None = None, epoch: int = 0
) -> bytes:
    """The document; the same arguments give the same bytes.

    subject: the image's digest, `sha256:…`; name: its repository; base: (reference, digest) of the image it stands on, None for an
    artifact; epoch: seconds since 1970 that stand for "made".
    """
    from cyclonedx.model import Property
    from cyclonedx.model.bom import Bom, BomMetaData
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.model.tool import ToolRepository
    from cyclonedx.output.json import JsonV1Dot6
    from packageurl import PackageURL

    hexadecimal = subject.partition(":")[2]
    short = name.rpartition("/")[2]
    root = Component(
        type=ComponentType.CONTAINER,
        name=_text(name),
        version=_text(version),
        bom_ref=subject,
        hashes=_hashes(hexadecimal),
        purl=PackageURL("oci", None, short, subject, {"repository_url": name}),
    )
    described = Component(
        type=ComponentType.MACHINE_LEARNING_MODEL,
        name=_text(model.name),
        version=_text(model.version),
        bom_ref=f"model:{model.digest}",
        properties=[
            Property(name=f"mlops:{key}", value=_text(value))
            for key, value in {**model.facts, "model-digest": model.digest, "format": model.format}.items()
        ],
        components=_files(model.files),
    )
    parts = [described]
    for one in sorted(set(packages), key=lambda one: (one.name, one.version, one.sha256 or "")):
        parts.append(_package(one, {part.bom_ref.value for part in parts}))
    if base is not None:
        reference, digest = base
        parts.append(
            Component(
                type=ComponentType.CONTAINER,
                name=_text(reference),
                version=digest,
                bom_ref=f"base:{digest}",
                hashes=_hashes(digest.partition(":")[2]),
            )
        )
    made = BomMetaData(
        timestamp=datetime.datetime.fromtimestamp(epoch, datetime.timezone.utc),
        component=root,
        tools=ToolRepository(components=[Component(name="mlops-actions", version=__version__, type=ComponentType.APPLICATION)]),
    )
    bom = Bom(components=parts, metadata=made, serial_number=uuid.UUID(int=0))
    bom.register_dependency(root, parts)
    document = json.loads(JsonV1Dot6(bom).output_as_string())
    for one in document["components"]:
        if one["type"] == "machine-learning-model":
            one["modelCard"] = _card(model)
    # The number stands for the content, so that two documents that say the same are one.
    document["serialNumber"] = uuid.uuid5(uuid.NAMESPACE_URL, canonical(document).decode()).urn
    return canonical(document)


def _package(one: Package, taken: set[str | None]) -> Component:
    """taken: what others are named; the same package comes in as many archives as there are platforms."""
    from cyclonedx.contrib.license.factories import LicenseFactory
    from cyclonedx.model.component import Component, ComponentType
    from packageurl import PackageURL

    purl = PackageURL("pypi", None, one.name, one.version)
    licence, named = _text(one.licence or ""), purl.to_string()
    return Component(
        type=ComponentType.LIBRARY,
        name=_text(one.name),
        version=_text(one.version),
        bom_ref=named if named not in taken else f"{named}#{one.sha256}",
        purl=purl,
        hashes=_hashes(one.sha256),
        licenses=[LicenseFactory().make_from_string(licence)] if licence else [],
    )


def _hashes(sha256: str | None) -> list[HashType]:
    from cyclonedx.model import HashAlgorithm, HashType

    return [HashType(alg=HashAlgorithm.SHA_256, content=sha256)] if sha256 and _SHA256.fullmatch(sha256) else []


def _files(files: Mapping[str, str]) -> list[Component]:
    from cyclonedx.model.component import Component, ComponentType

    return [
        Component(
            type=ComponentType.FILE,
            name=_text(path),
            bom_ref=f"file:{number}:{sha}",
            hashes=_hashes(sha),
        )
        for number, (path, sha) in enumerate(sorted(files.items())[:MOST_FILES])
        if _SHA256.fullmatch(sha)
    ]


def _card(model: Model) -> dict[str, Any]:
    """`modelCard` of the specification: what goes in and out, and how good it is."""
    parameters: dict[str, Any] = {}
    if model.task:
        parameters["task"] = _text(model.task)
    for key, tensors in (("inputs", model.inputs), ("outputs", model.outputs)):
        if tensors:
            parameters[key] = [{"format": _text(one)} for one in tensors[:MOST_METRICS]]
    made: dict[str, Any] = {"bom-ref": f"card:{model.digest}"}
    if parameters:
        made["modelParameters"] = parameters
    if model.metrics:
        made["quantitativeAnalysis"] = {"performanceMetrics": [_metric(one) for one in model.metrics[:MOST_METRICS]]}
    return made


def _metric(one: Metric) -> dict[str, Any]:
    made: dict[str, Any] = {"type": _text(one.name), "value": repr(float(one.value))}
    if one.slice is not None:
        made["slice"] = _text(one.slice)
    if one.low is not None and one.high is not None:
        made["confidenceInterval"] = {"lowerBound": repr(float(one.low)), "upperBound": repr(float(one.high))}
    return made


def _text(text: str) -> str:
    """One line that every reader of JSON takes."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text[:LONGEST])
