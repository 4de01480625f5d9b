"""Which tags a published model gets, and which of them may be moved: by Semantic Versioning 2.0.0 (semver.org), of git's tag. Pure.

`v1.2.3` and `sha-…` are put once and never moved; `1.2`, `1` and `latest` move, but only forward. A tag of git that is no version gives an
image's tag all the same, which moves nothing.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from mlops_toolkit.errors import UsageError
from mlops_toolkit.models.base import short

Word = Literal["version", "minor", "major", "latest", "sha"]
THERE, NEW = "it is there already", "it is new"  # why a tag need not be put, and why it is
SHA = 12  # hex digits of the commit: two of one repository that begin alike are not to be expected
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")  # what the distribution specification calls a tag
MOVES = {"minor": re.compile(r"[0-9]+\.[0-9]+"), "major": re.compile("[0-9]+"), "latest": re.compile("latest")}
_NUMBER = r"(?:0|[1-9][0-9]{0,17})"
_PART = r"(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
VERSION = re.compile(
    rf"v?(?P<major>{_NUMBER})\.(?P<minor>{_NUMBER})\.(?P<patch>{_NUMBER})(?:-(?P<pre>{_PART}(?:\.{_PART})*))?(?:[+_](?P<build>[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?"
)


@functools.total_ordering
@dataclass(frozen=True)
class Version:
    """A version; `build` is no part of its order."""

    major: int
    minor: int
    patch: int
    pre: tuple[str, ...] = ()
    build: str = ""

    @classmethod
    def parse(cls, text: str) -> Version | None:
        """`1.2.3`, `v1.2.3-rc.1`, `1.2.3+gpu` (as a tag of an image `1.2.3_gpu`); None for anything else."""
        found = VERSION.fullmatch(text)
        if found is None:
            return None
        pre = tuple(found["pre"].split(".")) if found["pre"] else ()
        return cls(int(found["major"]), int(found["minor"]), int(found["patch"]), pre, found["build"] or "")

    @property
    def stable(self) -> bool:
        """Whether it is a release that moving tags follow: no pre-release, no variant."""
        return not self.pre and not self.build

    def _order(self) -> tuple[object, ...]:
        # Rule 11: without a pre-release is higher; numbers are lower than words, and compare as numbers; of equal ones the longer is higher.
        parts = tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in self.pre)
        return self.major, self.minor, self.patch, not self.pre, parts

    def __lt__(self, other: Version) -> bool:
        return self._order() < other._order()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and self._order() == other._order()

    def __hash__(self) -> int:
        return hash(self._order())

    def named(self, word: Word) -> str:
        """What the moving tag of a word is called: `1.2`, `1`, `latest`."""
        return {"minor": f"{self.major}.{self.minor}", "major": str(self.major), "latest": "latest"}[word]


@dataclass(frozen=True)
class Names:
    """The tags of one publication.

    fixed   the release's own, which must not be another image's; None where no tag of git is published
    sha     the commit's, kept by whichever image had it first
    moving  word -> name, of those that move forward
    """

    fixed: str | None = None
    sha: str | None = None
    moving: Mapping[Word, str] | None = None
    version: Version | None = None

    @property
    def all(self) -> tuple[str, ...]:
        """In the order in which they are put: the release's own first, so that nothing has moved where that one is taken."""
        return tuple(name for name in (self.fixed, *(self.moving or {}).values(), self.sha) if name)


@dataclass(frozen=True)
class Step:
    """What is done about one tag: put it, or leave it as it is, and why in words."""

    tag: str
    put: bool
    why: str


def without_model(tag: str, model: str) -> str | None:
    """`v1.2.3` of `spam-filter/v1.2.3`, `spam-filter-v1.2.3` or `spam-filter@1.2.3`; None where the tag does not name the model."""
    head, rest = tag[: len(model)], tag[len(model) :]
    return rest[1:] if head == model and rest[:1] in ("/", "-", "@", "_") and len(rest) > 1 else None


def names(words: Sequence[str], *, tag: str | None, model: str, commit: str) -> Names:
    """The tags that `publish.tags` asks for, of a tag of git (None: none is published) on a commit.

    UsageError `bad-tag` where git's tag cannot be an image's.
    """
    sha = f"sha-{commit[:SHA]}" if "sha" in words else None
    if tag is None:
        return Names(sha=sha)
    plain = without_model(tag, model) or tag
    version = Version.parse(plain)
    shown = re.sub(r"[/+@]", lambda found: "_" if found[0] == "+" else "-", plain)
    if not TAG.fullmatch(shown):
        hint = "letters, digits, `.`, `_` and `-`, at most 128, the first no `.` or `-`: call the tag like v1.2.3"
        raise UsageError("bad-tag", f"the tag {tag[:140]!r} cannot be the tag of an image", hint=hint)
    if shown == sha or any(word in words and pattern.fullmatch(shown) for word, pattern in MOVES.items()):
        raise UsageError("bad-tag", f"the tag {shown!r} is kept for what moves by itself", hint="call the tag like v1.2.3")
    follows: list[Word] = [word for word in ("latest", "major", "minor") if word in words] if version and version.stable else []
    moving = {word: version.named(word) for word in follows} if version else {}
    return Names(shown if "version" in words else None, sha, moving, version)


def steps(wanted: Names, digest: str, there: Mapping[str, str | None], known: Iterable[str]) -> tuple[Step, ...]:
    """What to do about each tag, in order.

    there: what each wanted tag points at now (None: it is free); known: every tag of the repository.
    UsageError `tag-taken` where the release's own tag is another image's: before anything is put.
    """
    if wanted.fixed is not None and there.get(wanted.fixed) not in (None, digest):
        raise taken(wanted.fixed, str(there[wanted.fixed]))
    versions = [version for tag in known if (version := Version.parse(tag)) is not None and version.stable]
    made = []
    moving = {name: word for word, name in (wanted.moving or {}).items()}
    for tag in wanted.all:
        now = there.get(tag)
        if now == digest:
            made.append(Step(tag, False, THERE))
        elif tag in moving:
            made.append(_moved(tag, moving[tag], wanted, versions, now))
        elif now is None:
            made.append(Step(tag, True, NEW))
        else:  # the commit's
            made.append(Step(tag, False, f"it stays with the first image of this commit, {short(now)}"))
    return tuple(made)


def _moved(tag: str, word: Word, wanted: Names, versions: Sequence[Version], now: str | None) -> Step:
    assert wanted.version is not None  # noqa: S101 -- only versions have tags that move
    newer = max((one for one in versions if one.named(word) == tag and one > wanted.version), default=None)
    if newer is not None:
        why = f"it {'belongs to' if now is None else 'stays with'} {newer.major}.{newer.minor}.{newer.patch}, which is newer"
        return Step(tag, False, why)
    return Step(tag, True, NEW if now is None else f"it moves on from {short(now)}")


def taken(tag: str, digest: str) -> UsageError:
    """The error of a release's tag that is another image's."""
    return UsageError(
        "tag-taken",
        f"the tag {tag} is another image's ({short(digest)}) already: released tags are never moved",
        hint="release under a new tag; who pulled this one would get another model by the same name",
    )
