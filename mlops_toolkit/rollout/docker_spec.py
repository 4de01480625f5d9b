"""How a release's containers are run on a Docker host: from its spec to what the engine is asked to create. Pure."""

from __future__ import annotations

import hashlib
import ipaddress
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.rollout.driver import ReleaseFailure
from mlops_toolkit.rollout.order import Release
from mlops_toolkit.rollout.proxy import FIRST, PORT, SLOTS

LABEL = "org.mlops."  # of everything that is ours
NOBODY = "10001:10001"
STOP_SECONDS = 30
# Enough to look at what went wrong, and never the disk.
LOGS = {"Type": "json-file", "Config": {"max-size": "20m", "max-file": "5"}}
SAFE = {"ReadonlyRootfs": True, "CapDrop": ["ALL"], "SecurityOpt": ["no-new-privileges"], "RestartPolicy": {"Name": "unless-stopped"}}


@dataclass(frozen=True)
class Spec:
    """`Release.spec` on a Docker host.

    port, proxy, proxy_image   of the proxy: where it answers on the host (0: chosen by the engine), its kind, its image (None: the kind's own)
    replicas                   instances
    cpus, memory, gpus         of each: cores, bytes, number; None: no limit
    env                        names of the variables that it gets; their values lie beside the journal
    agent_image, python        in which image, with which interpreter, it is watched over
    """

    port: int = 8080
    proxy: str = "haproxy"
    proxy_image: str | None = None
    replicas: int = 1
    cpus: float | None = None
    memory: int | None = None
    gpus: int = 0
    env: tuple[str, ...] = ()
    agent_image: str = ""
    python: str = "python3"

    def document(self) -> dict[str, Any]:
        """As it stands in an order."""
        return {**vars(self), "env": list(self.env)}

    @classmethod
    def read(cls, said: Mapping[str, Any]) -> Spec:
        """ReleaseFailure `bad-spec`: an order of another version, or for another target."""
        try:
            known = cls(**{**said, "env": tuple(map(str, said.get("env", ())))})
            fine = 0 <= int(known.port) < 65536 and 1 <= int(known.replicas) <= SLOTS // 3 and int(known.gpus) >= 0
        except (TypeError, ValueError) as error:
            raise ReleaseFailure("bad-spec", f"how it is to be run here cannot be read: {error}") from error
        if not fine:
            raise ReleaseFailure("bad-spec", f"a port is below 65536, and there are 1 to {SLOTS // 3} instances on a Docker host")
        return known


def names(name: str) -> dict[str, str]:
    """What our things of this name are called."""
    return {"network": f"mlops-{name}", "proxy": f"mlops-{name}-proxy", "agent": f"mlops-{name}-agent", "image": f"mlops/{name}"}


def address(subnet: str, slot: int) -> str:
    """A slot's own address in our network. EnvironmentFailure `network-too-small`."""
    net = ipaddress.ip_network(subnet)
    if net.num_addresses < 4 * (FIRST + SLOTS):
        raise EnvironmentFailure(
            "network-too-small", f"Docker gives networks of {net.num_addresses} addresses", hint="let default-address-pools have a size of 24 or less"
        )  # fmt: skip
    return str(net[FIRST + slot])


def network(subnet: str) -> dict[str, Any]:
    """The range that Docker gives addresses from by itself is the upper half: nobody who joins can take a slot's."""
    upper = list(ipaddress.ip_network(subnet).subnets(1))[1]
    return {"Driver": "default", "Config": [{"Subnet": subnet, "IPRange": str(upper)}]}


