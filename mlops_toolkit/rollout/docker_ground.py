"""What every release of a name stands on, on a Docker host: our network with fixed addresses, and the proxy. Made where it is missing."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.rollout import docker_spec, files
from mlops_toolkit.rollout.docker_spec import LABEL, Spec, names
from mlops_toolkit.rollout.driver import ReleaseFailure
from mlops_toolkit.rollout.engine_api import Engine, EngineRefusal
from mlops_toolkit.rollout.proxy import OWN, PROXIES, SLOTS, Maker, Proxy

KEPT = "container.json"
START_SECONDS = 20.0
TRIES = 20


@dataclass
class Ground:
    """Of one name.

    proxy_files  the proxy's configuration and socket, as we see them; proxy_mount: the volume, or folder of the host, that it sees them in
    us           the container that we run in, None on the host itself
    """

    engine: Engine
    name: str
    proxy_files: Path
    proxy_mount: str
    us: str | None = None
    _joined: bool = False

    def subnet(self) -> str | None:
        """Of our network; None where there is none. EnvironmentFailure `name-taken`."""
        found = self.engine.call("GET", f"/networks/{names(self.name)['network']}", fine=(404,))
        if found is None:
            return None
        self._ours(found.get("Labels"), f"the network {found['Name']}")
        self._join()
        return str(found["IPAM"]["Config"][0]["Subnet"])

    def network(self) -> str:
        """The subnet of our network, which is there now, and which we are in."""
        return self.subnet() or self._made()

    def _join(self) -> None:
        """Instances are asked from inside their network."""
        if self.us is None or self._joined:
            return
        told = self.engine.call("GET", f"/containers/{self.us}/json")
        if names(self.name)["network"] not in told["NetworkSettings"]["Networks"]:
            try:
                self.engine.call("POST", f"/networks/{names(self.name)['network']}/connect", {"Container": self.us})
            except EngineRefusal as error:
                if "already exists" not in error.words:
                    raise
        self._joined = True

    def _made(self) -> str:
        """Fixed addresses are had only in a network whose range was said: so the engine's own choice is said to it again."""
        network = names(self.name)["network"]
        labels = docker_spec.labels(self.name, "network")
        for _ in range(TRIES):
            asked = {"Name": f"{network}-range", "Labels": labels}
            tried = self.engine.call("POST", "/networks/create", asked)
            try:
                chosen = self.engine.call("GET", f"/networks/{tried['Id']}")["IPAM"]["Config"][0]["Subnet"]
            finally:
                self.engine.call("DELETE", f"/networks/{tried['Id']}", fine=(404,))
            docker_spec.address(chosen, SLOTS - 1)
            try:
                self.engine.call(
                    "POST",
                    "/networks/create",
                    {"Name": network, "CheckDuplicate": True, "Labels": labels, "IPAM": docker_spec.network(chosen)},
                )
            except EngineRefusal as error:
                if error.status == 409 or "already exists" in error.words:
                    return self.subnet() or chosen
                if "overlaps" not in error.words:
                    raise
                continue  # somebody else was faster
            self._join()
            return str(chosen)
        raise EnvironmentFailure("no-network", "Docker has no range of addresses left", hint="docker network prune")

    def proxy(self, subnet: str, kind: str | None = None) -> Proxy:
        """What speaks to the proxy, whether it runs or not. kind: None for that of the proxy that is there."""
        addresses = [docker_spec.address(subnet, slot) for slot in range(SLOTS)]
        return _maker(kind or self.kind() or "haproxy")(self.engine, names(self.name)["proxy"], self.proxy_files, addresses)

    def kind(self) -> str | None:
        """Of the proxy's container, None where there is none, and never was."""
        found = self._container()
        labels = found["Config"]["Labels"] if found is not None else self._kept().get("Labels", {})
        said = labels.get(f"{LABEL}kind")
        return None if said is None else str(said)

    def running(self, spec: Spec, subnet: str) -> Proxy:
        """The proxy, which runs now. ReleaseFailure `port-taken`, `proxy-differs`, `no-proxy-image`; EnvironmentFailure `proxy-does-not-start`."""
        found = self._container()
        if found is None:
            self._create(spec, subnet)
            found = self._container() or {}
        has = {key: found["Config"]["Labels"].get(LABEL + key) for key in ("kind", "port")}
        wants = {"kind": spec.proxy, "port": str(spec.port)}
        if has != wants:
            raise ReleaseFailure(
                "proxy-differs",
                f"the proxy {names(self.name)['proxy']} is {has['kind']} at port {has['port']}, and {wants['kind']} at {wants['port']} is asked for",
                "another one answers nobody while it takes over: remove it (docker rm --force) at a quiet time, and deploy again",
            )
        proxy = self.proxy(subnet, spec.proxy)
        if proxy.seen() is not None:
            return proxy
        if not proxy.routes():
            proxy.put([])
        self.start_again(proxy)
        return proxy

    def start_again(self, proxy: Proxy) -> None:
        """Start the container of the proxy, which does what its configuration says. As `running`."""
        if self._container() is None:  # somebody removed it
            self._made_as(self._kept())
        self._start()
        end = time.monotonic() + START_SECONDS
        while proxy.seen() is None:
            if time.monotonic() > end:
                said = " · ".join(self.engine.logs(names(self.name)["proxy"], 3))
                raise EnvironmentFailure("proxy-does-not-start", f"the proxy {names(self.name)['proxy']} does not start: {said}")
            time.sleep(0.05)

    def _start(self) -> None:
        try:
            self.engine.call("POST", f"/containers/{names(self.name)['proxy']}/start", fine=(304,))
        except EngineRefusal as error:
            if "address already in use" in error.words or "port is already allocated" in error.words:
                self.engine.call("DELETE", f"/containers/{names(self.name)['proxy']}", query={"force": 1}, fine=(404,))
                raise EnvironmentFailure(
                    "port-taken",
                    f"the port is taken on the Docker host: {error.words}",
                    where="port",
                    hint="choose another one, or free it",
                ) from error
            raise

    def _create(self, spec: Spec, subnet: str) -> None:
        proxy = self.proxy(subnet, spec.proxy)
        image = spec.proxy_image or _maker(spec.proxy).image
        if self.engine.call("GET", f"/images/{image}/json", fine=(404,)) is None:
            try:
                self.engine.pull(image)
            except EngineRefusal as error:
                raise EnvironmentFailure(
                    "no-proxy-image",
                    f"the proxy's image cannot be had: {error.words}",
                    where=image,
                    hint="name one that can: proxy-image",
                ) from error
        where = docker_spec.address(subnet, OWN)
        self.proxy_files.chmod(0o777)  # the proxy is nobody, and makes its socket there
        body = docker_spec.proxy(self.name, spec, image, proxy.create(), files=self.proxy_mount, where=where)
        files.put(self.proxy_files / KEPT, json.dumps(body))
        self._made_as(body)

    def _made_as(self, body: Mapping[str, Any]) -> None:
        try:
            self.engine.call("POST", "/containers/create", body, query={"name": names(self.name)["proxy"]})
        except EngineRefusal as error:
            if error.status != 409:  # there already
                raise

    def _kept(self) -> Mapping[str, Any]:
        """What the proxy's container was made of."""
        said = files.get(self.proxy_files / KEPT)
        return dict(json.loads(said)) if said else {}

    def _container(self) -> Mapping[str, Any] | None:
        found: Mapping[str, Any] | None = self.engine.call("GET", f"/containers/{names(self.name)['proxy']}/json", fine=(404,))
        if found is not None:
            self._ours(found["Config"].get("Labels"), f"the container {names(self.name)['proxy']}")
        return found

    def _ours(self, labels: Mapping[str, str] | None, what: str) -> None:
        if (labels or {}).get(f"{LABEL}name") != self.name:
            raise EnvironmentFailure("name-taken", f"{what} is not ours", hint="remove it, or give the deployment another name")


def _maker(kind: str) -> Maker:
    """A row of `PROXIES`. EnvironmentFailure `unknown-proxy`."""
    if kind not in PROXIES:
        raise EnvironmentFailure("unknown-proxy", f"there is no proxy {kind} here", hint=f"known: {', '.join(PROXIES)}")
    made: Maker = import_module(PROXIES[kind]).Managed
    return made
