"""Helm: our chart, or the user's own, upgraded as one release; what a killed job left half done is put right first.

The cluster's own rolling update takes over here, pod by pod once each has answered its golden examples; a canary, and a watch that compares, are
the target `kubernetes`. While we work we hold the same Lease as a rollout does: a release that is `pending-…` while the Lease is free was left.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mlops_toolkit.deploy import manifests
from mlops_toolkit.deploy.targets import Event, Outcome, Place, Standing, kubectl, over
from mlops_toolkit.deploy.targets.kubectl import Kubectl
from mlops_toolkit.deploy.targets.seen import seen
from mlops_toolkit.errors import EnvironmentFailure, MlopsError, UsageError
from mlops_toolkit.rollout import cluster_explain
from mlops_toolkit.rollout.accept import called
from mlops_toolkit.rollout.cluster_api import Cluster, Through
from mlops_toolkit.rollout.cluster_keep import NAME, PART, LeaseLock
from mlops_toolkit.rollout.codec import read, to_json
from mlops_toolkit.rollout.lock import Kept
from mlops_toolkit.rollout.order import Order, Release
from mlops_toolkit.system import proc

CHART = Path(__file__).resolve().parent.parent / "chart"
HELD = 15.0  # seconds for which the Lease is ours after we die
MORE = 60.0  # seconds beyond those in which pods must start, for all that is around them
BACK = 120.0  # seconds that the way back has, at least
GOOD = ("deployed", "superseded")


@dataclass(frozen=True)
class Revision:
    """One of Helm's. release: what we said that it is, None where somebody else made it, or it came to nothing."""

    number: int
    status: str
    updated: str
    release: Release | None


