"""Our server against FastAPI, LitServe, BentoML, MLServer and KServe with the same ONNX model, and against the bare ONNX session.

    python benchmarks/bench_serve.py [--only NAME,…] [--seconds S]
    python benchmarks/bench_serve.py --soak [REQUESTS]

Small payloads: one row of 64 numbers to a logistic regression of scikit-learn's digits, from 1 to 64 connections, each of which asks again
when it has its answer; of each server the most requests a second whose 99th percentile stays below 20 ms. Large ones, as binary tensors: an
image of 588 kB to ResNet-50, and 1 MiB (4,096 rows) to three dense layers, where the way there and back is a good part of all there is to do;
one at a time, against `session.run` on the same array. Every server answers 200 rows as the session does first. Servers have one processor, the client another; one process and one thread of ONNX Runtime each.
Memory is the resident set of the server's processes after the load; a cold start is from the command to the first answer; packages are what
an image must hold beside Python and the model, unpacked, without pip and compiled files.

Exits 1 where a goal is missed: at least 3 times FastAPI's requests a second, at most 5 % above the bare session for large ones.
--soak instead: so many requests (an hour's worth) at 90 % of our own capacity, and five times more than can be answered: serve_soak.py.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import serve_soak
from benchmarks.rivals import bars, python
from benchmarks.serve_process import ROOT, free, http, installed, load, memory, once, our_python, ours, own_size, pinned, session, started
from benchmarks.serve_rivals import MAKE, MODELS, RIVALS, of_protocol, protocol

LIMIT = 0.020  # seconds of the 99th percentile
CONNECTIONS = (1, 4, 8, 16, 32, 64)


def measured(name: str, models: Path, folder: Path, rows: Any, truth: Any, seconds: float) -> dict[str, Any]:
    """One server: the same answers, then requests a second at each number of connections, memory, cold start."""
    port = free()
    if name == "ours":
        (words, env), path, body, answer = ours(models / "digits", port), "/v2/models/digits/infer", protocol, of_protocol
        size = installed(our_python()) + own_size()
    else:
        rival = RIVALS[name]
        filled = {"MODEL": repr(str(models / "digits" / "model.onnx")), "PORT2": str(port + 2), "PORT1": str(port + 1), "PORT": str(port)}
        for file, text in rival.files.items():
            for word, value in filled.items():
                text = text.replace(word, value)
            (folder / file).write_text(text)
        words = [python(f"serve-{name.lower()}", *rival.packages), *(str(port) if word == "PORT" else word for word in rival.command)]
        size = installed(words[0])
        env, path, body, answer = {**rival.env, "PYTHONPATH": ""}, rival.path, rival.body, rival.answer
    raw = http(port, path, body(rows[:1]))
    with started(words, folder, env, port, raw) as (process, cold):
        for some in (rows[:1], rows):
            if not np.allclose(answer(once(port, http(port, path, body(some)))), truth[: len(some)], rtol=1e-4, atol=1e-6):
                raise SystemExit(f"{name} does not answer as the session does")
        load(port, raw, 8, 1.0)
        found = {connections: load(port, raw, connections, seconds) for connections in CONNECTIONS}
        kept = memory(process)
    good = {connections: one for connections, one in found.items() if one["p99"] <= LIMIT} or {1: found[1]}
    best = max(good, key=lambda connections: good[connections]["rps"])
    return {
        "rps": good[best]["rps"],
        "at": best,
        "p99": good[best]["p99"],
        "p50": found[1]["p50"],
        "memory": kept,
        "cold": cold,
        "size": size,
    }


BARE = """
import sys, time
import numpy as np
sys.path.insert(0, sys.argv[3])
from pathlib import Path
from benchmarks.serve_process import session
bare, x = session(Path(sys.argv[1])), np.load(sys.argv[2])
entry = bare.get_inputs()[0].name
print(bare.run(None, {entry: x})[0].tobytes().hex(), flush=True)
for _ in sys.stdin:
    begun = time.perf_counter()
    bare.run(None, {entry: x})
    print(time.perf_counter() - begun, flush=True)
