"""HTTP over a socket of the file system, by Python's own client: the Docker engine's, `kubectl proxy`'s."""

from __future__ import annotations

import http.client
import socket


class UnixConnection(http.client.HTTPConnection):
    """timeout: seconds without a byte."""

    def __init__(self, place: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)  # `kubectl proxy` answers to that name alone
        self._place = place

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        try:
            self.sock.connect(self._place)
        except OSError:
            self.sock.close()
            raise
