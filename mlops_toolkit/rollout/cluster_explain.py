"""Why a release's pods are not ready, in words: from what the cluster says of the pods, their Deployment and their events. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

OUT_OF_MEMORY = "it needs more memory than its limit: the system ended it"
MOST = 300  # letters of somebody else's text
# words of registries that no second try changes
_FOR_EVER = re.compile(
    r"not found|manifest unknown|name unknown|unauthori[sz]ed|denied|forbidden|no match for platform|invalid reference|InvalidImageName",
    re.I,
)
_GONE = re.compile(
    r"not found|manifest unknown|no match for platform|invalid reference|InvalidImageName", re.I
)  # of these, those of the image
_ANSWER = re.compile(
    r"^.*(?:failed to resolve reference|failed to pull and unpack image) \"[^\"]*\": (?:failed to do request: \w+ \"[^\"]*\": )?", re.S
)
_SHORT = re.compile(r"Insufficient ([\w./-]*\w)")
_QUOTA = re.compile(r"exceeded quota: (?P<quota>[^,]+), requested: (?P<asked>.*?), used: (?P<used>.*?), limited: (?P<limit>.*)", re.S)
_RESOURCES = {"cpu": "processors", "memory": "memory", "nvidia.com/gpu": "GPUs", "amd.com/gpu": "GPUs"}


@dataclass(frozen=True)
class Cause:
    """What keeps a release from running.

    for_ever: nothing here changes by waiting; name: as ReleaseFailure has it; blamed: whether the release is at fault, and not what is around it.
    """

    name: str
    text: str
    for_ever: bool = False
    blamed: bool = True
    log_of: tuple[str, bool] | None = None  # the pod whose log says more, and whether that of its previous container


def clean(text: str, most: int = MOST) -> str:
    """Somebody else's words, on one line, without what a terminal or a page would act on."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return line if len(line) <= most else line[: most - 1] + "…"


def last_words(log: str) -> str:
    """The end of a server's log: messages of its JSON lines, or what stands there otherwise."""
    words = []
    for line in log.splitlines()[-8:]:
        try:
            told = json.loads(line)
            text = str(told.get("message") or "") if isinstance(told, dict) else line
        except ValueError:
            text = line
        if text.strip():
            words.append(text.strip())
    return clean(" · ".join(words[-3:]))


def of(deployment: Mapping[str, Any], pods: Sequence[Mapping[str, Any]], events: Iterable[Mapping[str, Any]]) -> Cause | None:
    """The gravest of what can be seen; None where nothing is wrong (yet).

    deployment, pods: as the API gives them, of one release; events: those of its pods.
    """
    found = [cause for cause in (_refused(deployment), *map(_of_pod, pods), _of_probe(events)) if cause is not None]
    return max(found, key=lambda one: one.for_ever, default=None)


def _refused(deployment: Mapping[str, Any]) -> Cause | None:
    """Pods that may not even be made: a quota, pod security, somebody's admission."""
    for one in deployment.get("status", {}).get("conditions") or []:
        if one.get("type") == "ReplicaFailure" and one.get("status") == "True":
            said = str(one.get("message", ""))
            quota = _QUOTA.search(said)
            if quota:
                asked, used, limit = (clean(quota[part], 80) for part in ("asked", "used", "limit"))
                text = f"the quota {clean(quota['quota'], 60)} has no room: {asked} are asked for, {used} are used, of {limit}"
                return Cause("quota", text, for_ever=True, blamed=False)
            if "PodSecurity" in said:
                return Cause(
                    "admission-refused", f"the namespace's pod security refuses it: {clean(_after(said, 'PodSecurity'))}", for_ever=True
                )
            return Cause("admission-refused", f"the cluster refuses its pods: {clean(_after(said, 'is forbidden:'))}", for_ever=True)
    return None


def _after(text: str, word: str) -> str:
    return text.split(word, 1)[1] if word in text else text


