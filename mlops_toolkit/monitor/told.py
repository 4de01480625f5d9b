"""What Alertmanager or Prometheus says of alarms, read as text of strangers: only our own alarms, each with its labels and since when."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlops_toolkit.errors import InvalidFile
from mlops_toolkit.monitor.alerts import ALERTS

MOST_BYTES = 8 << 20
MOST = 2000  # alarms that are looked at
LONGEST = 300  # characters of a label or an annotation
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?")
KNOWN = {alert.name: alert for alert in ALERTS}


@dataclass(frozen=True)
class Alarm:
    """An alarm that rings, or has ended. since: minute in UTC, as `2026-01-31 12:00`, empty where it is not said."""

    name: str
    firing: bool
    labels: Mapping[str, str]
    description: str = ""
    since: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """Environment and model that it speaks of."""
        return self.labels.get("environment", ""), self.labels["model"]


@dataclass(frozen=True)
class Told:
    """Our own alarms. others: how many of somebody else's were with them; cut: how many Alertmanager left out."""

    alarms: tuple[Alarm, ...]
    others: int = 0
    cut: int = 0


def webhook(raw: bytes, *, where: str) -> Told:
    """The body that Alertmanager sends to a webhook (version 4). InvalidFile `not-alerts` where it is none."""
    said = _document(raw, where)
    if said.get("version") != "4" or not isinstance(said.get("alerts"), list):
        hint = "give the body that Alertmanager posts to a webhook: `version` 4 with a list of `alerts`"
        raise InvalidFile("not-alerts", "this is not what Alertmanager sends", where=where, hint=hint)
    cut = said.get("truncatedAlerts")
    return _told(said["alerts"], lambda one: str(one.get("status")) == "firing", "startsAt", cut if isinstance(cut, int) else 0)


def asked(raw: bytes, *, where: str) -> Told:
    """Prometheus' answer to `/api/v1/alerts`: what rings now; what only may is left out. InvalidFile `not-alerts`."""
    said = _document(raw, where)
    data = said.get("data")
    found = data.get("alerts") if isinstance(data, dict) else None
    if said.get("status") != "success" or not isinstance(found, list):
        raise InvalidFile("not-alerts", "this is not what Prometheus answers", where=where, hint="give the address of Prometheus itself")
    ringing = [one for one in found if isinstance(one, dict) and one.get("state") == "firing"]
    return _told(ringing, lambda one: True, "activeAt", 0)


def _document(raw: bytes, where: str) -> dict[str, Any]:
    if len(raw) > MOST_BYTES:
        raise InvalidFile("not-alerts", f"this is larger than {MOST_BYTES >> 20} MB", where=where)
    try:
        said = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise InvalidFile(
            "not-alerts", "this is no JSON", where=where, hint="give the body that Alertmanager posts to a webhook"
        ) from error
    return said if isinstance(said, dict) else {}


def _told(found: Sequence[Any], firing: Any, since: str, cut: int) -> Told:
    alarms, others = [], 0
    for one in found[:MOST]:
        labels = _texts(one.get("labels")) if isinstance(one, dict) else {}
        if labels.get("alertname") not in KNOWN or not labels.get("model"):
            others += 1
            continue
        description = _texts(one.get("annotations")).get("description", "")
        alarms.append(Alarm(labels["alertname"], firing(one), labels, description, moment(one.get(since))))
    return Told(tuple(alarms), others, cut + max(0, len(found) - MOST))


def _texts(given: Any) -> dict[str, str]:
    if not isinstance(given, dict):
        return {}
    return {name: value[:LONGEST] for name, value in given.items() if isinstance(value, str)}


def moment(given: Any) -> str:
    """`2026-01-31T12:00:00.1Z` as `2026-01-31 12:00`; what is no such moment is not said. Prometheus and Alertmanager speak UTC."""
    if not isinstance(given, str) or not MOMENT.match(given) or given.startswith("0001"):
        return ""
    return f"{given[:10]} {given[11:16]}"
