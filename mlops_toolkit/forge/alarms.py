"""The one open issue of a repository about models whose alarms ring in production, and the one start of the workflow that trains again.

It is a text of sections as the issue about main is, apart from it by its last line. Beside the sections stand lines that say which
workflow was started for which of them, so that nobody starts it twice while that section stands.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from urllib.parse import quote

from mlops_toolkit.forge import sticky
from mlops_toolkit.forge.base import Posted
from mlops_toolkit.forge.board import Note, Refused
from mlops_toolkit.forge.issue import Issues, listed, name

LAST = "<!-- mlops-actions:1 alarms -->"
STARTED = re.compile(r"^.* <!-- mlops-actions:1 started (?P<digest>[0-9a-f]{16}) (?P<workflow>[A-Za-z0-9._-]{1,100}) -->$")
WORKFLOW = re.compile(r"[A-Za-z0-9._-]{1,100}\.ya?ml|[0-9]{1,20}")
NEEDS = "actions: write"

Starts = dict[str, str]  # a section's digest -> the workflow that was started for it


@dataclass
class Alarms(Issues):
    """The open issue about alarms as a Board. The board's texts are those of the other issue; what differs is put on and taken off here."""

    starts: dict[int, Starts] = field(default_factory=dict, repr=False)

    def notes(self) -> list[Note]:
        return [told for note in super().notes() if (told := self._taken(note)) is not None]

    def ended(self) -> list[str]:
        return [told.body for body in super().ended() if (told := self._taken(Note(0, body))) is not None]

    def create(self, body: str) -> Note:
        return replace(super().create(put(body, {})), body=body)

    def edit(self, note: Note, body: str) -> Note:
        return replace(super().edit(note, put(body, self.starts.get(note.id, {}))), body=body)

    def start(self, digest: str, workflow: str, ref: str) -> Posted | None:
        """Start the workflow for a section that stands, unless it was; None then. It is written down before: at most once, also where we are killed."""
        note = next((each for each in self.notes() if any(part.digest == digest for part in sticky.parse(each.body))), None)
        if note is None or self.starts[note.id].get(digest) == workflow:
            return None
        before = self.starts[note.id]
        self.starts[note.id] = {**before, digest: workflow}
        self.edit(note, note.body)
        path = self.forge.path("actions", "workflows", workflow, "dispatches")
        try:
            self.rest.order(path, needs=NEEDS, ref=ref)
        except Refused as refused:
            self.starts[note.id] = before
            self.edit(note, note.body)
            hint = "the workflow must have `workflow_dispatch:` under `on:`" if refused.status == 422 else refused.hint
            return Posted(reason=f"{workflow} is not started: {refused.reason}", hint=hint)
        web = self.forge.context.url.partition("/actions/")[0] if self.forge.context.url else ""
        return Posted(url=f"{web}/actions/workflows/{quote(workflow)}" if web else None)

    def _taken(self, note: Note) -> Note | None:
        """A note as the board knows it; None of another kind."""
        body, starts = taken(note.body)
        if body is None:
            return None
        self.starts[note.id] = starts
        return replace(note, body=body)

    def _title(self, body: str) -> str:
        return f"🔔 {listed([name(part.verdict) for part in sticky.parse(body)])}"


def put(body: str, starts: Starts) -> str:
    """A board's text as it stands in the issue: with the starts of its sections, and our own last line."""
    there = {part.digest for part in sticky.parse(body)}
    lines = [
        f"`{workflow}` was started to train again. <!-- mlops-actions:1 started {digest} {workflow} -->"
        for digest, workflow in sorted(starts.items())
        if digest in there
    ]
    kept = body.rstrip().removesuffix(sticky.COMMENT).rstrip("\n")
    return "\n\n".join([kept, *lines]) + f"\n\n{LAST}\n"


def taken(text: str) -> tuple[str | None, Starts]:
    """The board's text of an issue's, None where it is no issue about alarms; and the starts."""
    lines = text.replace("\r\n", "\n").rstrip().split("\n")
    if lines[-1].strip() != LAST:
        return None, {}
    kept, starts = [], {}
    for line in lines[:-1]:
        if found := STARTED.match(line.rstrip()):
            starts[found["digest"]] = found["workflow"]
        else:
            kept.append(line)
    return "\n".join(kept).rstrip("\n") + f"\n{sticky.COMMENT}\n", starts
