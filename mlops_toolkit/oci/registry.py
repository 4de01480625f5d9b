"""Talking to an OCI registry: blobs, manifests, tags and what refers to an image. One repository at a time, from any number of threads."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Literal, NamedTuple
from urllib.parse import quote, urlsplit

from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.oci import challenge, documents, referrers, wire
from mlops_toolkit.oci.auth import Login
from mlops_toolkit.oci.documents import INDEXES, MANIFEST, MANIFESTS, Descriptor, digest_of, matches
from mlops_toolkit.oci.download import Download
from mlops_toolkit.oci.patience import Patience
from mlops_toolkit.oci.reference import is_digest
from mlops_toolkit.oci.upload import CHUNK, Upload
from mlops_toolkit.oci.wire import Source, Wire

if TYPE_CHECKING:
    from requests import Response

Sent = Literal["there", "mounted", "sent"]
MOST_PAGES = 1000


class Stored(NamedTuple):
    """A manifest or index as the registry has it: its bytes, its media type, its digest."""

    content: bytes
    media_type: str
    digest: str


class Registry:
    """One repository of one registry, over http only where that is this machine.

    sent_blobs, sent_bytes, mounted_blobs  what went up so far: blobs and their bytes, and blobs that another repository lent
    """

    def __init__(
        self, host: str, repository: str, credentials: Login | None, *, sleep: Callable[[float], object] | None = None, chunk: int = CHUNK
    ) -> None:
        self.host, self.repository = host, repository
        self.sent_blobs = self.sent_bytes = self.mounted_blobs = 0
        self._wire, self._chunk, self._count = Wire(host, repository, credentials, sleep=sleep), chunk, threading.Lock()
        self._read = (challenge.scope(repository, "pull"),)
        self._write: tuple[str, ...] = (challenge.scope(repository, "pull", "push"),)

    @property
    def name(self) -> str:
        """`host/repository`, for people."""
        return self._wire.name

    def blob_exists(self, digest: str) -> bool:
        """Whether the repository has it."""
        answer = self._ask("HEAD", f"blobs/{digest}", "reading", (200, 404))
        answer.close()
        return answer.status_code == 200

    def push_blob(self, digest: str, size: int, content: Callable[[], Source], *, from_repository: str | None = None) -> Sent:
        """Upload a blob, streamed, in chunks where it is large; one that is there is not sent again.

        content          opens it, anew for each try; must be seekable where it is larger than a chunk
        from_repository  of this registry: lends the blob where it has it and we may read there; nothing is sent then
        """
        if self.blob_exists(digest):
            return "there"
        scopes, begin = self._write, dict[str, str]()
        if from_repository and from_repository != self.repository:
            scopes = (*scopes, challenge.scope(from_repository, "pull"))
            begin = {"mount": digest, "from": quote(from_repository, safe="")}
        upload = Upload(self._wire, digest, size, content, scopes=scopes, chunk=self._chunk, counted=self._counted)
        sent = upload.run(begin)
        with self._count:
            self.sent_blobs += sent
            self.mounted_blobs += not sent
        return "sent" if sent else "mounted"

    def _counted(self, size: int) -> None:
        with self._count:
            self.sent_bytes += size

    @contextlib.contextmanager
    def pull_blob(self, digest: str) -> Iterator[Download | None]:
        """A blob as a stream with `read`, None where it is not there. It is verified when its end is read (see Download)."""
        answer = self._ask("GET", f"blobs/{digest}", "download", (200, 404), headers={"Accept-Encoding": "identity"})
        if answer.status_code == 404:
            answer.close()
            yield None
            return
        stream = Download(self._wire, digest, answer, scopes=self._read)
        with contextlib.closing(stream):
            yield stream

    def read_blob(self, digest: str, most: int = wire.MOST_BYTES) -> bytes | None:
        """A small blob (a configuration, a signature) whole and verified; None where it is not there. `image-damaged` where it is larger."""
        with self.pull_blob(digest) as stream:
            if stream is None:
                return None
            parts, size = [], 0
            while block := stream.read(wire.BLOCK):
                parts.append(block)
                size += len(block)
                if size > most:
                    raise EnvironmentFailure("image-damaged", f"{digest[:19]} at {self.name} is larger than {most} bytes")
            return b"".join(parts)

    def push_manifest(self, reference: str, content: bytes, media_type: str = MANIFEST, *, if_absent: bool = False) -> str:
        """Put a manifest or index under a tag, or under its digest; returns its digest.

        if_absent: a tag that points to another one is left alone: `tag-taken`. Registries know no exchange under a condition, so two that
        write at the same instant are only told apart by reading afterwards: whoever finds another's digest then is refused, too.
        """
        digest = digest_of(content)
        if is_digest(reference) and not matches(content, reference):
            raise EnvironmentFailure("image-damaged", f"a manifest for {self.name} has not the digest {reference[:19]}")
        tag = if_absent and not is_digest(reference)
        if tag and self._taken(reference, digest):
            return digest
        self.put_manifest(reference, content, media_type)
        if tag:
            self._taken(reference, digest)
        return digest

    def tag(self, tag: str, digest: str, *, if_absent: bool = False) -> None:
        """Let a tag point to what is stored under a digest (`push_manifest` says what if_absent is); nothing is sent where it does already."""
        if self.manifest_digest(tag) == digest:
            return
        stored = self.pull_manifest(digest)
        if stored is None:
            raise EnvironmentFailure("image-damaged", f"{digest[:19]} is not in {self.name}, and cannot be called {tag}")
        self.push_manifest(tag, stored.content, stored.media_type, if_absent=if_absent)

    def referrers(self, digest: str, artifact_type: str | None = None) -> list[Descriptor]:
        """What refers to an image: signatures, attestations, a bill of materials; only those of a type where one is given."""
        return referrers.of(self, digest, artifact_type)

    def add_referrer(self, content: bytes, media_type: str = MANIFEST) -> Descriptor:
        """Put a manifest that has a `subject`, so that `referrers` finds it; one that is there is not sent again. Returns its descriptor."""
        return referrers.add(self, [content], media_type)[0]

    def add_referrers(self, *contents: bytes, media_type: str = MANIFEST) -> list[Descriptor]:
        """As `add_referrer`, several of one subject in one go: a registry without a list of its own is written to once."""
        return referrers.add(self, contents, media_type)

    def _taken(self, tag: str, digest: str) -> bool:
        """Whether the tag points to the digest already; `tag-taken` where it points to another."""
        found = self.manifest_digest(tag)
        if found not in (None, digest):
            raise EnvironmentFailure(
                "tag-taken",
                f"{self.name}:{tag} is {found[:19]} already, not {digest[:19]}",
                hint="a tag is never moved: give the release another version",
            )
        return found is not None

    def put_manifest(self, reference: str, content: bytes, media_type: str) -> bool:
        """Put it; whether the registry says that it keeps the list of what refers to its subject by itself."""
        answer = self._ask(
            "PUT",
            f"manifests/{reference}",
            "writing a manifest",
            (200, 201, 202),
            headers={"Content-Type": media_type},
            body=content,
            scopes=self._write,
        )
        answer.close()
        said = answer.headers.get("Docker-Content-Digest", "")
        if said.startswith("sha256:") and said != digest_of(content):
            raise EnvironmentFailure("image-damaged", f"{self.name} stored something else than was sent: {said[:19]}")
        return "OCI-Subject" in answer.headers

    def pull_manifest(self, reference: str, accept: tuple[str, ...] = (*MANIFESTS, *INDEXES)) -> Stored | None:
        """What is under a tag or digest, verified where it was asked by digest; None where there is nothing. accept: media types."""
        answer, content = self.whole(f"manifests/{reference}", (200, 404), {"Accept": ", ".join(accept)})
        if answer.status_code == 404:
            return None
        digest, said = digest_of(content), answer.headers.get("Docker-Content-Digest", "")
        if (is_digest(reference) and not matches(content, reference)) or (said.startswith("sha256:") and said != digest):
            raise EnvironmentFailure("image-damaged", f"{self.name} gave something else for {reference[:19]}", hint="push it again")
        media_type = documents.kind_of(content, answer.headers.get("Content-Type", "").partition(";")[0].strip())
        return Stored(content, media_type, reference if is_digest(reference) else digest)

    def manifest_digest(self, tag: str) -> str | None:
        """The digest of a tag's manifest, None where there is none."""
        answer = self._ask("HEAD", f"manifests/{tag}", "reading", (200, 404), headers={"Accept": ", ".join((*MANIFESTS, *INDEXES))})
        answer.close()
        if answer.status_code == 404:
            return None
        said = answer.headers.get("Docker-Content-Digest")
        found = None if said else self.pull_manifest(tag)
        return said or (found.digest if found else None)

    def delete_manifest(self, digest: str) -> None:
        scopes = (challenge.scope(self.repository, "pull", "push", "delete"),)
        self._ask("DELETE", f"manifests/{digest}", "deleting", (200, 202, 404), scopes=scopes).close()

    def tags(self) -> list[str]:
        """All tags of the repository, sorted; none where there is no such repository."""
        found: set[str] = set()
        path, seen = "tags/list?n=1000", set[str]()
        while path and path not in seen and len(seen) < MOST_PAGES:
            seen.add(path)
            answer, content = self.whole(path, (200, 404), {})
            if answer.status_code == 404:
                break
            listed = wire.json_object(content).get("tags")
            found.update(tag for tag in (listed if isinstance(listed, list) else []) if isinstance(tag, str))
            path = self.onward(answer)
        return sorted(found)

    def onward(self, answer: Response) -> str:
        """Where the next page is; "" after the last, or where it would be elsewhere."""
        link = answer.links.get("next", {}).get("url")
        url = wire.joined(answer.url, link) if link else ""
        return url if urlsplit(url)[:2] == urlsplit(self._wire.base)[:2] else ""

    def pause(self, seconds: float) -> None:
        """Wait, as this registry's retries do."""
        self._wire.sleep(seconds)

    def stop(self) -> None:
        """End what other threads do here, until `go_on`."""
        self._wire.stopped.set()

    def go_on(self) -> None:
        """Requests are made again."""
        self._wire.stopped.clear()

    def close(self) -> None:
        self._wire.close()

    def whole(self, path: str, accept: tuple[int, ...], headers: dict[str, str]) -> tuple[Response, bytes]:
        """An answer and its whole body; asked again where the body breaks off."""

        def ask() -> tuple[Response, bytes]:
            answer = self._wire.attempt("GET", path, what="reading", accept=accept, headers=headers, scopes=self._read)
            return answer, wire.content(answer)

        return Patience(self._wire.sleep).persist(ask, f"reading at {self.name}")

    def _ask(
        self, method: str, path: str, what: str, accept: tuple[int, ...], *, headers: dict[str, str] | None = None, body: bytes | None = None,
        scopes: tuple[str, ...] | None = None,
    ) -> Response:  # fmt: skip
        return self._wire.ask(method, path, what=what, accept=accept, headers=headers, body=body, scopes=scopes or self._read)
