"""What is asked of an image, and what became of it: the two values between whoever publishes and whoever builds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mlops_toolkit.oci.reference import Reference

BASE = "docker.io/library/python:3.12-slim"  # where nothing else is said, nor the model's own Python known
PORT = 8080


def default_base(python: str) -> str:
    """An official slim Python of the version that trained the model (`3.11.7`), so that the packages it was saved with are there for it."""
    match = re.match(r"3\.(\d{1,2})(\.|$)", python)
    return f"docker.io/library/python:3.{match[1]}-slim" if match and int(match[1]) >= 10 else BASE


@dataclass(frozen=True)
class Wanted:
    """An image to be.

    model        the folder that `mlops.save` wrote
    name         what the model is called: it will lie in /models/NAME
    repository   where it goes; tag and digest of it mean nothing here
    base         the image that it stands on
    cache        a folder for what is built and brought, which may be emptied at any time
    platforms    `linux/amd64`, …
    packages     further Python packages, each `name==version`
    annotations  what is written on the image, for people and for `mlops verify`
    documents    small files that lie in the image beside the model: path in the image -> content
    epoch        seconds since 1970 that stand for "made" (SOURCE_DATE_EPOCH, the commit's time)
    python       `3.12` where the base does not show it
    mirrors      registry (or registry/path) -> where it is asked for instead
    port         where the server listens
    """

    model: Path
    name: str
    repository: Reference
    base: Reference
    cache: Path
    platforms: tuple[str, ...] = ("linux/amd64",)
    packages: tuple[str, ...] = ()
    annotations: Mapping[str, str] = field(default_factory=dict)
    documents: Mapping[str, bytes] = field(default_factory=dict)
    epoch: int = 0
    python: str | None = None
    mirrors: Mapping[str, str] = field(default_factory=dict)
    port: int = PORT


@dataclass(frozen=True)
class Package:
    """A Python package that is in the image. sha256 (hex) of its wheel, licence as it says itself; None where it does not."""

    name: str
    version: str
    sha256: str | None = None
    licence: str | None = None


@dataclass(frozen=True)
class Sent:
    """A layer of the image. what it holds; sent: whether its bytes had to be sent."""

    what: str
    digest: str
    size: int
    sent: bool


@dataclass(frozen=True)
class Pushed:
    """An image that lies in its registry, whole, under its digest; no tag points at it yet.

    digest      of the index (of the manifest, for an artifact)
    content     the bytes that have that digest
    media_type  of them
    platforms   platform -> digest of its manifest
    layers      of all platforms, each once, the model's last
    sent_bytes  what was sent for it
    packages    what was installed for the model
    base        the base by digest (`…@sha256:…`), None for an artifact
    seconds     how long it took
    """

    digest: str
    content: bytes
    media_type: str
    platforms: Mapping[str, str]
    layers: tuple[Sent, ...]
    sent_bytes: int
    packages: tuple[Package, ...] = ()
    base: Reference | None = None
    seconds: float = 0.0
