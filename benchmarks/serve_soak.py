"""What many requests do to the server: an hour's worth at 90 % of what it can answer, and five times more than it can.

Requests arrive at a steady rate whether answers come or not, as those of many clients do. What is promised, and ends the benchmark with exit
status 1 where it is broken: memory is flat; every answer is the same 200; five times more than a model can answer does not lower what it does
answer, the others are refused with 429 or 503 quickly, memory ends somewhere, and afterwards everything is as before.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlops_toolkit as mlops
from benchmarks.serve_process import client, free, http, load, memory, once, ours, started
from benchmarks.serve_rivals import protocol

HOUR = 3600 * 500  # requests of a service that is asked five hundred times a second
PARTS = 10
FLAT = 2.0  # MB
HELD, QUICK, SLOWEST = 0.85, 0.05, 0.5  # share of the capacity; seconds of a refusal: the median, the 99th percentile
GROWN = 64.0  # MB that the queue and a thousand connections may take
# It computes elsewhere, as on a GPU: eight rows in ten milliseconds.
ELSEWHERE = """
import time

class Model:
    def load(self, folder):
        pass

    def predict(self, inputs):
        time.sleep(0.01)
        return {"y": inputs["x"].sum(axis=1)}
"""
Promises = dict[str, bool]  # what is broken -> whether it is


def soak(models: Path, folder: Path, rows: Any, requests: int) -> Promises:
    """So many requests, at 90 % of capacity, in ten parts."""
    port = free()
    raw = http(port, "/v2/models/digits/infer", protocol(rows[:1]))
    words, env = ours(models / "digits", port)
    with started(words, folder, env, port, raw) as (process, _):
        expected = once(port, raw)
        load(port, raw, 16, 2.0)
        most = load(port, raw, 16, 4.0)["rps"]
        rate = 0.9 * most
        print(f"capacity {most:,.0f} requests/s on 16 connections; {requests:,} requests arrive at {rate:,.0f}/s\n")
        print("| part | requests | answered/s | p50 | p99 | other than 200 | not sent in time | memory |")
        print("| :--- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
        sizes, found = [], []
        for part in range(PARTS):
            one = client("open", port, raw, f"--rate={rate}", "--most=512", f"--seconds={requests / PARTS / rate}")
            found.append(one)
            sizes.append(memory(process))
            bad = sum(count for status, count in one["statuses"].items() if status != "200") + one["unanswered"]
            times = f"{one['p50'] * 1e3:.1f} ms | {one['p99'] * 1e3:.1f} ms"
            print(
                f"| {part + 1} | {one['arrived']:,} | {one['rps']:,.0f} | {times} | {bad} | {one['unsent']} | {sizes[-1]:.1f} MB |",
                flush=True,
            )
        grown = sizes[-1] - sizes[1]
        print(f"\nmemory from the second part to the last: {grown:+.1f} MB (of {sizes[1]:.0f})")
        same = once(port, raw) == expected
    return {
        f"memory grows by more than {FLAT:g} MB": grown > FLAT,
        "at 90 % of capacity requests are refused or lost": any(set(one["statuses"]) != {"200"} or one["unanswered"] for one in found),
        "answers to one request differ": not same or any(one["other-answers"] for one in found),
    }


def overload(models: Path, folder: Path, rows: Any, seconds: float) -> Promises:
    """Five times more than a model can answer: one that computes elsewhere, one that needs the processor which refuses as well."""
    place = folder / "predict.py"
    place.write_text(ELSEWHERE)
    (folder / "elsewhere").mkdir()
    mlops.save(place, folder / "elsewhere" / "m", example={"x": [[1.0, 2.0]] * 4})
    asked = json.dumps({"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP64", "data": [1, 2]}]}).encode()
    wide = protocol((rows * 2)[:256])
    print("\n| five times too many | capacity | answered/s | p99 | refused | refused after, p50 | p99 | other | not sent | memory |")
    print("| :--- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    found: Promises = {}
    for name, where, path, body, options in (
        ("a model that computes elsewhere", folder / "elsewhere", "m", asked, ("--max-batch=8",)),
        ("256 rows to a model on the same processor", models / "digits", "digits", wide, ()),
    ):
        found |= _flooded(name, where, f"/v2/models/{path}/infer", body, folder, seconds, ("--max-wait=200ms", *options))
    return found


def _flooded(name: str, where: Path, path: str, body: bytes, folder: Path, seconds: float, options: tuple[str, ...]) -> Promises:
    port = free()
    raw = http(port, path, body)
    words, env = ours(where, port, *options)
    with started(words, folder, env, port, raw) as (process, _):
        client("closed", port, raw, "--connections=32", "--seconds=1")
        most = client("closed", port, raw, "--connections=32", "--seconds=4")["rps"]
        before = memory(process)
        one = client("open", port, raw, f"--rate={5 * most}", "--most=2000", f"--seconds={seconds}")
        grown = memory(process) - before
        after = client("open", port, raw, f"--rate={0.5 * most}", "--most=64", "--seconds=2")
    other = sum(count for status, count in one["statuses"].items() if status not in ("200", "429", "503")) + one["unanswered"]
    refused = f"{one['refused']:,} | {one['refused-p50'] * 1e3:.0f} ms | {one['refused-p99'] * 1e3:.0f} ms"
    print(
        f"| {name} | {most:,.0f}/s | {one['rps']:,.0f} | {one['p99'] * 1e3:.0f} ms | {refused} | {other} | {one['unsent']} | {grown:+.1f} MB |",
        flush=True,
    )
    return {
        f"{name}: fewer than {HELD:.0%} of its capacity are answered": one["rps"] < HELD * most,
        f"{name}: a refusal takes too long": one["refused-p50"] > QUICK or one["refused-p99"] > SLOWEST,
        f"{name}: some requests are neither answered nor refused": other > 0,
        f"{name}: memory grows by more than {GROWN:g} MB": grown > GROWN,
        f"{name}: afterwards it is not as before": set(after["statuses"]) != {"200"},
    }
