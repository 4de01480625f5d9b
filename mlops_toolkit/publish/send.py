"""Bringing an image to where it is pulled from: made or found there, looked at, proven, and only then given its tags.

Everything goes up by digest; the tags come last, the release's own first among them. Killed at any moment, each tag points at what it
pointed at before or at the whole new image, and the next run goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from mlops_toolkit.errors import EnvironmentFailure, UsageError
from mlops_toolkit.oci.documents import INDEXES, Config, Index, Manifest
from mlops_toolkit.oci.reference import Reference
from mlops_toolkit.oci.registry import Registry
from mlops_toolkit.publish import marks, tags
from mlops_toolkit.publish.card import Facts
from mlops_toolkit.publish.tags import Names, Step

Say = Callable[[str], None]


@dataclass(frozen=True)
class There:
    """What the repository holds of what is wanted. pointing: wanted tag -> digest; known: all tags; same: (tag, digest) of an image of this very run."""

    pointing: Mapping[str, str | None]
    known: Sequence[str]
    same: tuple[str, str] | None = None


@dataclass
class Registries:
    """Clients by repository, each opened once, so that what they sent is counted together."""

    connect: Callable[[Reference], Registry]

    def __post_init__(self) -> None:
        self._open: dict[str, Registry] = {}

    def __call__(self, reference: Reference) -> Registry:
        if reference.name not in self._open:
            self._open[reference.name] = self.connect(reference)
        return self._open[reference.name]

    def close(self) -> None:
        for one in self._open.values():
            one.close()


def look(registry: Registry, wanted: Names, facts: Facts) -> There:
    """What is there already. UsageError `tag-taken` where the release's own tag is another run's image."""
    pointing = {tag: registry.manifest_digest(tag) for tag in wanted.all}
    same = None
    for tag in (wanted.fixed, wanted.sha):
        digest = pointing.get(tag) if tag else None
        if tag is None or digest is None or same is not None:
            continue
        if marks.is_of(told(registry, digest), facts):
            same = (tag, digest)
        elif tag == wanted.fixed:
            raise tags.taken(tag, digest)
    return There(pointing, registry.tags() if wanted.moving else (), same)


def told(registry: Registry, digest: str) -> Mapping[str, str]:
    """What an image says of itself: its annotations, or, of one that Docker built, which writes none, its labels."""
    stored = registry.pull_manifest(digest)
    if stored is None:
        return {}
    try:
        if stored.media_type in INDEXES:
            index = Index.read(stored.content, stored.media_type)
            return index.annotations if marks.RUN in index.annotations or not index.manifests else told(registry, index.manifests[0].digest)
        manifest = Manifest.read(stored.content, stored.media_type)
        if marks.RUN in manifest.annotations:
            return manifest.annotations
        raw = registry.read_blob(manifest.config.digest)
        labels = Config.read(raw).config.get("Labels") if raw else None
    except EnvironmentFailure as error:
        if error.name not in ("image-unreadable", "image-damaged"):
            raise
        return {}  # somebody else's, and nothing of ours
    return {str(key): str(value) for key, value in labels.items()} if isinstance(labels, Mapping) else {}


def put(registry: Registry, wanted: Names, digest: str, there: There, say: Say) -> tuple[Step, ...]:
    """Let the tags point at the image. UsageError `tag-taken` where somebody else was quicker with the release's own."""
    now = {tag: registry.manifest_digest(tag) for tag in wanted.all}
    done = []
    for step in tags.steps(wanted, digest, now, {*there.known, *(tag for tag, found in now.items() if found)}):
        if step.put:
            try:
                registry.tag(step.tag, digest, if_absent=step.tag == wanted.fixed)
            except EnvironmentFailure as error:
                if error.name != "tag-taken":
                    raise
                raise tags.taken(step.tag, registry.manifest_digest(step.tag) or "") from error
        done.append(step)
        say(f"{step.tag}: {'put' if step.put else 'left'}, {step.why}")
    return tuple(done)


def still(registry: Registry, wanted: Names, digest: str) -> None:
    """That the release's own tag is ours at the end, too: registries know no exchange under a condition, so of two at once one finds out here."""
    if wanted.fixed is not None and (now := registry.manifest_digest(wanted.fixed)) != digest:
        raise tags.taken(wanted.fixed, now or "nothing")


def repository(image: str | None, *, server: str | None, slug: str | None, remote: str | None, name: str, where: str) -> Reference:
    """Where it goes: as mlops.yaml says, else beside the code on GitHub's registry. Pure.

    UsageErrors `bad-reference`, `no-image-name`. slug: OWNER/REPOSITORY as the CI says it; remote: the clone's address.
    """
    if image is not None:
        found = Reference.parse(image, where=where)
        if found.tag or found.digest:
            raise UsageError("bad-reference", f'"{image[:200]}" has a tag: those come from git\'s', where=where, hint=f"write {found.name}")
        return found
    if slug is None and remote:
        plain = (
            remote.removesuffix("/")
            .removesuffix(".git")
            .replace("git@github.com:", "https://github.com/")
            .replace("ssh://git@", "https://")
        )
        head, _, slug = plain.rpartition("github.com/")
        server, slug = "https://github.com" if slug and (head.endswith("//") or "@" in head) else None, slug or None
    if server != "https://github.com" or not slug or slug.count("/") != 1:
        hint = "publish: {image: registry.example.com/team/" + name + "}"
        raise UsageError(
            "no-image-name", "nothing says where the image goes: the code is not on GitHub, whose registry would have it", hint=hint
        )
    return Reference.parse(f"ghcr.io/{slug.lower()}/{name.lower()}", where=where)


def own(reference: Reference, leg: str | None) -> Reference:
    """A repository of its own for each leg of a matrix: two models never share tags. Pure."""
    suffix = "".join(char if char.isalnum() else "-" for char in (leg or "").lower() if char.isascii()).strip("-")
    return replace(reference, repository=f"{reference.repository}-{suffix}") if suffix else reference
