"""A namespace of a Kubernetes cluster: a Job there carries the order out, or, where that may not be, this process does through kubectl."""

from __future__ import annotations

import contextlib
import hashlib
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mlops_toolkit.deploy import agent_job, manifests
from mlops_toolkit.deploy.targets import Event, Place, Standing, kubectl
from mlops_toolkit.deploy.targets.heard import heard
from mlops_toolkit.deploy.targets.kubectl import Kubectl
from mlops_toolkit.deploy.targets.seen import seen
from mlops_toolkit.errors import EnvironmentFailure, UsageError
from mlops_toolkit.rollout import bundle, cluster_explain
from mlops_toolkit.rollout.cluster_api import Cluster, Through
from mlops_toolkit.rollout.cluster_keep import BY, NAME, PART, ClusterJournal
from mlops_toolkit.rollout.codec import to_json
from mlops_toolkit.rollout.kubernetes_driver import KubernetesDriver
from mlops_toolkit.rollout.order import Order
from mlops_toolkit.rollout.state import fold
from mlops_toolkit.rollout.status import standing
from mlops_toolkit.system.beside import beside

Object = dict[str, Any]
PATIENCE = 180.0  # seconds in which a Job's pod must begin


class KubernetesTarget:
    """See `targets.Target`."""

    def __init__(self, place: Place) -> None:
        self.place, self.options = place, place.options
        self.name = place.name

    def spec(self, image: str) -> Mapping[str, Any]:
        """UsageError `no-such-image`, `needs-cpu`, `no-shadow`."""
        options, at = self.options, self.place.at
        if options.max_replicas and not options.resources.cpu:
            hint = "how many processors one instance asks for is what their number is measured by"
            raise UsageError("needs-cpu", "max-replicas needs resources.cpu", where=at("max-replicas"), hint=hint)
        if options.max_replicas and options.max_replicas < options.replicas:
            raise UsageError("needs-cpu", f"max-replicas is below replicas ({options.replicas})", where=at("max-replicas"))
        if options.rollout.strategy == "shadow":
            raise UsageError("no-shadow", "nothing copies traffic in a cluster", where=at("rollout"), hint="use canary or blue-green")
        looked = seen(image, self.place.login)
        made = manifests.spec(self.name, image, options, env=kubectl.secret_of(self.place), python=looked.python)
        agent = options.agent_image or looked.base or image
        return {**made, "agent": {"image": agent, "python": "python3" if options.agent_image else looked.python}}

    def give(self, order: Order) -> Iterator[Event]:
        """See `targets.Target`."""
        with kubectl.opened(self.place) as reached:
            kubectl.give_secrets(reached, self.place)
            yield from self._here(reached, order) if self.options.runs == "here" else self._there(reached, order)

    def status(self) -> Standing:
        """From the journal in the cluster, and what is seen there."""
        with kubectl.opened(self.place) as reached, reached.proxy() as socket:
            cluster = Cluster(Through(socket), self.options.namespace)
            try:
                state = fold(ClusterJournal(cluster, self.name).read())
                return standing(state, KubernetesDriver(cluster, self.name).observe())
            finally:
                cluster.close()

    def render(self, order: Order, to: Path) -> Sequence[Path]:
        """A file an object, as YAML; what the agent needs stands in a folder of its own. Secrets are not written."""
        import yaml

        if order.release is None:
            raise UsageError("nothing-to-render", "a rollback sends what the cluster itself keeps")
        spec, release = order.release.spec, order.release.id
        agent = spec["agent"]
        job = agent_job.job(
            self.name, self.options.namespace, to_json(order), bundle.data(), pull_secrets=self.options.pull_secrets, **_job_image(agent)
        )
        things = {"": manifests.objects(spec, release), "agent": [*agent_job.account(self.name, self.options.namespace), *job]}
        things["kserve"] = [manifests.inference_service(self.name, self.options, spec["deployment"])]
        written = []
        for folder, found in things.items():
            for thing in found:
                place = to / folder / f"{thing['kind'].lower()}-{thing['metadata']['name']}.yaml"
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(yaml.safe_dump(thing, sort_keys=False, allow_unicode=True), encoding="utf-8")
                written.append(place)
        return written

    def close(self) -> None:
        """Nothing is kept open between two calls."""

    # -- below --------------------------------------------------------------------------------------------------------------------------
    def _here(self, reached: Kubectl, order: Order) -> Iterator[Event]:
        """The same agent file, run by us."""
        with reached.proxy() as socket, tempfile.TemporaryDirectory(prefix="mlops-") as folder:
            file = bundle.write(Path(folder))
            said = Path(folder) / agent_job.ORDER
            said.write_text(json.dumps(to_json(order)), encoding="utf-8")
            env = {
                "PATH": self.place.env.get("PATH", ""),
                "MLOPS_CLUSTER_SOCKET": str(socket),
                "MLOPS_CLUSTER_NAMESPACE": self.options.namespace,
            }
            command = [sys.executable, "-I", "-S", str(file), "run", str(said), "--driver", "kubernetes"]
            with beside(command, env=env) as running:
                yield from _until_over(map(heard, running.lines()), lambda: running.trouble)

    def _there(self, reached: Kubectl, order: Order) -> Iterator[Event]:
        """A Job, which lasts when we do not; the same order again finds its own."""
        job = agent_job.job_name(self.name, order.id)
        if reached.get("job", job) is None:
            image = self._agent_of(reached, order)
            self._account(reached)
            reached.apply(
                agent_job.job(
                    self.name, reached.namespace, to_json(order), bundle.data(), pull_secrets=self.options.pull_secrets, **_job_image(image)
                )
            )
        yield from _until_over(self._followed(reached, job), lambda: self._why(reached, job))

    def _account(self, reached: Kubectl) -> None:
        """Who may not give rights may still use those that an administrator gave before."""
        try:
            reached.apply(agent_job.account(self.name, reached.namespace))
        except EnvironmentFailure:
            if reached.get("serviceaccount", f"{self.name}-agent") is None:
                raise

    def _agent_of(self, reached: Kubectl, order: Order) -> Mapping[str, str]:
        """What the agent runs in: the order's release says it, or, of a rollback, what the cluster keeps of the releases there were."""
        if order.release is not None:
            return dict(order.release.spec["agent"])
        found = reached.get(
            "configmaps", "--selector", f"{BY}=mlops,{NAME}={self.name},{PART}=manifests", "--sort-by=.metadata.creationTimestamp"
        )
        for one in reversed((found or {}).get("items") or []):
            with contextlib.suppress(KeyError, TypeError, ValueError):
                return dict(json.loads(one["data"]["spec.json"])["agent"])
        hint = "deploy it first, or look at the namespace and the name"
        raise EnvironmentFailure("nothing-there", f"no release of {self.name} was ever deployed to {reached.namespace}", hint=hint)

    def _followed(self, reached: Kubectl, job: str) -> Iterator[Event | None]:
        """What its pod says, each line once, also where the pod began anew, until the Job has ended and all was read."""
        known: set[str] = set()
        begun = time.monotonic()
        while True:
            pods = (reached.get("pods", "--selector", f"job-name={job}", "--sort-by=.metadata.creationTimestamp") or {}).get("items") or []
            ended = self._ended(reached, job)
            if pods and pods[-1]["status"].get("phase") != "Pending":
                with reached.follow(pods[-1]["metadata"]["name"]) as running:
                    for line in running.lines():
                        digest = hashlib.sha256(line.encode()).hexdigest()
                        if digest not in known:
                            known.add(digest)
                            yield heard(line)
            elif time.monotonic() - begun > PATIENCE:
                raise EnvironmentFailure(
                    "agent-does-not-start", f"the agent's Job does not begin: {self._why(reached, job)}", where=f"Job {job}"
                )
            if ended:
                return
            time.sleep(1.0)

    def _ended(self, reached: Kubectl, job: str) -> bool:
        found = reached.get("job", job)
        conditions = (found or {}).get("status", {}).get("conditions") or []
        return found is None or any(one["type"] in ("Complete", "Failed") and one["status"] == "True" for one in conditions)

    def _why(self, reached: Kubectl, job: str) -> str:
        """What the cluster says of its pod."""
        pods = (reached.get("pods", "--selector", f"job-name={job}") or {}).get("items") or []
        cause = cluster_explain.of({}, pods, [])
        return cause.text if cause else f"`kubectl describe job {job}` says more"


def _job_image(agent: Mapping[str, str]) -> dict[str, str]:
    return {"image": agent["image"], "python": agent["python"]}


def _until_over(events: Iterator[Event | None], why: Callable[[], str]) -> Iterator[Event]:
    """Up to the last one. EnvironmentFailure `agent-ended` where it never came."""
    last = None
    for event in events:
        if event is not None:
            yield event
            if event.state == "over":
                return
            last = event if event.state == "failed" and event.step == "end" else last
    if last is not None:
        raise EnvironmentFailure(str(last.data.get("name") or "agent-ended"), last.text, hint=last.data.get("hint"))
    raise EnvironmentFailure(
        "agent-ended", f"whoever carried the order out ended before it was over: {why()}", hint="run the same command again"
    )


def open_target(place: Place) -> KubernetesTarget:
    """The row of `targets.TARGETS`."""
    return KubernetesTarget(place)
