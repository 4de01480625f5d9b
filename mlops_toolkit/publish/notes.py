"""The release notes: which image a tag released, how good its model is, how to run and verify it, and the model card. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from mlops_toolkit.publish import card
from mlops_toolkit.publish.card import Facts
from mlops_toolkit.report.escape import fenced, inline

SHOWN = 6
PORT = 8080


@dataclass(frozen=True)
class Image:
    """What was published. name: host/repository; tags: those that point at it, the release's own first; form: image or artifact."""

    name: str
    digest: str
    tags: tuple[str, ...] = ()
    form: Literal["image", "artifact"] = "image"
    key: str | None = None

    @property
    def pinned(self) -> str:
        """By digest: what can be no other image tomorrow."""
        return f"{self.name}@{self.digest}"

    @property
    def shown(self) -> str:
        """By its first tag, as people write it."""
        return f"{self.name}:{self.tags[0]}" if self.tags else self.pinned


def notes(facts: Facts, image: Image) -> str:
    """Markdown of one model's part of a release."""
    ruling = facts.ruling
    parts = [f"## {inline(facts.run.model, 100)}", f"`{image.shown}`", _verdict(facts)]
    if ruling.undecided:
        parts.append(f"Not decided, and let through:\n\n{_listed(ruling.undecided)}")
    if ruling.overridden and ruling.override:
        who = f"Published by {inline(ruling.override.by, 100)}, who said: {inline(ruling.override.reason, None)}"
        parts.append(f"{who}. Against it stood:\n\n{_listed(ruling.overridden)}")
    parts.append(fenced(_commands(facts, image), "sh"))
    inner = card.card(facts, level=3)
    parts.append(f"<details><summary>Model card</summary>\n\n{inner}\n</details>")
    return "\n\n".join(parts) + "\n"


def _verdict(facts: Facts) -> str:
    before = facts.previous
    since = f" Compared with {inline(before.name, 80)}, the release before it, see the card." if before else ""
    icon = {"passed": "✅", "accepted": "✅", "undecided": "➖", "ungated": "ℹ️", "overridden": "⚠️"}[facts.ruling.word]
    return f"{icon} {inline(facts.ruling.sentence or 'nothing was gated', 400)}.{since}".replace("..", ".")


def _listed(texts: Sequence[str]) -> str:
    more = f"\n- and {len(texts) - SHOWN} more" if len(texts) > SHOWN else ""
    return "\n".join(f"- {inline(text, 300, starts=True)}" for text in texts[:SHOWN]) + more


def _commands(facts: Facts, image: Image) -> str:
    key = f" --key {image.key}" if image.key and "://" not in image.key else ""
    verify = f"mlops verify {image.pinned}{key}"
    if image.form == "artifact":
        return f"oras pull {image.pinned}\n{verify}"
    run = f"docker run --rm --read-only --cap-drop ALL -p {PORT}:{PORT} {image.pinned}"
    return f"{run}   # then http://localhost:{PORT}\n{verify}"
