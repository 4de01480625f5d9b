"""What Prometheus is told: by its own linter and by both of its parsers, with labels that no client chooses, at a microsecond or two a request."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain

from mlops_toolkit.formats import manifest
from mlops_toolkit.serve import watched_about
from mlops_toolkit.serve.logs import Log
from mlops_toolkit.serve.watched import GONE, Watch
from tests.needs import require
from tests.unit.formats.saved import save


@dataclass(frozen=True)
class Settings:
    """As the server's."""

    log_requests: str = "all"
    log_payloads: bool = False
    drift_window: int = 5000


def value(watch: Watch, name: str, **labels: str) -> float | None:
    """Of one sample, by name and all of its labels; None where there is none."""
    text = watch.exposition()[0].decode()
    found = [one.value for family in plain(text) for one in family.samples if one.name == name and one.labels == labels]
    assert len(found) <= 1
    return found[0] if found else None


@pytest.fixture
def watch() -> Watch:
    """Of two versions of one model, one of which could not be loaded."""
    made = Watch(Settings())
    made.loaded("spam", "3", 0.8)
    made.loaded("spam", "4", 0.1, False, "its golden examples differ")
    return made


def test_requests_are_counted_by_what_the_server_knows(watch: Watch) -> None:
    for status in (200, 200, 422):
        watch.begun()
        watch.answered("spam", "3", "predict", status, 0.0031, 5, 0.001, 0.002, "x", reason=None if status == 200 else "wrong-shape")
    watch.answered("<script>", "9" * 1000, "whatever", 99, 1.0, reason="unknown-model")
    assert value(watch, "mlops_requests_total", model="spam", version="3", route="predict", status="200") == 2
    assert value(watch, "mlops_requests_total", model="", version="", route="other", status="other") == 1
    assert value(watch, "mlops_rows_total", model="spam", version="3") == 10
    assert value(watch, "mlops_rejected_total", model="spam", version="3", reason="wrong-shape") == 1
    at_most = {bound: value(watch, "mlops_request_seconds_bucket", model="spam", version="3", route="predict", le=bound) for bound in ("0.0025", "0.005", "+Inf")}  # fmt: skip
    assert at_most == {"0.0025": 0, "0.005": 3, "+Inf": 3}
    assert value(watch, "mlops_request_seconds_sum", model="spam", version="3", route="predict") == pytest.approx(0.0093)
    assert b"<script" not in watch.exposition()[0]


def test_batches_queues_and_models(watch: Watch) -> None:
    watch.batch("spam", "3", 24, 8, 0.01)
    watch.queue("spam", 7)
    watch.queue("unknown", 7)
    assert value(watch, "mlops_batch_rows_bucket", model="spam", version="3", le="16.0") == 0
    assert value(watch, "mlops_batch_rows_bucket", model="spam", version="3", le="32.0") == 1
    assert value(watch, "mlops_batch_requests_sum", model="spam", version="3") == 8
    assert value(watch, "mlops_queue_rows", model="spam") == 7
    assert value(watch, "mlops_queue_rows", model="unknown") is None
    assert value(watch, "mlops_model_info", model="spam", version="3") == 1
    assert value(watch, "mlops_model_ready", model="spam", version="4") == 0
    assert value(watch, "mlops_model_loads_total", model="spam", version="4", outcome="refused") == 1
    watch.unloaded("spam", "3")
    assert value(watch, "mlops_model_ready", model="spam", version="3") is None
    assert value(watch, "mlops_batch_requests_sum", model="spam", version="3") == 8  # what was counted last can still be asked for


def test_what_the_image_says_is_told_of_its_own_model_alone(tmp_path: Path) -> None:
    """By the digest of the manifest: a model that came later has another run and another verdict."""
    folder = save(tmp_path)
    known = manifest.read(folder)
    sha = hashlib.sha256((folder / manifest.NAME).read_bytes()).hexdigest()
    said = {
        "manifest": sha,
        "run": "r-1",
        "verdict": 'pass "quoted"\n',
        "commit": "a1b2",
        "digest": "sha256:ab",
        "unknown": "x",
        "undecided": 5,
    }
    own = {"manifest": f"sha256:{sha}", "format": "handler", "framework": f"python {known.framework['version']}"}
    for text, expected in (
        (json.dumps(said), {name: said[name] for name in ("run", "verdict", "commit", "digest")}),
        (json.dumps({**said, "manifest": "0" * 64}), {}),
        *((text, {}) for text in ("", "{", "[]", "[" * 100_000, '{"manifest": 5}')),
    ):
        watch = Watch(Settings(), image=watched_about.read({"MLOPS_ABOUT": text}))
        watch.loaded("spam", "3", 0.8, folder=folder, manifest=known)
        assert watch.about("spam", "3") == {**expected, **own}
        assert value(watch, "mlops_model_info", model="spam", version="3", **expected, **own) == 1  # type: ignore[arg-type]


