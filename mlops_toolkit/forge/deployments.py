"""What runs where, as GitHub's Deployments: one record an order, found again by the order's id, its states in the order in which they came."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from mlops_toolkit.forge.base import Deployment, Posted, Reached
from mlops_toolkit.forge.board import Refused, persist
from mlops_toolkit.forge.rest import PAGE, Rest

if TYPE_CHECKING:
    from mlops_toolkit.forge.github import GitHub

NEEDS = "deployments: write"
LIMIT = 140  # characters of a description
LOOKED_AT = 20  # records before it that may still say that they are live
OVER = ("success", "failure", "error", "inactive")
COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def put(forge: GitHub, rest: Rest, deployment: Deployment, state: Reached, text: str) -> Posted:
    """Bring the record of an order to a state. The whole may be repeated: what is written already is not written again. Raises Refused."""
    if not COMMIT.fullmatch(deployment.commit):
        raise Refused("no commit of this repository is known of the release")
    persist(forge.clock, lambda: _put(forge, rest, deployment, state, text))
    server, repository = forge.context.server_url, forge.context.repository
    return Posted(url=f"{server}/{repository}/deployments/{quote(deployment.environment, safe='')}" if server and repository else None)


def _put(forge: GitHub, rest: Rest, deployment: Deployment, state: Reached, text: str) -> None:
    listed = rest.get(forge.path("deployments"), list, needs=NEEDS, environment=deployment.environment, per_page=PAGE)
    mine = [(number, told) for each in listed if (number := _number(each)) and (told := _payload(each)).get("name") == deployment.name]
    own = next((number for number, told in mine if told.get("order") == deployment.order), None)
    before = _state(forge, rest, own) if own is not None else ("", "")
    if own is None:
        own = _create(forge, rest, deployment)
    said = _line(text)
    if before != (state, said) and not (before[0] == "inactive" or (state == "in_progress" and before[0] in OVER)):
        _say(forge, rest, own, state, said, deployment)
    # Told again long after, one that was replaced does not replace what came since.
    if state != "success" or any(number > own for number, _ in mine):
        return
    for number in sorted((number for number, _ in mine if number < own), reverse=True)[:LOOKED_AT]:
        if _state(forge, rest, number)[0] not in ("failure", "error", "inactive"):
            _say(forge, rest, number, "inactive", f"replaced by {deployment.version or deployment.commit[:7]}", deployment)


def known(forge: GitHub, rest: Rest, environment: str, name: str) -> tuple[tuple[str, str], ...]:
    """(order, latest state) of the newest records of a name, to the first that says that it is live. Raises Refused."""
    listed = rest.get(forge.path("deployments"), list, needs=NEEDS, environment=environment, per_page=PAGE)
    mine = {number: told for each in listed if (number := _number(each)) and (told := _payload(each)).get("name") == name}
    found: list[tuple[str, str]] = []
    for number in sorted(mine, reverse=True)[:LOOKED_AT]:
        found.append((str(mine[number].get("order") or ""), _state(forge, rest, number)[0]))
        if found[-1][1] == "success":
            break
    return tuple(found)


def _create(forge: GitHub, rest: Rest, deployment: Deployment) -> int:
    """Nothing is merged for it, and no check asked: which release may run was decided by its own verdict."""
    made = rest.send(
        "POST",
        forge.path("deployments"),
        needs=NEEDS,
        ref=deployment.commit,
        task="deploy",
        auto_merge=False,
        required_contexts=[],
        payload={"order": deployment.order, "name": deployment.name, "version": deployment.version},
        environment=deployment.environment,
        description=_line(f"{deployment.name} {deployment.version or deployment.commit[:7]}"),
    )
    number = _number(made)
    if number is None:
        raise Refused("GitHub's answer could not be read (a deployment without an id)", again=True)
    return number


def _say(forge: GitHub, rest: Rest, number: int, state: str, text: str, deployment: Deployment) -> None:
    live = state == "success"
    rest.send(
        "POST",
        forge.path("deployments", number, "statuses"),
        needs=NEEDS,
        state=state,
        description=text,
        environment=deployment.environment,
        environment_url=deployment.url if live else None,
        log_url=deployment.log if state != "inactive" else None,
        auto_inactive=False,  # ours knows which names there are, and does not stop at what is no production
    )


def _state(forge: GitHub, rest: Rest, number: int) -> tuple[str, str]:
    """The latest state and its description; ("", "") where it has none yet."""
    listed = rest.get(forge.path("deployments", number, "statuses"), list, needs=NEEDS, per_page=PAGE)
    found = [each for each in listed if isinstance(each, dict) and isinstance(each.get("id"), int)]
    latest = max(found, key=lambda each: each["id"], default={})
    return str(latest.get("state") or ""), str(latest.get("description") or "")


def _number(data: Any) -> int | None:
    number = data.get("id") if isinstance(data, dict) else None
    return number if isinstance(number, int) and not isinstance(number, bool) else None


def _payload(data: dict[str, Any]) -> dict[str, Any]:
    """What was put into a record; others' may be a text, which may be JSON."""
    payload = data.get("payload")
    if isinstance(payload, str):
        try:
            payload = json.loads(payload)
        except (ValueError, RecursionError):
            return {}
    return payload if isinstance(payload, dict) else {}


def _line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LIMIT else line[: LIMIT - 1] + "…"
