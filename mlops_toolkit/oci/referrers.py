"""What refers to an image, by the distribution specification 1.1: the registry's own list, or an index under the tag `sha256-…` where it has none.

The index is a list that several may write at once, and a registry has no exchange under a condition: it is read, merged, written and, after a
moment in which others have written theirs, read again.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.oci.documents import INDEX, INDEXES, Descriptor, Index, Manifest

if TYPE_CHECKING:
    from mlops_toolkit.oci.registry import Registry

TRIES, SETTLE_SECONDS = 8, 0.25
NO_LIST = (400, 404, 405, 501)  # what registries answer that have no such list
MOST_PAGES = 100


def of(registry: Registry, digest: str, artifact_type: str | None = None) -> list[Descriptor]:
    """The descriptors of what refers to an image, each with its `artifact_type` and annotations."""
    found = _listed(registry, digest)
    if found is None:
        found = _kept(registry, digest)
    return [entry for entry in found if artifact_type in (None, entry.artifact_type)]


def add(registry: Registry, contents: Sequence[bytes], media_type: str) -> list[Descriptor]:
    """Put manifests with one and the same subject and see to it that they are found; what is there is not sent again."""
    read = [Manifest.read(content, media_type) for content in contents]
    subjects = {manifest.subject.digest for manifest in read if manifest.subject}
    if len(subjects) != 1 or not all(manifest.subject for manifest in read):
        raise EnvironmentFailure("image-unreadable", "what is to refer to an image names none, or several")
    subject, entries, unlisted = subjects.pop(), [], list[Descriptor]()
    for content, manifest in zip(contents, read, strict=True):
        kind = manifest.artifact_type or manifest.config.media_type
        entry = replace(Descriptor.of(media_type, content, annotations=manifest.annotations), artifact_type=kind)
        entries.append(entry)
        if registry.manifest_digest(entry.digest) is not None or not registry.put_manifest(entry.digest, content, media_type):
            unlisted.append(entry)
    for _ in range(TRIES):
        if not unlisted or _listed(registry, subject) is not None:
            return entries  # the registry keeps the list
        began, kept = time.monotonic(), _kept(registry, subject)
        known = {entry.digest for entry in kept}
        absent = [entry for entry in unlisted if entry.digest not in known]
        if not absent:
            return entries
        registry.push_manifest(_tag(subject), Index((*kept, *absent)).to_bytes(), INDEX)
        # as long as whoever read before we wrote may take to write, by what it took us
        pause = max(SETTLE_SECONDS, 3 * (time.monotonic() - began))
        registry.pause(pause * random.uniform(1, 2))  # noqa: S311 -- spreads writers, guards nothing
    raise EnvironmentFailure(
        "registry-unreachable",
        f"others keep on writing what refers to {subject[:19]} at {registry.name}",
        hint="run it again when they are done",
    )


def _listed(registry: Registry, digest: str) -> list[Descriptor] | None:
    """What the registry's own list says; None where it has none."""
    found: list[Descriptor] = []
    path, seen = f"referrers/{digest}", set[str]()
    while path and path not in seen and len(seen) < MOST_PAGES:
        seen.add(path)
        answer, body = registry.whole(path, (200, *NO_LIST), {"Accept": INDEX})
        if answer.status_code != 200 or answer.headers.get("Content-Type", "").partition(";")[0].strip() != INDEX:
            return None
        found.extend(Index.read(body, INDEX).manifests)
        path = registry.onward(answer)
    return found


def _kept(registry: Registry, digest: str) -> list[Descriptor]:
    """What the index under the image's own tag says; what lies there and is no index says nothing."""
    stored = registry.pull_manifest(_tag(digest), INDEXES)
    if stored is None or stored.media_type not in INDEXES:
        return []
    return list(Index.read(stored.content, stored.media_type).manifests)


def _tag(digest: str) -> str:
    """`sha256-…` (at most 128 characters, as the specification cuts it)."""
    algorithm, _, value = digest.partition(":")
    return f"{algorithm[:32]}-{value[:64]}"