class HelmTarget:
    """See `targets.Target`."""

    def __init__(self, place: Place) -> None:
        self.place, self.options, self.name = place, place.options, place.name

    def spec(self, image: str) -> Mapping[str, Any]:
        """The values that our chart gets; the user's own gets `image` and `release` alone."""
        if self.options.chart:
            return {"target": "helm", "values": {}}
        options, looked = self.options, seen(image, self.place.login)
        values: dict[str, Any] = {
            "python": looked.python,
            "port": options.port,
            "replicas": options.replicas,
            "maxReplicas": options.max_replicas,
            "resources": manifests.resources(options),
            "start": max(1, round(options.rollout.start.seconds)),
            "pullSecrets": list(options.pull_secrets),
            "envSecret": kubectl.secret_of(self.place) or "",
        }
        return {"target": "helm", "values": values}

    def give(self, order: Order) -> Iterator[Event]:
        """See `targets.Target`."""
        with kubectl.opened(self.place) as reached, reached.proxy() as socket:
            cluster = Cluster(Through(socket), self.options.namespace)
            lock = Kept(LeaseLock(cluster, self.name), HELD / 5)
            owner = f"order {order.id}, process {os.getpid()} ({os.urandom(4).hex()})"
            try:
                holder = lock.take(owner, HELD)
                if holder is not None:
                    yield over(Outcome("refused", name="busy", reason=f"another one is under way: {holder}"))
                    return
                try:
                    yield from self._carried(reached, order)
                finally:
                    lock.release(owner)
            finally:
                cluster.close()

    def status(self) -> Standing:
        """From Helm's own history."""
        with kubectl.opened(self.place) as reached:
            history = self._history(reached)
        good = [one for one in reversed(history) if one.status in GOOD and one.release is not None]
        live = next((one for one in good if one.status == "deployed"), None)
        # of those before the last, one that was left pending stays so in Helm's history for ever
        pending = history[-1] if history and history[-1].status.startswith("pending-") else None
        return Standing(
            live=live.release if live else None,
            since=live.updated if live else "",
            good=tuple(one.release for one in good if one.release is not None and one is not live),
            under_way=f"revision {pending.number}" if pending else None,
            step=pending.status if pending else "",
            shares={live.release.id: 1.0} if live and live.release else {},
            trouble=(f"revision {history[-1].number} failed",) if history and history[-1].status == "failed" else (),
        )

    def render(self, order: Order, to: Path) -> Sequence[Path]:
        """What Helm would send, in one file, and the values that it is given."""
        if order.release is None:
            raise UsageError("nothing-to-render", "a rollback sends what Helm itself keeps")
        to.mkdir(parents=True, exist_ok=True)
        values, made = to / "values.json", to / "manifests.yaml"
        values.write_text(json.dumps(_values(order.release), indent=2, sort_keys=True) + "\n", encoding="utf-8")
        words = ["template", self.name, self._chart(), "--kube-version", "1.30.0", *self._files(), "--values", str(values)]
        done = _helm(Kubectl(self.options.namespace, self.place.env), *words)
        if done.status:
            raise _bad_chart(done)
        made.write_bytes(done.stdout)
        return [values, made]

    def close(self) -> None:
        """Nothing is kept open between two calls."""

    # -- below --------------------------------------------------------------------------------------------------------------------------
    def _chart(self) -> str:
        return str(self.place.folder / self.options.chart) if self.options.chart else str(CHART)

    def _files(self) -> list[str]:
        return [word for one in self.options.values for word in ("--values", str(self.place.folder / one))]

    def _carried(self, reached: Kubectl, order: Order) -> Iterator[Event]:
        history = self._history(reached)
        if history and history[-1].status.startswith("pending-"):
            yield from self._mended(reached, history)
            history = self._history(reached)
        live = next((one for one in reversed(history) if one.status == "deployed"), None)
        before = live.release if live else None
        if order.kind == "rollback":
            yield from self._back(reached, history, order, before)
            return
        release = order.release
        if release is None:
            raise UsageError("nothing-to-deploy", "the order names no release")
        if before is not None and before.id == release.id:
            yield over(Outcome("same", before, before, reason=f"{called(before)} is live since {live.updated if live else ''}"))
            return
        kubectl.give_secrets(reached, self.place)
        yield Event("start", "begins", f"helm upgrade {self.name} to {called(release)}")
        done = self._upgrade(reached, release, order.start)
        if done.status == 0:
            yield over(Outcome("deployed", release, before, reason=f"{called(release)} is live"))
            return
        why = self._why(reached) or cluster_explain.clean(done.trouble)
        yield Event("back", "failed", f"{called(release)} does not run: {why}")
        good = [one for one in history if one.status in GOOD]
        self._restored(reached, good[-1].number if good else None, order.start)
        yield over(Outcome("rolled-back", before, before, "does-not-start", f"{called(release)} does not run: {why}"))

    def _mended(self, reached: Kubectl, history: Sequence[Revision]) -> Iterator[Event]:
        """A release that is `pending-…` though the Lease was free: whoever began it is gone."""
        left = history[-1]
        good = [one for one in history if one.status in GOOD]
        to = f"back to revision {good[-1].number}" if good else "uninstalled: there is none before it"
        yield Event("back", "begins", f"revision {left.number} of {self.name} was left {left.status} by a job that is gone: {to}")
        self._restored(reached, good[-1].number if good else None, self.options.rollout.start.seconds)
        yield Event("back", "done", f"revision {left.number} is put right")

    def _back(self, reached: Kubectl, history: Sequence[Revision], order: Order, before: Release | None) -> Iterator[Event]:
        wanted = order.release.id if order.release else None
        known = [one for one in reversed(history) if one.status == "superseded" and one.release is not None]
        to = next((one for one in known if (one.release and one.release.id == wanted) or (not wanted and one.release != before)), None)
        if to is None:
            yield over(Outcome("refused", before, before, "nothing-good", "Helm keeps no revision of it that could be gone back to"))
            return
        yield Event("start", "begins", f"helm rollback {self.name} to revision {to.number}, {called(to.release)}")
        self._restored(reached, to.number, order.start)
        yield over(Outcome("deployed", to.release, before, reason=f"{called(to.release)} is live again"))

    def _upgrade(self, reached: Kubectl, release: Release, start: float) -> proc.Completed:
        with tempfile.TemporaryDirectory(prefix="mlops-") as folder:
            values = Path(folder) / "values.json"
            values.write_text(json.dumps(_values(release)), encoding="utf-8")
            words = ["upgrade", "--install", self.name, self._chart(), *self._files(), "--values", str(values), "--wait"]
            words += ["--timeout", f"{start:.0f}s", "--history-max", str(2 * self.options.keep + 2), "--reset-values"]
            return _helm(reached, *words, timeout=start + MORE)

    def _restored(self, reached: Kubectl, revision: int | None, start: float) -> None:
        """EnvironmentFailure `helm-failed`: then nothing is as it should be, and Helm's words say why.

        start: of what goes; what comes back once started well, and is not left half done because that was short.
        """
        seconds = max(start, BACK)
        words = ["uninstall", self.name] if revision is None else ["rollback", self.name, str(revision)]
        done = _helm(reached, *words, "--wait", "--timeout", f"{seconds:.0f}s", timeout=seconds + MORE)
        if done.status:
            raise EnvironmentFailure(
                "helm-failed", f"Helm cannot go back: {done.trouble}", where=self.name, hint=f"`helm history {self.name}` says more"
            )

    def _history(self, reached: Kubectl) -> list[Revision]:
        """Oldest first; none where Helm knows no release of the name."""
        done = _helm(reached, "history", self.name, "-o", "json", "--max", "50")
        if done.status and b"not found" in done.stderr:
            return []
        if done.status:
            raise reached.refused(done)
        found = []
        for one in json.loads(done.stdout):
            number, status = int(one["revision"]), str(one["status"])
            release = self._release(reached, number) if status in GOOD else None
            found.append(Revision(number, status, str(one["updated"]), release))
        return sorted(found, key=lambda one: one.number)

    def _release(self, reached: Kubectl, revision: int) -> Release | None:
        done = _helm(reached, "get", "values", self.name, "--revision", str(revision), "-o", "json")
        try:
            said = (json.loads(done.stdout or b"null") or {}).get("release")
            return read(Release, said, where=f"revision {revision}") if said else None
        except (ValueError, AttributeError, MlopsError):
            return None  # a revision that somebody else made

    def _why(self, reached: Kubectl) -> str:
        """What keeps the new pods from running, where they are our chart's."""
        chosen = f"{NAME}={self.name},{PART}=model"
        with contextlib.suppress(EnvironmentFailure):
            pods = (reached.get("pods", "--selector", chosen) or {}).get("items") or []
            names = {one["metadata"]["name"] for one in pods}
            events = [one for one in (reached.get("events") or {}).get("items") or [] if one["involvedObject"].get("name") in names]
            cause = cluster_explain.of(reached.get("deployment", self.name) or {}, pods, events)
            if cause is not None and cause.log_of is not None:
                log = reached.run("logs", cause.log_of[0], "--tail=20", *(["--previous"] if cause.log_of[1] else []))
                return f"{cause.text}; its last words: {cluster_explain.last_words(log.text)}"
            return cause.text if cause else ""
        return ""


def _values(release: Release) -> dict[str, Any]:
    values = release.spec.get("values", {})
    return {**values, "image": release.image, "release": to_json(replace(release, spec={}))}


def _helm(reached: Kubectl, *words: str, timeout: float = 60.0) -> proc.Completed:
    """EnvironmentFailure `no-helm`, `program-hangs`."""
    command = ["helm", *words, "--namespace", reached.namespace, *(["--kube-context", reached.context] if reached.context else [])]
    try:
        return proc.run(command, env=reached.env, timeout_seconds=timeout, whole=True)
    except EnvironmentFailure as error:
        if error.name != "program-missing":
            raise
        raise EnvironmentFailure("no-helm", "the program helm is not there", hint="install helm (helm.sh) in the deploying job") from error


def _bad_chart(done: proc.Completed) -> UsageError:
    return UsageError("bad-chart", f"Helm cannot render it: {done.trouble}", where="chart", hint="`helm lint` says more")


def open_target(place: Place) -> HelmTarget:
    """The row of `targets.TARGETS`."""
    return HelmTarget(place)
