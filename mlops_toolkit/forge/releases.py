"""Our part of the release of a tag: put in beside what people wrote there, found again by its marker, never anything else touched."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from mlops_toolkit.forge.base import Posted, Release
from mlops_toolkit.forge.board import TRIES, Refused, pause, persist
from mlops_toolkit.forge.rest import Rest
from mlops_toolkit.forge.sticky import CONTROL, FORGED, digest
from mlops_toolkit.forge.thread import text

if TYPE_CHECKING:
    from mlops_toolkit.forge.github import GitHub

NEEDS = "contents: write"
LIMIT = 120_000  # characters; GitHub takes 125,000
CUT = "\n\n…the rest is in the image's model card.\n"


def begin(key: str) -> str:
    """The line before our part."""
    return f"<!-- mlops-actions:1 release {digest(key)} -->"


def end(key: str) -> str:
    """The line behind it."""
    return f"<!-- mlops-actions:1 end {digest(key)} -->"


def merged(body: str, release: Release, *, limit: int = LIMIT) -> str:
    """The release's text with our part in it: in the place where it stood, else at the end. Pure.

    What stands outside of our markers stays as it is, to the byte; where both do not fit, ours is cut between lines.
    """
    first, last = begin(release.key), end(release.key)
    inner = FORGED.sub("&lt;!", CONTROL.sub("", release.body)).strip("\n")
    start, stop = body.find(first), body.find(last)
    if 0 <= start < stop:
        before, after = body[:start], body[stop + len(last) :]
    else:
        gap = "" if not body or body.endswith("\n\n") else "\n" if body.endswith("\n") else "\n\n"
        before, after = f"{body}{gap}", "\n"
    room = limit - len(before) - len(after) - len(first) - len(last) - 2
    if len(inner) > room:
        kept = inner[: max(room - len(CUT), 0)]
        inner = kept[: kept.rfind("\n\n") + 1].rstrip("\n") + CUT if "\n\n" in kept else CUT.strip("\n")
    return f"{before}{first}\n{inner}\n{last}{after}"


def put(forge: GitHub, rest: Rest, release: Release) -> Posted:
    """Create the release of a tag that is there, or edit ours into the one that is. At most TRIES times, as others may write it, too. Raises Refused."""
    for tries in range(TRIES):
        found = persist(forge.clock, lambda: _find(forge, rest, release.tag))
        standing = (text(found.get("body")) or "") if found else ""
        body = merged(standing, release)
        if found and standing == body:
            return Posted(url=_url(found))
        try:
            _write(forge, rest, release, found, body)
        except Refused as refused:
            # Of two that create it at once one is told that it exists: then it is edited.
            if not (refused.again or (found is None and refused.status == 422)) or tries + 1 == TRIES:
                raise
            forge.clock.sleep(pause(tries, refused.wait))
    # The last try may have written it and somebody else over it at once.
    found = persist(forge.clock, lambda: _find(forge, rest, release.tag))
    if found and begin(release.key) in (text(found.get("body")) or ""):
        return Posted(url=_url(found))
    raise Refused("others kept writing the release", again=False)


def _write(forge: GitHub, rest: Rest, release: Release, found: dict[str, Any] | None, body: str) -> None:
    if found:
        rest.send("PATCH", forge.path("releases", found["id"]), needs=NEEDS, body=body)
        return
    rest.send(
        "POST",
        forge.path("releases"),
        needs=NEEDS,
        tag_name=release.tag,
        name=release.tag,
        body=body,
        prerelease=release.prerelease,
    )


def _find(forge: GitHub, rest: Rest, tag: str) -> dict[str, Any] | None:
    """The release of a tag, a draft too, which only the list has; None where there is none."""
    try:
        found: dict[str, Any] = rest.get(forge.path("releases", "tags", tag))
    except Refused as refused:
        if refused.status != 404:
            raise
        listed = rest.pages(forge.path("releases"))
        drafts = [each for each in listed if each.get("tag_name") == tag]
        if not drafts:
            return None
        found = drafts[0]
    if not isinstance(found.get("id"), int):
        raise Refused("GitHub's answer could not be read (a release without an id)", again=True)
    return found


def _url(found: dict[str, Any]) -> str | None:
    url = text(found.get("html_url"))
    return url if url and re.match(r"https?://", url) else None
