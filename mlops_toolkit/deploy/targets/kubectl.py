"""The program kubectl, as this machine reaches the cluster: whose kubeconfig, which context, which namespace. Nothing secret in its arguments."""

from __future__ import annotations

import base64
import contextlib
import json
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlops_toolkit.deploy.targets import Place
from mlops_toolkit.errors import EnvironmentFailure, UsageError
from mlops_toolkit.rollout.cluster_api import MANAGER
from mlops_toolkit.rollout.cluster_keep import BY, labels
from mlops_toolkit.system import proc
from mlops_toolkit.system.beside import Beside, beside

Object = dict[str, Any]
TIMEOUT = 60.0  # seconds that one call may take
NAME = "kubectl"


@dataclass(frozen=True)
class Kubectl:
    """One namespace. env: the whole environment that it gets: KUBECONFIG says where the cluster is."""

    namespace: str
    env: Mapping[str, str] = field(repr=False)
    context: str | None = None

    def words(self, *words: str) -> list[str]:
        """The command line."""
        return [NAME, *([f"--context={self.context}"] if self.context else []), f"--namespace={self.namespace}", *words]

    def run(self, *words: str, data: bytes | None = None) -> proc.Completed:
        """EnvironmentFailure `no-kubectl`, `program-hangs`."""
        try:
            return proc.run(self.words(*words), env=self.env, data=data, timeout_seconds=TIMEOUT)
        except EnvironmentFailure as error:
            if error.name != "program-missing":
                raise
            hint = "install kubectl (kubernetes.io/docs/tasks/tools) in the deploying job"
            raise EnvironmentFailure("no-kubectl", "the program kubectl is not there", hint=hint) from error

    def apply(self, things: Sequence[Object]) -> None:
        """By server-side apply, from standard input. EnvironmentFailure `cluster-refused`, `target-unreachable`."""
        words = ["apply", "--server-side", f"--field-manager={MANAGER}", "--force-conflicts", "-f", "-"]
        done = self.run(*words, data=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(things)}).encode())
        if done.status:
            raise self.refused(done)

    def get(self, *words: str) -> Object | None:
        """As JSON; None where there is none of that name. EnvironmentFailure as `apply`."""
        done = self.run("get", *words, "-o", "json")
        if done.status and b"NotFound" in done.stderr:
            return None
        if done.status:
            raise self.refused(done)
        found = json.loads(done.stdout)
        return found if isinstance(found, dict) else None

    def refused(self, done: proc.Completed) -> EnvironmentFailure:
        """What kubectl says, and what to do about it."""
        said, lower = done.trouble, done.trouble.lower()
        if "forbidden" in lower:
            hint = f"whoever deploys needs rights in the namespace {self.namespace}; `mlops deploy --render DIR` writes what an administrator applies once"
            return EnvironmentFailure("cluster-refused", f"the cluster refuses: {said}", where=self.namespace, hint=hint)
        words = (
            "refused",
            "no such host",
            "timeout",
            "unable to connect",
            "unauthorized",
            "logged in",
            "certificate",
            "does not exist",
            "localhost",
        )
        if any(word in lower for word in words):
            hint = "`kubeconfig` and `context` below `deploy` say how it is reached; `kubectl get pods` tries it"
            return EnvironmentFailure("target-unreachable", f"the cluster cannot be reached: {said}", hint=hint)
        return EnvironmentFailure("cluster-refused", f"the cluster refuses: {said}", where=self.namespace)

    def follow(self, pod: str) -> contextlib.AbstractContextManager[Beside]:
        """The lines of a pod's log, from its beginning, as they come."""
        return beside(self.words("logs", "--follow", pod), env=self.env)

    @contextlib.contextmanager
    def proxy(self) -> Iterator[Path]:
        """The socket of a `kubectl proxy` that only we can open. EnvironmentFailure `target-unreachable`."""
        with tempfile.TemporaryDirectory(prefix="mlops-") as folder:
            place = Path(folder) / "api"
            with beside(self.words("proxy", f"--unix-socket={place}"), env=self.env) as running:
                end = time.monotonic() + 20
                while not place.exists():
                    if not running.runs or time.monotonic() > end:
                        hint = "`kubeconfig` and `context` below `deploy` say how it is reached"
                        raise EnvironmentFailure("target-unreachable", f"the cluster cannot be reached: {running.trouble}", hint=hint)
                    time.sleep(0.02)
                yield place


@contextlib.contextmanager
def opened(place: Place) -> Iterator[Kubectl]:
    """kubectl with the kubeconfig that is configured: a file, or `env://NAME`, a variable that holds one (then in a private file meanwhile).

    What is for the model's server alone it does not get. UsageError `no-kubeconfig`.
    """
    options, where = place.options, place.at("kubeconfig")
    namespace, context, kubeconfig = options.namespace, options.context, options.kubeconfig
    known = {name: value for name, value in place.env.items() if name not in options.env}
    if kubeconfig is None:
        yield Kubectl(namespace, known, context)
        return
    if not kubeconfig.startswith("env://"):
        file = place.folder / kubeconfig
        if not file.is_file():
            raise UsageError("no-kubeconfig", f"there is no file {kubeconfig}", where=where)
        yield Kubectl(namespace, {**known, "KUBECONFIG": str(file)}, context)
        return
    variable = kubeconfig.removeprefix("env://")
    content = known.pop(variable, "")
    if not content.strip():
        hint = f"give it to the job: `env: {{{variable}: ${{{{ secrets.{variable} }}}}}}`"
        raise UsageError("no-kubeconfig", f"the variable {variable} is not set, or empty", where=where, hint=hint)
    with tempfile.TemporaryDirectory(prefix="mlops-") as private:  # made with mode 0700
        file = Path(private) / "kubeconfig"
        file.touch(0o600)
        file.write_text(content, encoding="utf-8")
        yield Kubectl(namespace, {**known, "KUBECONFIG": str(file)}, context)


def secret_of(place: Place) -> str | None:
    """The Secret that the variables of the model's server are in; None without any."""
    return f"{place.name}-env" if place.options.env else None


def give_secrets(reached: Kubectl, place: Place) -> None:
    """The variables of the model's server, as a Secret: through standard input, and not where somebody else's has the name. UsageError `not-ours`."""
    name = secret_of(place)
    if name is None or not place.secrets:
        return
    done = reached.run("get", "secret", name, "-o", "jsonpath={.metadata.labels}")
    if done.status == 0 and json.loads(done.stdout or b"{}").get(BY) != "mlops":
        hint = f"deploy under another name, or delete it; one that shall be ours gets the label {BY}=mlops"
        message = f"there is a Secret {name} in {reached.namespace} that is not ours"
        raise UsageError("not-ours", message, where=place.at("env"), hint=hint)
    about = {"name": name, "namespace": reached.namespace, "labels": labels(place.name, "env")}
    # as `data`, and not as `stringData`: of that the API server forgets whose the keys are, and one that is no longer said would stay
    data = {key: base64.b64encode(value.encode()).decode() for key, value in place.secrets.items()}
    reached.apply([{"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": about, "data": data}])
