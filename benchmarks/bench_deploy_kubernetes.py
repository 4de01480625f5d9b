"""Deployments in a cluster under load: what becomes of releases and clients in every trouble, against what people do otherwise.

    python benchmarks/bench_deploy_kubernetes.py [--write FILE] [--only NAME …]

A real Kubernetes of one node, one model of one pod (two while a canary runs), six clients from another process (four keep their connections). A
failed request is whatever is not a whole 200. *seconds*: from the order (or the command) until all traffic is where it belongs; of a release that
never got any, until it was known to be bad. Rivals in the same run, each with the same images, pods and probes of a plain manifest: `kubectl set image`
with `rollout status` and `rollout undo`, and `helm upgrade --install --atomic` with `helm rollback`.
Needs root, the one-node Kubernetes in MLOPS_TEST_TOOLS, Helm, docker-registry, and Debian's packages. Exits 1 where a good rollout fails a request, a bad one
more than the canary's share, one does not end in exactly one known release, a reason is not told, or a rollback takes more than ten seconds.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.cluster import plain
from tests.cluster.models import Models
from tests.cluster.site import Site, opened, versions
from tests.cluster.troubles import TROUBLES, Told
from tests.needs import require
from tests.world.cluster import started
from tests.world.registry import running

BACK_SECONDS = 10.0


@dataclass(frozen=True)
class Row:
    """One line. bad: answers by a release that should have had no traffic for long; None: there was none."""

    who: str
    what: str
    ended: str
    requests: int
    failed: int
    bad: int | None
    seconds: float | None
    broken: tuple[str, ...] = ()


def ours(site: Site, name: str) -> Row:
    """One of the list."""
    told: Told = TROUBLES[name](site)
    broken = told.broken
    if name == "rollback" and (told.seconds is None or told.seconds > BACK_SECONDS):
        broken = (*broken, f"the way back took {told.seconds} s")
    bad = sum(count for version, count in told.by.items() if version != "1") if told.result == "rolled-back" else None
    print(f"     {told.reason}")
    return Row("mlops", told.what, told.result, told.requests, told.failed, bad, told.seconds, broken)


def theirs(site: Site, tool: plain.Tool, kind: str, folder: Path) -> Iterator[Row]:
    """A plain Deployment gets another image, and goes back."""
    tool.install(site, site.image("1"), folder)
    with site.load() as load:
        time.sleep(1)
        begun = time.monotonic()
        went = tool.change(site, site.image("2", kind), folder, plain.LONG if kind == "good" else plain.TIMEOUT)
        taken = time.monotonic() - begun
    if kind == "good":
        yield Row(tool.name, "a good release", "deployed" if went else "failed", load.requests, len(load.failed), None, taken)
        with site.load() as load:
            begun = time.monotonic()
            tool.back(site, folder)
            taken = time.monotonic() - begun
        yield Row(tool.name, "rollback", "deployed", load.requests, len(load.failed), None, taken)
        return
    ended = "deployed" if went else "rolled-back" if tool.by_itself else f"half done after {plain.TIMEOUT} s, until `undo`"
    bad = sum(count for version, count in versions(load).items() if version != "1")
    yield Row(tool.name, plain.KINDS[kind], ended, load.requests, len(load.failed), bad, taken)


def rows(site: Callable[[], contextlib.AbstractContextManager[Site]], folder: Path, only: list[str]) -> Iterator[Row]:
    """All of them, each in a namespace of its own."""
    for name in only or TROUBLES:
        if name in TROUBLES:
            with site() as here:
                yield ours(here, name)
    for tool in plain.TOOLS:
        for kind in plain.KINDS:
            if not only or tool.name in only:
                with site() as here:
                    yield from theirs(here, tool, kind, folder)


def table(found: list[Row]) -> str:
    """As Markdown."""
    lines = ["| who | what | ended | requests | failed | answered by the bad one | seconds |", "|---|---|---|--:|--:|--:|--:|"]
    for one in found:
        bad, taken = "–" if one.bad is None else f"{one.bad:,}", "–" if one.seconds is None else f"{one.seconds:.1f}"
        lines.append(f"| {one.who} | {one.what} | {one.ended} | {one.requests:,} | {one.failed:,} | {bad} | {taken} |")
    return "\n".join(lines)


def main() -> int:
    names = [*TROUBLES, *(tool.name for tool in plain.TOOLS)]
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--write", type=Path, help="where the table goes")
    parser.add_argument("--only", nargs="*", choices=names, default=[], help="these alone")
    args = parser.parse_args()
    require("cluster", "helm", "kubectl")
    found: list[Row] = []
    folder = Path(tempfile.mkdtemp(prefix="bench-kubernetes-"))
    begun = time.monotonic()
    for part in ("registry", "cluster", "tools", "models"):
        (folder / part).mkdir()
    with running(folder / "registry") as registry, started(registry.host, folder / "cluster", folder / "tools") as kubernetes:
        models = Models(registry, folder / "models")
        for row in rows(lambda: opened(kubernetes, models), folder, args.only):
            found.append(row)
            print(f"{'FAIL' if row.broken else 'ok  '} {row}", flush=True)
    cores, load = os.cpu_count(), os.getloadavg()[2]
    text = f"{table(found)}\n\n{platform.machine()}, {cores} cores, load average {load:.1f}, {time.monotonic() - begun:.0f} s in all\n"
    print(text)
    if args.write:
        args.write.write_text(text, encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    return int(any(one.broken for one in found))


if __name__ == "__main__":
    sys.exit(main())