"""


def large(models: Path, folder: Path, name: str, x: Any, seconds: float) -> tuple[float, float]:
    """Seconds of the bare session and of our server, one request at a time.

    Each in a process of its own on one and the same processor, the client on another; in blocks that are taken in turn (A B B A …), since
    either in its own steady state finds its memory in the processor's cache: what runs every other time never does. The median over four
    pairs of processes of the medians of each: how the memory of a process happens to lie makes more difference than what is looked for.
    """
    pairs = [_pair(models, folder, name, x, seconds) for _ in range(4)]
    alone, served = (statistics.median(times) for times in zip(*pairs, strict=True))
    return alone, served


def _pair(models: Path, folder: Path, name: str, x: Any, seconds: float) -> tuple[float, float]:
    graph, array = models / name / "model.onnx", folder / f"{name}.npy"
    np.save(array, x)
    entry = session(graph).get_inputs()[0].name
    said = {"name": entry, "shape": list(x.shape), "datatype": "FP32", "parameters": {"binary_data_size": x.nbytes}}
    head = json.dumps({"inputs": [said], "parameters": {"binary_data_output": True}}).encode()
    port = free()
    raw = http(port, f"/v2/models/{name}/infer", head + x.tobytes(), f"inference-header-content-length: {len(head)}\r\n")
    (words, env) = ours(models, port)
    times: dict[str, list[float]] = {"alone": [], "served": []}
    allowed = os.sched_getaffinity(0)
    bare = subprocess.Popen(
        pinned(0, [sys.executable, "-c", BARE, str(graph), str(array), str(ROOT)]), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert bare.stdin is not None
    assert bare.stdout is not None
    with started(words, folder, env, port, raw):
        os.sched_setaffinity(0, {max(allowed)})
        truth = bytes.fromhex(bare.stdout.readline())
        body = once(port, raw)
        if body[-len(truth) :] != truth:
            raise SystemExit("a large answer is not the session's")
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

            def alone() -> float:
                bare.stdin.write("\n")
                bare.stdin.flush()
                return float(bare.stdout.readline())

            def served() -> float:
                begun = time.perf_counter()
                connection.sendall(raw)
                left = len(body) + 1
                data = b""
                while left:
                    data += connection.recv(1 << 20)
                    _, found, rest = data.partition(b"\r\n\r\n")
                    left = len(body) - len(rest) if found else 1
                return time.perf_counter() - begun

            asked = {"alone": alone, "served": served}
            end = time.perf_counter() + seconds
            while time.perf_counter() < end:
                for which in ("alone", "served", "served", "alone"):
                    times[which] += [asked[which]() for _ in range(8)][2:]
    bare.stdin.close()
    bare.wait()
    os.sched_setaffinity(0, allowed)
    return statistics.median(times["alone"]), statistics.median(times["served"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(["ours", *RIVALS]), help="names of servers")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each load")
    parser.add_argument("--soak", type=int, nargs="?", const=serve_soak.HOUR, metavar="REQUESTS")
    parser.add_argument("--overload", type=float, default=20.0, help="seconds of each overload after a soak")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        models = folder / "models"
        models.mkdir()
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        subprocess.run([python("serve-make", *MAKE), "-c", MODELS, str(models)], env=env, check=True)
        print(
            f"{platform.machine()}, {len(os.sched_getaffinity(0))} processors, load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}\n"
        )
        rows = np.random.default_rng(0).integers(0, 17, (200, 64)).astype(float).tolist()
        truth = session(models / "digits" / "model.onnx").run(None, {"input": np.array(rows, np.float32)})[1]
        if args.soak:
            bars(serve_soak.soak(models, folder, rows, args.soak) | serve_soak.overload(models, folder, rows, args.overload))
            return
        report(args, models, folder, rows, truth)


def report(args: argparse.Namespace, models: Path, folder: Path, rows: Any, truth: Any) -> None:
    """Everything, as tables."""
    print("| server | requests/s (p99 ≤ 20 ms) | connections | p99 | one at a time | memory | cold start | packages |")
    print("| :--- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    found = {}
    for name in args.only.split(","):
        (folder / name).mkdir()
        one = found[name] = measured(name, models, folder / name, rows, truth, args.seconds)
        times = f"{one['p99'] * 1e3:.1f} ms | {one['p50'] * 1e3:.2f} ms"
        print(
            f"| {name} | {one['rps']:,.0f} | {one['at']} | {times} | {one['memory']:.0f} MB | {one['cold']:.2f} s | {one['size']:.0f} MB |",
            flush=True,
        )
    rng = np.random.default_rng(1)
    images = rng.normal(size=(1, 3, 224, 224)).astype(np.float32)
    alone, served = large(models, folder, "vision", images, 2 * args.seconds)
    print(f"\nan image to ResNet-50, 588 kB: session {alone * 1e3:.1f} ms, server {served * 1e3:.1f} ms, {served / alone - 1:+.1%}")
    missed = {"more than 5 % above the bare session for an image to ResNet-50": served / alone > 1.05}
    alone, served = large(models, folder, "dense", rng.normal(size=(4096, 64)).astype(np.float32), args.seconds)
    print(f"1 MiB to three dense layers: session {alone * 1e3:.1f} ms, server {served * 1e3:.1f} ms, {(served - alone) * 1e3:+.1f} ms")
    if "FastAPI" in found and "ours" in found:
        times = found["ours"]["rps"] / found["FastAPI"]["rps"]
        print(f"requests/s against FastAPI: {times:.1f}")
        missed["fewer than three times FastAPI's requests a second"] = times < 3
    bars(missed)


if __name__ == "__main__":
    main()