def test_a_version_that_is_refused_takes_nothing_from_the_one_that_goes_on_answering(watch: Watch) -> None:
    watch.loaded("spam", "3", 0.2, False, "a file is damaged")
    assert value(watch, "mlops_model_ready", model="spam", version="3") == 1
    assert value(watch, "mlops_model_loads_total", model="spam", version="3", outcome="refused") == 1


def test_the_number_of_series_is_bounded(watch: Watch) -> None:
    """A year of reloads, and refusals by any name."""
    for i in range(300):
        watch.loaded("spam", f"v{i}", 0.1)
        watch.answered("spam", f"v{i}", "infer", 200, 0.001, 1, 0.0, 0.001, reason=f"r{i}")
        watch.unloaded("spam", f"v{i}")
        watch.loaded("spam", f"w{i}", 0.1, False, "no")
    text = watch.exposition()[0].decode()
    assert text.count("mlops_rows_total{") <= GONE + 1
    assert text.count("mlops_model_ready{") <= GONE + 2
    reasons = {one.labels["reason"] for family in plain(text) if family.name == "mlops_rejected" for one in family.samples}
    assert len(reasons) <= 65


def test_promtool_and_both_parsers_agree_with_what_is_written(watch: Watch) -> None:
    promtool = require("programs", "promtool")["promtool"]
    watch.answered("spam", "3", "predict", 200, 0.0031, 5, 0.001, 0.002, "x", reason="wrong-shape")
    watch.batch("spam", "3", 24, 8, 0.01)
    watch.queue("spam", 3)
    text, kind = watch.exposition("text/plain")
    assert kind.startswith("text/plain; version=0.0.4")
    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stderr, done.stdout) == (0, b"", b"")
    opened, kind = watch.exposition("application/openmetrics-text; version=1.0.0,text/plain;q=0.5")
    assert kind.startswith("application/openmetrics-text")
    assert opened.endswith(b"# EOF\n")
    names = {family.name for family in openmetrics(opened.decode())}
    assert names == {family.name for family in plain(text.decode())}
    assert {"mlops_requests", "mlops_request_seconds", "mlops_batch_rows", "mlops_model_info", "process_resident_memory_bytes"} <= names


def test_what_goes_wrong_in_watching_is_counted_and_never_raised(watch: Watch) -> None:
    watch.answered("spam", "3", "predict", "two hundred", None)  # type: ignore[arg-type]
    watch.batch("spam", "3", "x", None, [])  # type: ignore[arg-type]
    assert value(watch, "mlops_watch_errors_total") == 2


def test_threads_lose_nothing(watch: Watch) -> None:
    def work() -> None:
        for _ in range(5000):
            watch.batch("spam", "3", 1, 1, 0.001)
            watch.answered("spam", "3", "infer", 200, 0.001, 1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert value(watch, "mlops_batch_rows_sum", model="spam", version="3") == 20_000
    assert value(watch, "mlops_rows_total", model="spam", version="3") == 20_000


def test_a_request_costs_microseconds(watch: Watch) -> None:
    """2 µs on a quiet machine for all that one request leaves behind; the bound leaves room for a busy one."""
    best = min(_cost(watch) for _ in range(5))
    assert best < 30e-6


def _cost(watch: Watch) -> float:
    begin = time.thread_time()
    for _ in range(1000):
        watch.begun()
        watch.answered("spam", "3", "infer", 200, 0.001, 1, 0.0, 0.001, "id")
    return (time.thread_time() - begin) / 1000


@pytest.mark.parametrize(
    ("requests", "payloads", "expected"),
    [("all", False, ["200", "404", "503"]), ("errors", False, ["404", "503"]), ("none", False, []), ("all", True, ["200", "404", "503"])],
)
def test_which_requests_are_logged_and_what_of_them(requests: str, payloads: bool, expected: list[str]) -> None:
    """Health is logged only where it is bad; payloads only where they are asked for."""
    events = list(_logged(Settings(requests, payloads)))
    assert [str(event["http.response.status_code"]) for event in events] == expected
    assert [event.get("http.request.body.content") for event in events] == ['{"rows": []}' if payloads else None] * len(events)


def _logged(settings: Settings) -> Iterator[dict[str, Any]]:
    read, write = os.pipe()
    log = Log(write)
    watch = Watch(settings, log)
    for route, status in (("predict", 200), ("health", 200), ("infer", 404), ("health", 503)):
        watch.answered("", "", route, status, 0.001, path="/x", method="POST", asked=b'{"rows": []}', told=b"{}")
    log.close()
    os.close(write)
    with open(read, encoding="utf-8") as lines:  # noqa: PTH123 -- a descriptor
        yield from map(json.loads, lines)
