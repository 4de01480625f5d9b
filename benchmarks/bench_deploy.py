"""Deployments on a Docker host under load: what becomes of clients and releases, against what people do otherwise.

    python benchmarks/bench_deploy.py [--write FILE] [--only KIND …]

One host, one model of one instance, six clients that ask every 20 ms from another process (four keep their connections). A failed request is
whatever is not a whole 200. *switch or back*: seconds from the order until all traffic is where it belongs; a release that never got any has none. The
rollback finds the old container removed. Rivals in the same run: `docker compose up` (where there is compose), stop-then-start of a
container, and nginx with a reload.
Needs a Docker engine, docker-registry, and Debian's packages. Exits 1 where a good rollout fails a request, a bad one more than the canary's
share, or a scenario does not end in exactly one release.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from mlops_toolkit.deploy.targets import Event
from mlops_toolkit.oci.reference import Reference
from mlops_toolkit.rollout.order import Release, Step
from tests.docker.deploying import ASKED, DOCKER, KINDS, PATH, Host, Studio, docker, free_port, hosting
from tests.world import images
from tests.world.load import loading
from tests.world.registry import running
from tests.world.waiting import wait_for

SHARE = 0.25  # of the canary's step


@dataclass(frozen=True)
class Row:
    """What one scenario came to. seconds: of the switch, or of the way back."""

    what: str
    ended: str
    requests: int
    failed: int
    seconds: float | None
    fine: bool


def seconds(events: list[Event], step: str) -> float | None:
    """From the beginning of an order to the end of a step."""
    begun = next((one.at for one in events if one.step == "order"), None)
    ended = next((one.at for one in events if one.step == step and one.state == "done"), None)
    return None if begun is None or ended is None else ended - begun


def ours(host: Host, studio: Studio, folder: Path, kinds: Sequence[str]) -> Iterator[Row]:
    """Every scenario one after the other on one host."""
    good = studio.release("1", answer=1, port=host.port)
    list(host.target().give(host.order(good)))
    for number, kind in enumerate(kinds):
        release = studio.release(str(number + 2), kind, answer=number + 2, port=host.port, memory=256 * 2**20)
        with loading(host.port, PATH, ASKED, folder) as load:
            events = list(host.target().give(host.order(release, steps=(Step(SHARE, 2.0, 45.0),))))
        outcome = events[-1].outcome
        shares = host.driver().observe().shares
        known = outcome is not None and outcome.live is not None and shares == {outcome.live.id: 1.0}
        allowed = 0 if kind in ("good", "broken", "exits", "wrong") else int(SHARE * load.requests)
        wanted = "deployed" if kind == "good" else "rolled-back"
        fine = known and outcome is not None and outcome.result == wanted and len(load.failed) <= allowed
        taken = seconds(events, "switch" if kind == "good" else "back")
        yield Row(f"{kind} release", outcome.result if outcome else "?", load.requests, len(load.failed), taken, fine)
    with loading(host.port, PATH, ASKED, folder) as load:
        begun = time.monotonic()
        events = list(host.target().give(host.order(None, kind="rollback", reason="the benchmark's")))
        whole = time.monotonic() - begun
    taken = seconds(events, "switch") or whole
    yield Row(
        "rollback, container gone",
        events[-1].outcome.result if events[-1].outcome else "?",
        load.requests,
        len(load.failed),
        taken,
        not load.failed,
    )


def nginx(studio: Studio, folder: Path) -> Iterator[Row]:
    """The same driver with nginx before it: what a reload costs."""
    with hosting(docker, folder) as host:
        one, two = (studio.release(str(n), answer=n, port=host.port, proxy="nginx", proxy_image=studio.nginx) for n in (1, 2))
        list(host.target(proxy="nginx").give(host.order(one)))
        with loading(host.port, PATH, ASKED, folder, pause=0.002) as load:
            events = list(host.target(proxy="nginx").give(host.order(two)))
        yield Row("nginx, a reload a step", "deployed", load.requests, len(load.failed), seconds(events, "switch"), True)


def started(image: str, name: str, port: int) -> None:
    docker("run", "--detach", "--name", name, "--publish", f"127.0.0.1:{port}:8080", "--tmpfs", "/tmp", "--read-only", image)  # noqa: S108


def answers(port: int) -> bool:
    import requests

    with contextlib.suppress(requests.RequestException):
        return requests.get(f"http://127.0.0.1:{port}/v2/health/ready", timeout=2).status_code == 200
    return False


def plain(studio: Studio, folder: Path) -> Iterator[Row]:
    """Stop the old container, start the new one."""
    port, name = free_port(), "bench-plain"
    one, two = studio.release("1", answer=1), studio.release("2", answer=2)
    docker("pull", "--quiet", two.image)
    started(one.image, name, port)
    try:
        wait_for(lambda: answers(port), 120)
        with loading(port, PATH, ASKED, folder) as load:
            time.sleep(1)
            begun = time.monotonic()
            docker("rm", "--force", name)
            started(two.image, name, port)
            wait_for(lambda: answers(port), 120)
            taken = time.monotonic() - begun
        yield Row("docker rm, docker run", "deployed", load.requests, len(load.failed), taken, True)
    finally:
        docker("rm", "--force", name)


def compose(studio: Studio, folder: Path) -> Iterator[Row]:
    """`docker compose up` with another image."""
    if subprocess.run([DOCKER, "compose", "version"], capture_output=True, check=False).returncode:
        return
    port, file = free_port(), folder / "compose.yaml"

    def up(release: Release) -> None:
        file.write_text(f"services:\n  model:\n    image: {release.image}\n    ports: ['127.0.0.1:{port}:8080']\n")
        docker("compose", "--file", str(file), "up", "--detach", "--wait")

    up(studio.release("1", answer=1))
    try:
        wait_for(lambda: answers(port), 120)
        with loading(port, PATH, ASKED, folder) as load:
            time.sleep(1)
            begun = time.monotonic()
            up(studio.release("2", answer=2))
            wait_for(lambda: answers(port), 120)
            taken = time.monotonic() - begun
        yield Row("docker compose up", "deployed", load.requests, len(load.failed), taken, True)
    finally:
        docker("compose", "--file", str(file), "down")


def table(rows: list[Row]) -> str:
    """As Markdown."""
    lines = ["| scenario | ended | requests | failed | switch or back, s |", "|---|---|--:|--:|--:|"]
    lines += [
        f"| {one.what} | {one.ended} | {one.requests:,} | {one.failed:,} | {'–' if one.seconds is None else f'{one.seconds:.1f}'} |"
        for one in rows
    ]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--write", type=Path, help="where the table goes")
    parser.add_argument("--only", nargs="*", choices=list(KINDS), help="these kinds of release alone")
    args = parser.parse_args()
    rows: list[Row] = []
    folder = Path(tempfile.mkdtemp(prefix="bench-deploy-"))
    (folder / "registry").mkdir()
    with running(folder / "registry") as registry:
        digest = images.put(images.client(registry.host, "base"), "1", {"amd64": [images.debian_layer()]})
        studio = Studio.opened(registry, folder / "releases", Reference.parse(f"{registry.host}/base:1@{digest}"))
        with hosting(docker, folder) as host:
            rows += told(ours(host, studio, folder, args.only or list(KINDS)))
        rivals: list[Callable[[Studio, Path], Iterator[Row]]] = [nginx, plain, compose]
        for rival in rivals:
            rows += told(rival(studio, folder))
    text = table(rows)
    print(text)
    if args.write:
        args.write.write_text(text + "\n", encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    return int(not all(one.fine for one in rows))


def told(rows: Iterator[Row]) -> Iterator[Row]:
    for row in rows:
        print(f"{'ok  ' if row.fine else 'FAIL'} {row}", flush=True)
        yield row


if __name__ == "__main__":
    sys.exit(main())
