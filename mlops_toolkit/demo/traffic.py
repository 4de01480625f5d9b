"""Clients of the demo's model: they ask for one real scan after the other while releases come and go, and count what became of it."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import importlib.util
import json
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

PATH = "/v2/models/digits/infer"
CLIENTS, PAUSE = 2, 0.03  # seconds between an answer and the next question of one client


def scans() -> list[list[float]]:
    """The 64 pixels of each of scikit-learn's scans, from its file."""
    found = importlib.util.find_spec("sklearn")
    assert found is not None and found.origin is not None  # noqa: S101, PT018 -- the demo looked before it began
    with gzip.open(Path(found.origin).parent / "datasets/data/digits.csv.gz", "rt", encoding="ascii") as file:
        return [[float(word) for word in line.split(",")[:-1]] for line in file]


def question(pixels: list[float]) -> str:
    """One scan, as the Open Inference Protocol has it."""
    return json.dumps({"inputs": [{"name": "image", "datatype": "FP64", "shape": [1, 8, 8], "data": pixels}]})


@dataclass
class Counted:
    """How requests ended: answers by the release that gave them, and failures by what they were."""

    answered: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def note(self, answered: str = "", failed: str = "") -> None:
        """One request more. Several clients may say so at once."""
        with self.lock:
            (self.answered if answered else self.failed)[answered or failed] += 1

    @property
    def requests(self) -> int:
        return sum(self.answered.values()) + sum(self.failed.values())

    def sentence(self) -> str:
        """For people."""
        failed = sum(self.failed.values())
        why = f" ({', '.join(f'{count} × {what}' for what, count in self.failed.most_common(3))})" if failed else ""
        return f"{self.requests:,} requests in that time: {failed:,} failed{why}"


@contextlib.contextmanager
def asking(port: int) -> Iterator[Counted]:
    """Ask until the block is left."""
    counted, over, asked = Counted(), threading.Event(), [question(one) for one in scans()]
    clients = [
        threading.Thread(target=_client, args=(port, asked[number::CLIENTS], counted, over), daemon=True) for number in range(CLIENTS)
    ]
    for one in clients:
        one.start()
    try:
        yield counted
    finally:
        over.set()
        for one in clients:
            one.join(timeout=30)


def _client(port: int, asked: list[str], counted: Counted, over: threading.Event) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    number = 0
    while not over.wait(PAUSE):
        number += 1
        try:
            connection.request("POST", PATH, asked[number % len(asked)], {"Content-Type": "application/json"})
            answer = connection.getresponse()
            body = answer.read()
            if answer.status == 200:
                counted.note(answered=str(json.loads(body).get("model_version")))
            else:
                counted.note(failed=f"status {answer.status}")
        except (OSError, http.client.HTTPException, ValueError) as error:
            counted.note(failed=type(error).__name__)
            connection.close()
    connection.close()
