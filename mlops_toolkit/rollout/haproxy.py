"""HAProxy before the instances: shares change over its admin socket, without a reload, and no connection is ever closed by a change.

Its configuration is written anew with each change too, so that it comes back from a restart with the same shares. Commands and the columns
of `show stat`: docs.haproxy.org, management guide, sections 9.1 and 9.3.
"""

from __future__ import annotations

import csv
import io
import re
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.rollout import files
from mlops_toolkit.rollout.engine_api import Engine
from mlops_toolkit.rollout.proxy import MOST_WEIGHT, PORT, SLOTS, Route, Seen, marked, read_marked

SECONDS = 5.0
# Retried on another instance: no connection, or one that ended without a byte of an answer (measured: without http-buffer-request a request
# that comes in two packets is not). Asking a model twice does no harm; a request larger than a buffer cannot be sent again. Instances that do not answer their readiness any more are left out before people notice: the
# second net, after the shares. The server itself gives a request up after 30 s, so nothing is waited for much longer.
_TEXT = """{mark}
global
    log stdout format raw daemon warning
    stats socket /proxy/admin.sock mode 666 level admin
    stats timeout 30s
    fd-hard-limit 50000
    tune.bufsize 65536
    hard-stop-after 10m
defaults
    mode http
    log global
    option dontlognull
    option forwardfor
    option http-buffer-request
    option redispatch 1
    retries 3
    retry-on conn-failure empty-response
    timeout connect 2s
    timeout client 75s
    timeout server 75s
    timeout queue 10s
    timeout http-request 30s
    timeout http-keep-alive 75s
frontend model
    bind :{port}
    unique-id-format %[uuid]
    http-request set-header X-Request-Id %[unique-id] unless {{ req.hdr(X-Request-Id) -m found }}
    http-response set-header Retry-After 1 if {{ status 503 }}
    default_backend model
backend model
    balance roundrobin
    http-reuse safe
    option httpchk
    http-check send meth GET uri /v2/health/ready ver HTTP/1.1 hdr Host model
    http-check expect status 200
    default-server check inter 2s fastinter 500ms downinter 1s fall 3 rise 1 maxconn 900
{servers}
"""


def text(routes: Sequence[Route], addresses: Sequence[str]) -> str:
    """The configuration with these shares; addresses of the slots, in order."""
    weight = {one.slot: one.weight for one in routes}
    servers = [
        f"    server s{slot} {address}:{PORT} " + (f"weight {weight[slot]}" if slot in weight else "weight 1 disabled")
        for slot, address in enumerate(addresses)
    ]
    return _TEXT.format(mark=marked(routes), port=PORT, servers="\n".join(servers))


def commands(before: Mapping[int, Seen], routes: Sequence[Route]) -> list[str]:
    """What is said to its socket. Who gets more, gets it first: there is no moment in which nobody has any traffic."""
    wanted = {one.slot: one.weight for one in routes}

    def rise(slot: int) -> int:
        return wanted.get(slot, 0) - (before[slot].weight if slot in before else 0)

    said = []
    for slot in sorted(range(SLOTS), key=lambda slot: (-rise(slot), slot)):
        if slot not in wanted:
            said.append(f"set server model/s{slot} state maint")
        elif wanted[slot]:
            said += [f"set weight model/s{slot} {wanted[slot]}", f"set server model/s{slot} state ready"]
        else:
            said.append(f"set server model/s{slot} state drain")
    return said


class Managed:
    """Ours, in a container of its own."""

    image = "docker.io/library/haproxy:3.2-alpine"

    def __init__(self, engine: Engine, container: str, folder: Path, addresses: Sequence[str]) -> None:
        self._engine, self._container, self._folder, self._addresses = engine, container, folder, addresses

    def create(self) -> Mapping[str, Any]:
        return {"Entrypoint": ["haproxy"], "Cmd": ["-db", "-f", "/proxy/haproxy.cfg"], "Tmpfs": {}, "StopSignal": "SIGUSR1"}

    def routes(self) -> Sequence[Route]:
        return read_marked(files.get(self._folder / "haproxy.cfg"))

    def put(self, routes: Sequence[Route]) -> None:
        files.put(self._folder / "haproxy.cfg", text(routes, self._addresses))
        now = self.seen()
        if now is None:  # it reads the file when it starts
            return
        said = commands(now, routes)
        for answer in self._say(said).split("\n"):
            if answer.strip():
                raise EnvironmentFailure("proxy-refuses", f"HAProxy refuses a change: {answer.strip()[:200]}", where=self._container)

    def seen(self) -> Mapping[int, Seen] | None:
        try:
            said = self._say(["show stat"])
        except OSError:
            return None
        return read_stat(said)

    def _say(self, words: Sequence[str]) -> str:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.settimeout(SECONDS)
            line.connect(str(self._folder / "admin.sock"))
            line.sendall((";".join(words) + "\n").encode())
            found = b""
            while more := line.recv(1 << 16):
                found += more
        return found.decode("utf-8", "replace")


def read_stat(said: str) -> dict[int, Seen]:
    """`show stat`, by slot. `eresp` and `econ` are requests that nobody answered; those asked again of another one are in neither."""
    found: dict[int, Seen] = {}
    for row in csv.DictReader(io.StringIO(said.removeprefix("# "))):
        slot = re.fullmatch(r"s(\d{1,2})", row.get("svname") or "")
        if slot is None or row.get("pxname") != "model":
            continue
        number = {name: int(value) if (value or "").isdigit() else 0 for name, value in row.items()}
        on = not any(word in (row.get("status") or "") for word in ("MAINT", "DRAIN"))
        found[int(slot[1])] = Seen(
            weight=min(MOST_WEIGHT, number.get("weight", 0)) if on else 0,
            in_flight=number.get("scur", 0) + number.get("qcur", 0),
            broken=number.get("econ", 0) + number.get("eresp", 0),
        )
    return found
