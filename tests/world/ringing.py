"""Alarms as Prometheus and its Alertmanager tell them, and a Prometheus that answers nothing but which of them ring."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from tests.world.listening import listening


def alarm(name: str = "InputsDrifted", *, status: str = "firing", since: str = "2026-03-01T11:20:00.5Z", **labels: str) -> dict[str, Any]:
    said = {"alertname": name, "model": "spam", "environment": "production", "severity": "warning", **labels}
    return {
        "status": status,
        "labels": said,
        "annotations": {"description": f"{name} of {labels}"},
        "startsAt": since,
        "endsAt": "0001-01-01T00:00:00Z",
    }


@contextmanager
def prometheus(answer: Any, status: int = 200, asked: list[str] | None = None) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if asked is not None:
                asked.append(f"{self.path} {self.headers.get('authorization')}")
            raw = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(raw)))
            self.send_header("location", "/elsewhere")
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: Any) -> None:
            """Nobody reads it."""

    with listening(HTTPServer(("127.0.0.1", 0), Handler)) as port:
        yield f"http://127.0.0.1:{port}"


def rings(*alarms: dict[str, Any]) -> dict[str, Any]:
    found = [
        {"labels": one["labels"], "annotations": one["annotations"], "state": one["status"], "activeAt": one["startsAt"], "value": "1"}
        for one in alarms
    ]
    return {"status": "success", "data": {"alerts": found}}