def _of_pod(pod: Mapping[str, Any]) -> Cause | None:
    name = str(pod.get("metadata", {}).get("name", ""))
    status = pod.get("status", {})
    for one in status.get("conditions") or []:
        if one.get("type") == "PodScheduled" and one.get("status") == "False" and one.get("reason") == "Unschedulable":
            return Cause("unschedulable", _unschedulable(str(one.get("message", ""))), blamed=False)
    for one in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        cause = _of_container(name, one)
        if cause is not None:
            return cause
    if status.get("phase") == "Failed":
        return Cause("does-not-start", clean(f"pod {name} failed: {status.get('reason', '')} {status.get('message', '')}"))
    return None


def _unschedulable(said: str) -> str:
    short = sorted({_RESOURCES.get(word, word) for word in _SHORT.findall(said)})
    if short:
        return f"no node has enough {' and '.join(short)} free for it ({clean(said, 160)})"
    return f"no node may take it: {clean(said, 200)}"


def _of_container(pod: str, one: Mapping[str, Any]) -> Cause | None:
    state, last = one.get("state") or {}, (one.get("lastState") or {}).get("terminated") or {}
    waiting = state.get("waiting") or {}
    reason, said = str(waiting.get("reason", "")), str(waiting.get("message", ""))
    if reason in ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable"):
        text = f"the node cannot pull {clean(str(one.get('image', '')), 200)}: {clean(_ANSWER.sub('', said)) or reason}"
        whole = f"{reason} {said}"
        return Cause("image-gone", text, for_ever=bool(_FOR_EVER.search(whole)), blamed=bool(_GONE.search(whole)))
    if reason in ("CreateContainerConfigError", "CreateContainerError", "RunContainerError"):
        return Cause(
            "does-not-start", f"its container cannot be made: {clean(said) or reason}", for_ever=reason == "CreateContainerConfigError"
        )
    ended, now_ended = last or state.get("terminated") or {}, bool(state.get("terminated"))
    restarts = int(one.get("restartCount") or 0)
    if not ended or one.get("ready"):
        return None
    if ended.get("reason") == "OOMKilled":
        return Cause("out-of-memory", OUT_OF_MEMORY, for_ever=restarts >= 1)
    times = restarts + now_ended
    text = f"it ends by itself, with {ended.get('exitCode')}, {'once' if times == 1 else f'{times} times'}"
    return Cause("does-not-start", text, for_ever=times >= 2, log_of=(pod, not now_ended))


def ended(pods: Iterable[Mapping[str, Any]]) -> str:
    """Why containers that run again ended before, of the first that did; "" where none did."""
    for pod in pods:
        for one in pod.get("status", {}).get("containerStatuses") or []:
            last = (one.get("lastState") or {}).get("terminated") or {}
            if last:
                return OUT_OF_MEMORY if last.get("reason") == "OOMKilled" else f"it ended by itself, with {last.get('exitCode')}"
    return ""


def _of_probe(events: Iterable[Mapping[str, Any]]) -> Cause | None:
    """What the startup probe (the golden examples) found last."""
    latest, when = None, ""
    for event in events:
        said, at = str(event.get("message", "")), str(event.get("lastTimestamp") or event.get("eventTime") or "")
        if event.get("reason") == "Unhealthy" and said.startswith("Startup probe") and at >= when:
            latest, when = said, at
    if latest is None:
        return None
    start = latest.find("{")
    try:
        told = json.loads(latest[start : latest.rfind("}") + 1]) if start >= 0 else {}
        error = told.get("error") or {}
        name, message = str(error.get("name") or ""), str(error.get("message") or "")
    except (ValueError, AttributeError):
        name, message = "", ""
    # the server itself asks them when it loads a model, and is never ready with one that does not answer them
    if name == "wrong-answers" or (name == "not-ready" and "does not answer its golden examples" in message):
        return Cause("wrong-answers", f"its golden examples are not answered as they should be: {clean(message)}", for_ever=True)
    return Cause("does-not-start", clean(message or latest))
