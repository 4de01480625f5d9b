"""What a target knows of a name, for people and programs: its journal, and what is seen there now."""

from __future__ import annotations

from dataclasses import replace

from mlops_toolkit.rollout.accept import called
from mlops_toolkit.rollout.driver import Observed
from mlops_toolkit.rollout.order import Release
from mlops_toolkit.rollout.state import State
from mlops_toolkit.rollout.tell import Standing

LATEST = 20  # orders whose end is told


def standing(state: State, observed: Observed | None) -> Standing:
    """observed: None where the engine or the cluster does not answer."""
    doing = state.doing
    releases = {key: replace(one, spec={}) for key, one in state.releases.items()}
    return Standing(
        live=releases.get(state.live or ""),
        since=state.since,
        final=state.final,
        good=tuple(releases[one] for one in state.good if one in releases and one != state.live),
        withdrawn=dict(state.withdrawn),
        under_way=doing.order.id if doing else None,
        step=(doing.begun or [*doing.did][-1]) if doing else "",
        text=doing.text if doing else "",
        who=doing.order.by if doing else "",
        releases=releases,
        shares=dict(observed.shares) if observed else {},
        trouble=tuple(_trouble(state, releases, observed)),
        ended=dict(list(state.ended.items())[-LATEST:]),
    )


def _trouble(state: State, releases: dict[str, Release], observed: Observed | None) -> list[str]:
    """What is not as it should be, while no order is under way that would put it right."""
    if observed is None:
        return ["what runs there cannot be seen now"]
    if state.doing is not None:
        return []
    found = []
    live = observed.instances.get(state.live or "")
    if state.live and (live is None or live.health != "ready"):
        why = f": {live.why}" if live is not None and live.why else ""
        found.append(f"{called(releases.get(state.live))} is live and not ready{why}")
    wanted = {state.live} if state.live else set()
    found += [
        f"{called(releases.get(one)) if one in releases else one} has a part of the traffic" for one in sorted(_serving(observed) - wanted)
    ]
    if state.live and state.live not in _serving(observed):
        found.append(f"{called(releases.get(state.live))} is live and gets no traffic")
    return found


def _serving(observed: Observed) -> set[str]:
    return {one for one, share in observed.shares.items() if share > 0}
