"""The images of a name's releases on a Docker host: had by digest, and kept under a tag of ours, so that going back asks no registry."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.rollout.docker_spec import names
from mlops_toolkit.rollout.driver import ReleaseFailure
from mlops_toolkit.rollout.engine_api import Engine, EngineRefusal
from mlops_toolkit.rollout.order import Release

_GONE = ("manifest unknown", "not found", "does not exist")
_DENIED = ("unauthorized", "denied", "no basic auth", "authentication required", "forbidden")
_UNREACHED = ("timeout", "refused", "no such host", "no route", "unreachable", "eof", "reset", "i/o", "tls", "x509", "toomanyrequests")


def find(engine: Engine, name: str, release: Release) -> Mapping[str, Any] | None:
    """The image as inspected: under its own name, else under our tag; None where it is not here."""
    digest = release.image.partition("@")[2]
    for reference in (release.image, f"{names(name)['image']}:{release.id}"):
        found: Mapping[str, Any] | None = engine.call("GET", f"/images/{reference}/json", fine=(404,))
        if found is not None and (digest in json.dumps(found.get("RepoDigests") or []) or not found.get("RepoDigests")):
            return found
    return None


def bring(engine: Engine, name: str, release: Release, login: tuple[str, str] | None = None) -> None:
    """Have it here. ReleaseFailure `image-gone`, `image-denied`; EnvironmentFailure `registry-unreachable`, `disk-full`."""
    found = find(engine, name, release)
    if found is None:
        try:
            engine.pull(release.image, login)
        except EngineRefusal as error:
            raise _refused(release, error) from error
        found = find(engine, name, release)
    if found is None:
        raise EnvironmentFailure("registry-unreachable", "Docker says that it has pulled the image, and has not", where=release.image)
    tag = f"{names(name)['image']}:{release.id}"
    if tag not in (found.get("RepoTags") or []):
        engine.call("POST", f"/images/{found['Id']}/tag", query={"repo": names(name)["image"], "tag": release.id})


def _refused(release: Release, error: EngineRefusal) -> ReleaseFailure | EnvironmentFailure:
    words = error.words.lower()
    if any(one in words for one in _DENIED):
        return ReleaseFailure(
            "image-denied", f"the registry does not give {release.image}: {error.words}", "log in to it where you deploy from"
        )
    if any(one in words for one in _UNREACHED) or not any(one in words for one in _GONE):
        return EnvironmentFailure("registry-unreachable", f"the image cannot be pulled: {error.words}", where=release.image)
    return ReleaseFailure("image-gone", f"the registry does not have {release.image}: {error.words}", "publish it again")


def forget(engine: Engine, name: str, keep: Collection[str]) -> None:
    """Our tags of other releases, and what they named; an image that a container needs stays."""
    told = json.dumps({"reference": [names(name)["image"]]})
    for image in engine.call("GET", "/images/json", query={"filters": told}):
        for tag in image.get("RepoTags") or []:
            mine, _, release = tag.rpartition(":")
            if mine != names(name)["image"] or release in keep:
                continue
            engine.call("DELETE", f"/images/{tag}", fine=(404, 409))
            for reference in image.get("RepoDigests") or []:
                if reference.partition("@sha256:")[2].startswith(release):
                    engine.call("DELETE", f"/images/{reference}", fine=(404, 409))
