"""nginx before the instances, where that is what a team knows: shares are a configuration and a reload.

A reload starts new workers and lets the old ones end. Those close a kept-alive connection that is idle at once (versions before 1.27.4 know no
`keepalive_min_timeout`): a client that sends its next request in the same instant is reset, which a browser repeats and a strict client counts.
HAProxy needs no reload, so it is what we take by ourselves.
"""

from __future__ import annotations

import hashlib
import http.client
import ipaddress
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.rollout import files
from mlops_toolkit.rollout.engine_api import Engine, EngineRefusal
from mlops_toolkit.rollout.proxy import OWN, PORT, Route, Seen, marked, read_marked

TOLD = 8079  # where it says which configuration it has, in our network alone
SECONDS, STABLE = 10.0, 10
_TEXT = """{mark}
pid /tmp/nginx.pid;
error_log stderr warn;
worker_processes auto;
worker_shutdown_timeout 10m;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    server_tokens off;
    client_max_body_size 0;
    client_body_temp_path /tmp/body;
    proxy_temp_path /tmp/proxy;
    fastcgi_temp_path /tmp/fastcgi;
    uwsgi_temp_path /tmp/uwsgi;
    scgi_temp_path /tmp/scgi;
    keepalive_timeout 75s;
    map $http_x_request_id $told_id {{ default $http_x_request_id; "" $request_id; }}
    upstream model {{
{servers}
        keepalive 64;
    }}
    server {{
        listen {port} backlog=4096;
        location / {{
            proxy_pass http://model;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Request-Id $told_id;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_connect_timeout 2s;
            proxy_read_timeout 75s;
            proxy_next_upstream error timeout non_idempotent;
            proxy_next_upstream_tries 3;
        }}
    }}
    server {{
        listen {told};
        location / {{ return 200 "{digest}"; }}
    }}
}}
"""


def text(routes: Sequence[Route], addresses: Sequence[str]) -> str:
    """The configuration with these shares."""
    used = sorted((one for one in routes if one.weight), key=lambda one: one.slot)
    servers = [f"        server {addresses[one.slot]}:{PORT} weight={one.weight} max_fails=3 fail_timeout=2s;" for one in used]
    mark = marked(routes)
    # Without an instance it answers 502, as long as there is none.
    return _TEXT.format(
        mark=mark,
        port=PORT,
        told=TOLD,
        digest=hashlib.sha256(mark.encode()).hexdigest()[:16],
        servers="\n".join(servers) or "        server 127.0.0.1:9 down;\n        server 127.0.0.1:9 backup;",
    )


class Managed:
    """Ours, in a container of its own."""

    image = "docker.io/library/nginx:1.28-alpine"

    def __init__(self, engine: Engine, container: str, folder: Path, addresses: Sequence[str]) -> None:
        self._engine, self._container, self._folder, self._addresses = engine, container, folder, addresses
        self._at = str(ipaddress.ip_address(addresses[0]) + OWN)

    def create(self) -> Mapping[str, Any]:
        words = ["-c", "/proxy/nginx.conf", "-e", "stderr", "-g", "daemon off;"]
        return {"Entrypoint": ["nginx"], "Cmd": words, "Tmpfs": {"/tmp": "rw,nosuid,nodev,size=1g"}, "StopSignal": "SIGQUIT"}  # noqa: S108

    def routes(self) -> Sequence[Route]:
        return read_marked(files.get(self._folder / "nginx.conf"))

    def seen(self) -> Mapping[int, Seen] | None:
        """What its newest configuration says, where that is the one that it has; it counts nothing by itself."""
        told = self._told()
        if told is None:
            return None
        return {one.slot: Seen(one.weight) for one in self.routes()} if told == self._digest() else {}

    def put(self, routes: Sequence[Route]) -> None:
        before = files.get(self._folder / "nginx.conf")
        new = text(routes, self._addresses)
        if new == before and self._told() == self._digest():
            return
        files.put(self._folder / "nginx.conf", new)
        if self._told() is None:
            return
        try:
            self._engine.call("POST", f"/containers/{self._container}/kill", query={"signal": "HUP"})
        except EngineRefusal:  # it has just ended, and reads the file when it starts
            return
        end, same = time.monotonic() + SECONDS, 0
        while same < STABLE:  # old and new workers answer side by side for a moment
            same = same + 1 if self._told() == self._digest() else 0
            if time.monotonic() > end:
                said = " · ".join(self._engine.logs(self._container, 3))
                raise EnvironmentFailure("proxy-refuses", f"nginx does not take a change: {said}", where=self._container)
            time.sleep(0.02)

    def _digest(self) -> str:
        return hashlib.sha256(files.get(self._folder / "nginx.conf").partition("\n")[0].encode()).hexdigest()[:16]

    def _told(self) -> str | None:
        with closing(http.client.HTTPConnection(self._at, TOLD, timeout=1)) as line:
            try:
                line.request("GET", "/")
                with closing(line.getresponse()) as answer:
                    return answer.read(100).decode("ascii", "replace")
            except (OSError, http.client.HTTPException):
                return None
