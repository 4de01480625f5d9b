"""Following an order to its end: each step a line, for people at a terminal and in a CI's log alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from mlops_toolkit.deploy.targets import Event, Outcome
from mlops_toolkit.errors import Cancelled, EnvironmentFailure
from mlops_toolkit.report.escape import plain
from mlops_toolkit.system.clock import Clock

SIGNS = {"begins": "…", "goes-on": "·", "done": "✓", "failed": "✗", "over": "="}
LONGEST = 400
MOST_LINES = 20  # of somebody else's log
QUIET_SECONDS = 30.0  # between two notes of one step in a log that nobody sees move
BY_ITSELF = "it is carried out where it runs and goes on by itself: `mlops status` shows it, and the same command follows it again"


@dataclass
class Story:
    """What was told so far: (sign, text) of each line; log: the last that a release said which was taken back."""

    lines: list[tuple[str, str]] = field(default_factory=list)
    log: list[str] = field(default_factory=list)


def follow(events: Iterator[Event], clock: Clock, say: Callable[[str], None], story: Story, *, lasts: bool = True) -> Outcome:
    """Tell what happens, and what became of it. lasts: whether the order goes on without us.

    EnvironmentFailure where it can be followed no more (`lost-sight` where the target stopped telling); Cancelled by a signal.
    """
    begun, last, told_at = False, ("", ""), -QUIET_SECONDS
    try:
        for event in events:
            begun = True
            if event.step == "log":
                _log(event, say, story)
                continue
            text = plain(event.text, LONGEST)
            quiet = event.state == "goes-on" and clock.monotonic() - told_at < QUIET_SECONDS
            if text and (event.step, text) != last and not quiet:
                story.lines.append((SIGNS[event.state], text))
                say(f"{SIGNS[event.state]} {text}")
                last, told_at = (event.step, text), clock.monotonic()
            if event.state == "over" and event.outcome is not None:
                return event.outcome
    except (Cancelled, EnvironmentFailure) as error:
        if begun and lasts:
            error.hint = f"{error.hint}\n{BY_ITSELF}" if error.hint else BY_ITSELF
        raise
    hint = BY_ITSELF if lasts else "give it again: it goes on from where it is"
    raise EnvironmentFailure("lost-sight", "the target stopped telling what becomes of the order", hint=hint)


def _log(event: Event, say: Callable[[str], None], story: Story) -> None:
    """Each line by itself, so that no line of somebody else's can look like one of ours."""
    lines = event.data.get("lines")
    story.log = [plain(str(line), LONGEST) for line in (lines if isinstance(lines, list | tuple) else [])[:MOST_LINES]]
    if story.log:
        say(f"{SIGNS['goes-on']} {plain(event.text, LONGEST)}")
    for line in story.log:
        say(f"    | {line}")
