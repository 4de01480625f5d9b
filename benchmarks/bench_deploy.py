"""Deployments on a Docker host under load: what becomes of clients and releases, in good and in bad times, against what people do otherwise.

    python benchmarks/bench_deploy.py [--write FILE] [--only ROW …]

One host, one model of one instance, six clients that ask every 20 ms from another process (four keep their connections). A failed request is
whatever is not a whole 200. *seconds*: from the order until all traffic is where it belongs, as whoever gives it sees it. A rollback finds the
old container removed, and may take ten. Troubles are brought about on an engine of the benchmark's own, in a network namespace of its own.
Rivals in the same run: `docker compose up` where there is compose, stop-then-start, and blue-green by hand with nginx.
Needs root, a Docker engine, docker-registry, and Debian's packages. Exits 1 where a promise is broken: a good rollout that fails a request while
something could answer, a bad one more than the canary's share, or an end in anything but one known release.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import deploy_rivals
from benchmarks.deploy_rivals import Row
from mlops_toolkit.oci.reference import Reference
from mlops_toolkit.rollout.order import Order, Step
from tests.docker import troubles
from tests.docker.deploying import ASKED, KINDS, PATH, Host, Studio, docker, hosting
from tests.docker.troubles import SHARE, Came, Stage
from tests.world import images
from tests.world.load import loading
from tests.world.registry import running

BACK = 10.0  # seconds that a rollback may take
FAILS = ("slow", "failing", "leaking")  # kinds that only traffic shows


@dataclass(frozen=True)
class Heard:
    """An order that was followed to its end: what became of it, and seconds from giving it to the end of each step."""

    result: str
    live: str | None
    seconds: dict[str, float]


def given(host: Host, order: Order) -> Heard:
    begun, heard, outcome = time.monotonic(), {}, None
    for event in host.target().give(order):
        if event.state == "done":
            heard[event.step] = time.monotonic() - begun
        outcome = event.outcome or outcome
    return Heard(outcome.result if outcome else "?", outcome.live.id if outcome and outcome.live else None, heard)


def releases(studio: Studio, folder: Path, wanted: Callable[[str], bool]) -> Iterator[Row]:
    """Every kind of release one after the other on one host, and a rollback at the end."""
    kinds = [kind for kind in KINDS if wanted(kind)]
    if not kinds and not wanted("rollback"):
        return
    with hosting(docker, folder) as host:
        given(host, host.order(studio.release("1", answer=1, port=host.port)))
        given(host, host.order(studio.release("2", answer=2, port=host.port)))
        for number, kind in enumerate(kinds, 3):
            release = studio.release(str(number), kind, answer=number, port=host.port, memory=256 * 2**20)
            with loading(host.port, PATH, ASKED, folder) as load:
                heard = given(host, host.order(release, steps=(Step(SHARE, 2.0, 45.0),)))
            known = heard.live is not None and host.driver().observe().shares == {heard.live: 1.0}
            allowed = int(SHARE * load.requests) if kind in FAILS else 0
            fine = known and heard.result == ("deployed" if kind == "good" else "rolled-back") and len(load.failed) <= allowed
            yield Row(f"{kind} release", heard.result, load.requests, len(load.failed), heard.seconds.get("switch" if kind == "good" else "back"), fine)  # fmt: skip
        if wanted("rollback"):
            with loading(host.port, PATH, ASKED, folder) as load:
                heard = given(host, host.order(None, kind="rollback", reason="the benchmark's"))
            taken = heard.seconds.get("switch")
            fine = heard.result == "deployed" and not load.failed and taken is not None and taken <= BACK
            yield Row("rollback, container gone", heard.result, load.requests, len(load.failed), taken, fine)


def nginx(studio: Studio, folder: Path, wanted: Callable[[str], bool]) -> Iterator[Row]:
    """The same driver with nginx before it: what a reload costs clients that keep connections, which is told and not held against it."""
    if not wanted("nginx"):
        return
    with hosting(docker, folder) as host:
        one, two = (studio.release(str(n), answer=n, port=host.port, proxy="nginx", proxy_image=studio.nginx) for n in (1, 2))
        for release in (one, two):
            with loading(host.port, PATH, ASKED, folder) as load:
                heard = given(host, host.order(release))
        fine = heard.result == "deployed" and all(one["kind"] == "kept" for one in load.failed)
        yield Row("nginx instead of HAProxy: a reload a step", heard.result, load.requests, len(load.failed), heard.seconds.get("switch"), fine)  # fmt: skip


@dataclass(frozen=True)
class Trouble:
    """A row. results: that it may end in; share: of the requests that may fail while something could answer."""

    key: str
    what: str
    play: Callable[[Stage], Came]
    results: tuple[str, ...] = ("deployed",)
    share: float = 0.0


PLAIN = (
    Trouble("two-at-once", "two deploys at once: one is refused", troubles.two_at_once),
    Trouble("registry-before", "no registry when the order is given", troubles.registry_gone_before, ("registry-unreachable",)),
    Trouble("registry-amid", "the registry goes in the middle of the image", troubles.registry_gone_amid, ("registry-unreachable",)),
    Trouble("registry-after", "the registry goes after the image is there: rollout, and a rollback", troubles.registry_gone_after),
    Trouble("engine", "Docker restarts in the canary, all containers with it", troubles.engine_restarts),
    Trouble("power", "the host loses its power in the canary", troubles.power_lost),
)
LIVE = (Trouble("live-restore", "Docker restarts in the canary, with `live-restore`", troubles.engine_restarts),)
DISK = (
    Trouble("disk-before", "no room for the new image", troubles.disk_full_before, ("disk-full",)),
    Trouble("disk-good", "the disk is full from the canary on, good release", partial(troubles.disk_fills, kind="good"), ("deployed", "rolled-back")),
    Trouble("disk-failing", "the disk is full from the canary on, failing release", partial(troubles.disk_fills, kind="failing"), ("rolled-back",), SHARE),
)  # fmt: skip
CLOCK = (Trouble("clock", "the clock jumps an hour forward in the canary, two back in the watch", troubles.clock_jumps),)
STAGES: tuple[tuple[tuple[Trouble, ...], dict[str, object]], ...] = (
    (PLAIN, {}), (LIVE, {"live_restore": True}), (DISK, {"disk": troubles.SMALL}), (CLOCK, {}),
)  # fmt: skip


def bad_times(studio: Studio, folder: Path, wanted: Callable[[str], bool]) -> Iterator[Row]:
    """Each trouble, those that need the same engine on one."""
    for rows, options in STAGES:
        chosen = [one for one in rows if wanted(one.key)]
        if not chosen:
            continue
        with troubles.stage(troubles.clock_studio(studio, folder / "clock") if rows is CLOCK else studio, folder, **options) as on:
            for one in chosen:
                try:
                    came = one.play(on)
                except AssertionError:  # it did not end in one known release
                    traceback.print_exc()
                    yield Row(one.what, "?", 0, 0, None, False)
                    continue
                outside = len(came.outside)
                fine = came.result in one.results and outside <= one.share * came.load.requests
                away = f", {came.notes['away']:.1f} s away" if "away" in came.notes else ""
                yield Row(one.what + away, came.result, came.load.requests, len(came.load.failed), None, fine, outside)


def table(rows: list[Row]) -> str:
    """As Markdown."""
    lines = ["| scenario | ended | requests | failed | of them while something could answer | seconds |", "|---|---|--:|--:|--:|--:|"]
    for one in rows:
        outside = one.failed if one.outside is None else one.outside
        taken = "–" if one.seconds is None else f"{one.seconds:.1f}"
        lines.append(f"| {one.what} | {one.ended} | {one.requests:,} | {one.failed:,} | {outside:,} | {taken} |")
    return "\n".join(lines)


def placed(text: str, page: str) -> str:
    """A page with this table in place of its own."""
    lines = page.splitlines()
    marks = [at for at, line in enumerate(lines) if line.startswith("|")]
    before, after = (lines[: marks[0]], lines[marks[-1] + 1 :]) if marks else ([*lines, ""] if lines else [], [])
    return "\n".join([*before, text, *after]) + "\n"


def main() -> int:
    keys = [*KINDS, "rollback", "nginx", *(one.key for rows, _ in STAGES for one in rows), *deploy_rivals.RIVALS]
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--write", type=Path, help="the page whose table this is")
    parser.add_argument("--only", nargs="*", choices=keys, help="these rows alone")
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bench-deploy-"))
    (folder / "registry").mkdir()

    def wanted(key: str) -> bool:
        return args.only is None or key in args.only

    rows: list[Row] = []
    with running(folder / "registry") as registry:
        digest = images.put(images.client(registry.host, "base"), "1", {"amd64": [images.debian_layer()]})
        studio = Studio.opened(registry, folder / "releases", Reference.parse(f"{registry.host}/base:1@{digest}"))
        for part in (releases, nginx, bad_times, deploy_rivals.rivals):
            for row in part(studio, folder, wanted):
                print(f"{'ok  ' if row.fine else 'FAIL'} {row}", flush=True)
                rows.append(row)
    text = table(rows)
    print(text)
    if args.write:
        args.write.write_text(placed(text, args.write.read_text(encoding="utf-8") if args.write.exists() else ""), encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    return int(not all(one.fine for one in rows))


if __name__ == "__main__":
    sys.exit(main())
