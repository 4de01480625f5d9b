"""What people do otherwise on a Docker host, each with the same images, clients and counting: rivals of `bench_deploy.py`."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mlops_toolkit.rollout.order import Release
from tests.docker.deploying import ASKED, DOCKER, PATH, Studio, docker, free_port
from tests.world.load import loading
from tests.world.waiting import wait_for

START = 120.0


@dataclass(frozen=True)
class Row:
    """What one scenario came to. seconds: until all traffic is where it belongs; outside: failed requests while something could answer, None: all."""

    what: str
    ended: str
    requests: int
    failed: int
    seconds: float | None
    fine: bool
    outside: int | None = None


def started(image: str, name: str, port: int) -> None:
    docker("run", "--detach", "--name", name, "--publish", f"127.0.0.1:{port}:8080", "--tmpfs", "/tmp", "--read-only", image)  # noqa: S108


def answers(port: int) -> bool:
    import requests

    with contextlib.suppress(requests.RequestException):
        return requests.get(f"http://127.0.0.1:{port}/v2/health/ready", timeout=2).status_code == 200
    return False


def _measured(what: str, port: int, folder: Path, change: Callable[[], None]) -> Row:
    with loading(port, PATH, ASKED, folder) as load:
        time.sleep(1)  # so that there were requests before
        begun = time.monotonic()
        change()
        wait_for(lambda: answers(port), START)
        taken = time.monotonic() - begun
        time.sleep(0.5)
    return Row(what, "deployed", load.requests, len(load.failed), taken, True)


def plain(studio: Studio, folder: Path) -> Iterator[Row]:
    """Stop the old container, start the new one."""
    port, name = free_port(), "bench-plain"
    one, two = studio.release("1", answer=1), studio.release("2", answer=2)
    docker("pull", "--quiet", two.image)
    started(one.image, name, port)

    def change() -> None:
        docker("rm", "--force", name)
        started(two.image, name, port)

    try:
        wait_for(lambda: answers(port), START)
        yield _measured("rival: `docker rm`, `docker run`", port, folder, change)
    finally:
        docker("rm", "--force", name)


def _compose() -> list[str] | None:
    """The plugin, or the program that was before it."""
    if subprocess.run([DOCKER, "compose", "version"], capture_output=True, check=False).returncode == 0:
        return [DOCKER, "compose"]
    program = shutil.which("docker-compose")
    return [program] if program else None


def compose(studio: Studio, folder: Path) -> Iterator[Row]:
    """`docker compose up` with another image."""
    program = _compose()
    if program is None:
        return
    port, file = free_port(), folder / "compose.yaml"

    def run(*words: str) -> None:
        done = subprocess.run(
            [*program, "--file", str(file), "--project-name", "benchcompose", *words], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def up(release: Release) -> None:
        file.write_text(f"version: '3'\nservices:\n  model:\n    image: {release.image}\n    ports: ['127.0.0.1:{port}:8080']\n")
        run("up", "--detach")

    one, two = studio.release("1", answer=1), studio.release("2", answer=2)
    docker("pull", "--quiet", two.image)
    up(one)
    try:
        wait_for(lambda: answers(port), START)
        yield _measured(f"rival: `{Path(program[0]).name}{' compose' if len(program) > 1 else ''} up`", port, folder, lambda: up(two))
    finally:
        run("down")


def by_hand(studio: Studio, folder: Path) -> Iterator[Row]:
    """Blue-green by a script: the new container beside the old one, nginx's upstream rewritten, a reload, the old container removed."""
    port, conf = free_port(), folder / "nginx-by-hand"
    ports, names = [free_port(), free_port()], ["bench-blue", "bench-green"]
    one, two = studio.release("1", answer=1), studio.release("2", answer=2)
    conf.mkdir(exist_ok=True)

    def to(upstream: int) -> None:
        (conf / "nginx.conf").write_text(
            "daemon off; pid /tmp/pid; error_log stderr; events {}\nhttp { access_log off; client_body_temp_path /tmp/a; proxy_temp_path /tmp/b;"
            " fastcgi_temp_path /tmp/c; uwsgi_temp_path /tmp/d; scgi_temp_path /tmp/e;\n"
            f"upstream model {{ server 127.0.0.1:{upstream}; keepalive 16; }}\n"
            f'server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://model; proxy_http_version 1.1; proxy_set_header Connection ""; }} }} }}\n'
        )

    def change() -> None:
        started(two.image, names[1], ports[1])
        wait_for(lambda: answers(ports[1]), START)
        to(ports[1])
        docker("exec", "bench-nginx", "/usr/sbin/nginx", "-c", "/conf/nginx.conf", "-s", "reload")
        docker("rm", "--force", names[0])

    docker("pull", "--quiet", two.image)
    to(ports[0])
    started(one.image, names[0], ports[0])
    try:
        wait_for(lambda: answers(ports[0]), START)
        docker(
            "run", "--detach", "--user", "10001:10001", "--name", "bench-nginx", "--network", "host", "--volume", f"{conf}:/conf:ro", "--tmpfs", "/tmp",  # noqa: S108
            "--entrypoint", "/usr/sbin/nginx", studio.nginx, "-c", "/conf/nginx.conf",
        )  # fmt: skip
        wait_for(lambda: answers(port), START)
        yield _measured("rival: blue-green by hand, nginx's reload, then `docker rm`", port, folder, change)
    finally:
        for name in (*names, "bench-nginx"):
            subprocess.run([DOCKER, "rm", "--force", name], capture_output=True, check=False, env=os.environ)


RIVALS = {"plain": plain, "compose": compose, "by-hand": by_hand}


def rivals(studio: Studio, folder: Path, wanted: Callable[[str], bool]) -> Iterator[Row]:
    """Those that are wanted and can be had."""
    for key, rival in RIVALS.items():
        if wanted(key):
            yield from rival(studio, folder)
