"""What a release changes in a file that Argo CD or Flux watches: the digest of its image, and our annotations where they stand. Pure.

The file is changed as text, so that comments, order and quotes stay as people wrote them. Three forms are known: `image: NAME…` (manifests, values
of charts), and `name:` or `newName:` or `repository:` of the image beside `digest:` (kustomizations, values).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from mlops_toolkit.errors import UsageError

_PAIR = re.compile(
    r"(?P<lead>\s*(?:- )?\s*)(?P<key>[\w./-]+)(?P<colon>:\s*)(?P<quote>[\"']?)(?P<value>[^\"'#\s]*)(?P=quote)(?P<rest>\s*(?:#.*)?)"
)
_WORDS = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}  # that YAML reads as something else
_NAMES = ("name", "newName", "repository")
ABOUT = "org.mlops/"


def changed(text: str, image: str, about: Mapping[str, str], *, where: str) -> str:
    """The text with this image (NAME@sha256:…) in the place of the same image by whatever digest or tag.

    about: `version`, `run`, …: the values of `org.mlops/…` annotations, where the file has them. UsageError `no-image-line`.
    """
    name, digest = image.split("@", 1)
    found, lines = False, []
    beside: int | None = None  # how far the line stood in that named the image, while its block lasts
    for line in text.split("\n"):
        pair = _PAIR.fullmatch(line.rstrip("\r"))
        made = line
        if pair is not None:
            depth = len(pair["lead"])
            if beside is not None and (depth < beside or "- " in pair["lead"]):
                beside = None
            if pair["key"] == "image" and _named(pair["value"]) == name:
                made, found = _with(line, pair, image), True
            elif pair["key"] in _NAMES and pair["value"] == name:
                beside = depth
            elif pair["key"] == "digest" and beside == depth:
                made, found = _with(line, pair, digest), True
            elif pair["key"].startswith(ABOUT) and pair["key"][len(ABOUT) :] in about:
                made = _with(line, pair, about[pair["key"][len(ABOUT) :]])
        lines.append(made)
    if not found:
        hint = f"it says `image: {name}@sha256:…`, or `digest: sha256:…` below `name: {name}` (a kustomization) or `repository: {name}`"
        raise UsageError("no-image-line", f"the file names no image {name}", where=where, hint=hint)
    return "\n".join(lines)


def _with(line: str, pair: re.Match[str], value: str) -> str:
    """The line with another value, in its own quotes where that can be."""
    end = "\r" if line.endswith("\r") else ""
    plain = re.fullmatch(r"[A-Za-z][\w./-]*(?::[\w./-]+)*(?:@sha256:[0-9a-f]+)?", value) and value.lower() not in _WORDS
    written = f"{pair['quote']}{value}{pair['quote']}" if plain else json.dumps(value)
    return f"{pair['lead']}{pair['key']}{pair['colon']}{written}{pair['rest']}{end}"


def _named(value: str) -> str:
    """An image's name without its tag and digest."""
    name = value.split("@", 1)[0]
    head, _, last = name.rpartition("/")
    return f"{head}/{last.split(':', 1)[0]}" if head else last.split(":", 1)[0]
