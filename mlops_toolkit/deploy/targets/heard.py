"""What the agent says, in the words of `targets`: its lines and its standing. Pure."""

from __future__ import annotations

from mlops_toolkit.deploy.targets import Event, Outcome, Standing
from mlops_toolkit.errors import MlopsError
from mlops_toolkit.rollout import tell
from mlops_toolkit.rollout.codec import loads, read


def heard(line: str) -> Event | None:
    """The event of a line; None of what is none (a warning of Python's, a blank)."""
    if not line.startswith("{"):
        return None
    try:
        found = read(tell.Event, loads(line, where="the agent's output"), where="the agent's output")
    except MlopsError:
        return None
    over = found.outcome
    outcome = None if over is None else Outcome(over.result, over.live, over.before, over.name, over.reason, over.hint)
    return Event(found.step, found.state, found.text, dict(found.data), found.at, outcome)


def told(found: tell.Standing) -> Standing:
    """A target's standing, from what its journal and its driver say."""
    known = found.releases
    return Standing(
        live=found.live,
        since=found.since,
        final=found.final,
        good=found.good,
        withdrawn=tuple((known[one], why) for one, why in found.withdrawn.items() if one in known),
        under_way=found.under_way,
        step=found.step,
        text=found.text,
        who=found.who,
        shares=dict(found.shares),
        trouble=found.trouble,
    )
