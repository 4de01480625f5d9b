"""What the issue says of one model's alarms: which, since when, of which release, and what to do. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from mlops_toolkit.config import project
from mlops_toolkit.forge.base import Section
from mlops_toolkit.monitor.alerts import DOCS
from mlops_toolkit.monitor.told import KNOWN, Alarm
from mlops_toolkit.report.escape import code, colon, inline

DRIFT = ("InputsDrifted", "PredictionsDrifted")
ROWS = 30  # of a table


def section(alarms: Sequence[Alarm], environment: str, model: str, *, at: int) -> Section:
    """A section of the one issue. alarms: those that ring, none where all is well again; at: seconds since 1970, so that the older never wins."""
    key = f"alarms|{environment}|{model}"
    where = f"{inline(model)} in {inline(environment)}" if environment else inline(model)
    if not alarms:
        return Section(key, f"✅ {colon(where)} no alarm rings any more", (), run=at)
    ringing = sorted(
        alarms, key=lambda one: (KNOWN[one.name].severity != "critical", list(KNOWN).index(one.name), sorted(one.labels.items()))
    )
    return Section(key, f"🔔 {colon(where)} {sentence(ringing)}", (_alarms(ringing), *_drifted(ringing), _doing(ringing)), run=at)


def sentence(alarms: Sequence[Alarm]) -> str:
    """`3 features drifted, since 2026-01-31 12:00 (UTC), run 812 (commit a1b2c3d)`, of the worst alarm first."""
    drifted = [one for one in alarms if one.name in DRIFT]
    others = [name for name in dict.fromkeys(one.name for one in alarms) if name not in DRIFT]
    said = [KNOWN[name].summary.replace("$MODEL", "it") for name in others]
    if drifted:
        said.append(f"{len(drifted)} {'feature' if len(drifted) == 1 else 'features'} drifted")
    shown = "; ".join(said[:3]) + (f"; and {len(said) - 3} more" if len(said) > 3 else "")
    since = min((one.since for one in alarms if one.since), default="")
    return ", ".join(part for part in (shown, f"since {since} (UTC)" if since else "", release(alarms)) if part)


def release(alarms: Sequence[Alarm]) -> str:
    """Which release they speak of: its run and commit, else its version as the server calls it."""
    told: dict[str, str] = {}
    for one in alarms:
        run, commit, version = (one.labels.get(name, "") for name in ("run", "commit", "version"))
        names = " of ".join(filter(None, (f"run {inline(run)}" if run else "", f"commit {inline(commit[:7])}" if commit else "")))
        if names or version not in told:
            told[version] = names or (f"version {inline(version)}" if version else "")
    return " and ".join(list(dict.fromkeys(filter(None, told.values())))[:3])


def _alarms(alarms: Sequence[Alarm]) -> str:
    lines = ["| alarm | since (UTC) | |", "|---|---|---|"]
    lines += [f"| {_link(one.name)} | {one.since or '?'} | {inline(one.description, 200)} |" for one in alarms[:ROWS]]
    return "\n".join([*lines, *([f"\n…and {len(alarms) - ROWS} more"] if len(alarms) > ROWS else [])])


def _drifted(alarms: Sequence[Alarm]) -> Sequence[str]:
    """The features that no longer look like the example, inputs apart from answers."""
    named = [
        ("What is asked has drifted in", [one for one in alarms if one.name == "InputsDrifted"], "input"),
        ("What is answered has drifted in", [one for one in alarms if one.name == "PredictionsDrifted"], "output"),
    ]
    lines = []
    for said, found, side in named:
        features = list(dict.fromkeys((one.labels.get(side, ""), one.labels.get("feature", "")) for one in found))
        if features:
            listed = [code(" ".join(filter(None, pair)), 120) for pair in features[:ROWS]]
            more = f" and {len(features) - ROWS} more" if len(features) > ROWS else ""
            lines.append(f"{said} {', '.join(listed)}{more}.")
    return ["\n\n".join(lines)] if lines else []


def _doing(alarms: Sequence[Alarm]) -> str:
    names = list(dict.fromkeys(one.name for one in alarms))
    steps = [f"* {_link(name)}: {TO_DO[name]}" for name in names]
    return "\n".join(["**What to do**", "", *steps])


def _link(name: str) -> str:
    return f"[{name}]({project.page(DOCS)}#{name.lower()})"


TO_DO = {
    "ModelDown": "look whether its host or cluster runs; `mlops status` says what should; `mlops rollback` brings the last good release back.",
    "ModelNotReady": "read the instance's log: it says why no model is loaded; `mlops rollback` brings the last good release back.",
    "ModelRestarts": "look why it ends: killed for memory, or an uncaught error in its log; `mlops rollback` where it began with this release.",
    "ModelRefused": "read the log for the refusal; the version that answers is the one before. Publish a version whose golden examples are right.",
    "ModelFails": "`mlops rollback` where it began with this release; else look at `error.type` in the log.",
    "ErrorBudgetBurns": "`mlops rollback` where it began with this release; else look at `error.type` in the log.",
    "ErrorBudgetFades": "look which status and which `error.type` it is; nothing burns, but it does not last 30 days.",
    "ModelSaturated": "give it more instances, or fewer requests; look at the time that requests wait.",
    "RequestsRefused": "find the client that changed: the reason is in the log, what is taken in `/openapi.json`.",
    "NoTraffic": "look at what stands before it: the proxy, the name, the clients.",
    "ModelSlow": "look whether it waits (more instances) or computes (a smaller model, another machine).",
    "ModelSlower": "look whether requests became larger or the machine busier; the release is the same.",
    "InputsDrifted": "look at the named features, first for a broken source; where the world did change, train on newer data.",
    "PredictionsDrifted": "look whether inputs drifted too: then train on newer data; where they did not, look at what is not watched.",
    "FewRowsWatched": "spread requests over more instances, or accept that drift is judged by a sample.",
    "WatchingFails": "look at the server's log and at who reads it: what is not read in time is dropped.",
}