def instance(
    name: str, release: Release, image: Mapping[str, Any], *, replica: int, slot: int, subnet: str, secrets: Mapping[str, str]
) -> dict[str, Any]:
    """One instance, as `POST /containers/create` has it. image: as inspected; secrets: values of `env`."""
    spec = Spec.read(release.spec)
    missing = [one for one in spec.env if one not in secrets]
    if missing:
        raise ReleaseFailure(
            "no-value", f"there is no value here of the variable {missing[0]}", "deploy it again from where the variable is set"
        )
    config = image.get("Config") or {}
    user = str(config.get("User") or "")
    # The port is ours to choose; what is stopped has no traffic any more, so it need not wait for any.
    told = {
        "MLOPS_SERVE_GRACE": "0s",
        **{one: secrets[one] for one in spec.env},
        "MLOPS_SERVE_PORT": str(PORT),
        "MLOPS_SERVE_HOST": "0.0.0.0",  # noqa: S104
    }
    return {
        "Image": image["Id"],
        "Env": [f"{key}={value}" for key, value in told.items()],
        "User": NOBODY if user.split(":")[0] in ("", "0", "root") else user,
        "Labels": labels(
            name,
            "instance",
            agent=spec.agent_image,
            python=spec.python,
            release=release.id,
            slot=slot,
            replica=replica,
            replicas=spec.replicas,
            spec=digest(release),
        ),
        "StopTimeout": STOP_SECONDS,
        "HostConfig": {
            **SAFE,
            **resources(spec),
            "NetworkMode": names(name)["network"],
            "Tmpfs": {"/tmp": "rw,nosuid,nodev,size=256m"},  # noqa: S108 -- the container's own
            "PidsLimit": 1000,
            "LogConfig": LOGS,
        },
        "NetworkingConfig": at(names(name)["network"], address(subnet, slot), [name]),
    }


def proxy(name: str, spec: Spec, image: str, running: Mapping[str, Any], *, files: str, where: str) -> dict[str, Any]:
    """The proxy's container. running: how its kind runs; files: the volume or folder that it sees as /proxy; where: its address."""
    return {
        "Image": image,
        "User": NOBODY,
        **{key: value for key, value in running.items() if key != "Tmpfs"},
        "Labels": labels(name, "proxy", kind=spec.proxy, port=spec.port),
        "ExposedPorts": {f"{PORT}/tcp": {}},
        "HostConfig": {
            **SAFE,
            "Binds": [f"{files}:/proxy"],
            "NetworkMode": names(name)["network"],
            "PortBindings": {f"{PORT}/tcp": [{"HostPort": str(spec.port) if spec.port else ""}]},
            "Tmpfs": running["Tmpfs"],
            "PidsLimit": 200,
            "LogConfig": LOGS,
        },
        "NetworkingConfig": at(names(name)["network"], where, []),
    }


def resources(spec: Spec) -> dict[str, Any]:
    """Limits of one instance, in the engine's words."""
    found: dict[str, Any] = {}
    if spec.memory:
        found |= {"Memory": spec.memory, "MemorySwap": spec.memory}
    if spec.cpus:
        found["NanoCpus"] = int(spec.cpus * 1e9)
    if spec.gpus:
        found["DeviceRequests"] = [{"Count": spec.gpus, "Capabilities": [["gpu"]]}]
    return found


def labels(name: str, role: str, **more: object) -> dict[str, str]:
    """What our things are known by."""
    return {f"{LABEL}name": name, f"{LABEL}role": role, **{LABEL + key: str(value) for key, value in more.items()}}


def at(network: str, where: str, aliases: Sequence[str]) -> dict[str, Any]:
    """A fixed address in a network. aliases: names that lead there, for whoever else is in it."""
    return {"EndpointsConfig": {network: {"IPAMConfig": {"IPv4Address": where}, "Aliases": list(aliases)}}}


def digest(release: Release) -> str:
    """Of what makes an instance what it is. Not of the variables' values: a label is read by many."""
    spec = Spec.read(release.spec).document()
    kept = {key: spec[key] for key in ("cpus", "memory", "gpus", "env")}
    return hashlib.sha256(json.dumps([release.image, kept], sort_keys=True).encode()).hexdigest()[:16]
