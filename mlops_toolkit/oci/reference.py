"""Names of images: `ghcr.io/owner/app:v1@sha256:…`, by the rules that Docker reads them with, and where a mirror has them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from mlops_toolkit.errors import UsageError

HUB = "docker.io"
HUB_API = "registry-1.docker.io"
LOOPBACK = re.compile(r"^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$")
LENGTHS = {"sha256": 64, "sha512": 128}
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_HOST = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?"
)
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_PART}(?:/{_PART})*")
_LONGEST = 255  # characters of host and repository together, as Docker allows


@dataclass(frozen=True)
class Reference:
    """One image, or the repository where nothing more is said: where it is, and which.

    host        `ghcr.io`, `localhost:5000`, `[::1]:5000`; lower case; Docker Hub is `docker.io`
    repository  `owner/app`; on Docker Hub with its `library/`
    tag         as written, or None
    digest      `sha256:…`, or None; where both are there, the digest says which, the tag is a word beside it
    """

    host: str
    repository: str
    tag: str | None = None
    digest: str | None = None

    @classmethod
    def parse(cls, text: str, *, where: str | None = None) -> Reference:
        """Read a name as `docker pull` would. where: where the text stands. UsageError `bad-reference`."""
        try:
            return _parse(text)
        except ValueError as error:
            raise UsageError(
                "bad-reference",
                f'"{text[:200]}" names no image: {error}',
                where=where,
                hint="write ghcr.io/OWNER/NAME:TAG, or …@sha256:DIGEST",
            ) from error

    def __str__(self) -> str:
        return self.name + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    @property
    def name(self) -> str:
        """`host/repository`."""
        return f"{self.host}/{self.repository}"

    @property
    def target(self) -> str:
        """What to ask the registry for: the digest, else the tag, else `latest`."""
        return self.digest or self.tag or "latest"

    def at(self, *, tag: str | None = None, digest: str | None = None) -> Reference:
        """The same repository's other image."""
        return replace(self, tag=tag, digest=digest)


def api_host(host: str) -> str:
    """Where a registry's API answers: Docker Hub's is not where its name says."""
    return HUB_API if host == HUB else host


def is_digest(text: str) -> bool:
    """Whether the text is a digest of a kind that can be checked here."""
    algorithm, _, value = text.partition(":")
    return len(value) == LENGTHS.get(algorithm) and re.fullmatch(r"[0-9a-f]+", value) is not None


def mirrored(reference: Reference, mirrors: Mapping[str, str], *, where: str | None = None) -> Reference:
    """Where a mirror has it; the reference itself where none is named for it.

    mirrors: `docker.io` or `docker.io/library` -> `mirror.example.com` or `mirror.example.com/hub`; the longest key that fits decides, and
    only that part of the name is replaced. UsageError `bad-reference` for an address that is none.
    """
    fits = [key for key in mirrors if f"{reference.name}/".startswith(f"{_key(key)}/")]
    if not fits:
        return reference
    key = max(fits, key=lambda key: len(_key(key)))
    rest = reference.name[len(_key(key)) :].lstrip("/")
    place = mirrors[key].strip().rstrip("/")
    host, _, prefix = place.partition("/")
    repository = "/".join(part for part in (prefix, rest) if part)
    if not (_is_host(host) and _HOST.fullmatch(host) and _REPOSITORY.fullmatch(repository)):
        raise UsageError(
            "bad-reference", f'"{place[:200]}" is no mirror', where=where, hint="write HOST or HOST/PATH, like mirror.example.com/hub"
        )
    return replace(reference, host=_canonical(host), repository=repository)


def _key(key: str) -> str:
    host, slash, rest = key.strip().rstrip("/").partition("/")
    return _canonical(host) + slash + rest


def _is_host(part: str) -> bool:
    """Whether the first part of a name is a host and not a folder on Docker Hub."""
    return re.search(r"[.:]", part) is not None or part == "localhost"


def _canonical(host: str) -> str:
    host = host.lower()
    return HUB if host in ("index.docker.io", HUB_API) else host


def _parse(text: str) -> Reference:
    if "://" in text:
        raise ValueError("it is written without ://")
    name, at, digest = text.partition("@")
    if at and not is_digest(digest):
        raise ValueError(f'"{digest[:200]}" is no digest (sha256: and 64 characters of 0-9 and a-f)')
    first, slash, rest = name.partition("/")
    if not slash or not _is_host(first):
        first, rest = HUB, name
    repository, colon, tag = rest.partition(":")
    if colon and not TAG.fullmatch(tag):
        raise ValueError(f'"{tag[:200]}" is no tag')
    host = _canonical(first)
    if not _HOST.fullmatch(host):
        raise ValueError(f'"{first[:200]}" is no host')
    if repository != repository.lower():
        raise ValueError(f'a repository is written in lower case, as "{repository.lower()[:200]}"')
    if not _REPOSITORY.fullmatch(repository):
        raise ValueError(f'"{repository[:200]}" is no repository' if repository else "the repository is missing")
    if host == HUB and "/" not in repository:
        repository = f"library/{repository}"
    if len(host) + 1 + len(repository) > _LONGEST:
        raise ValueError(f"it is longer than {_LONGEST} characters")
    return Reference(host, repository, tag or None, digest or None)
