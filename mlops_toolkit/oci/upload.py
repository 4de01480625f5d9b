"""One blob's way up: in one piece where it is small, in chunks that go on where a broken connection left them where it is large.

github.com/opencontainers/distribution-spec, "Pushing blobs". What registries do beside it is borne: some refuse chunks, some forget an upload
whose connection broke, some take only part of a chunk, some gates allow only so many bytes in one request.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from mlops_toolkit.oci.patience import Patience, Stumbled
from mlops_toolkit.oci.wire import Piece, Rejected, Source, Wire, joined

if TYPE_CHECKING:
    from requests import Response

CHUNK = 16 * 1024 * 1024
SMALLEST = 256 * 1024  # what a chunk is made no smaller than, however little a gate lets through
REFUSES_CHUNKS = (404, 405, 415, 501)
OCTETS = {"Content-Type": "application/octet-stream"}


class Upload:
    """Sends one blob. content: opens it, anew for each try, seekable; counted: told how many bytes the registry took."""

    def __init__(
        self,
        wire: Wire,
        digest: str,
        size: int,
        content: Callable[[], Source],
        *,
        scopes: tuple[str, ...],
        chunk: int,
        counted: Callable[[int], None],
    ) -> None:
        self._wire, self._digest, self._size, self._content = wire, digest, size, content
        self._scopes, self._chunk, self._counted = scopes, chunk, counted
        self._patience = Patience(wire.sleep)
        self._place: str | None = None  # where the upload goes on
        self._offset = self._furthest = 0  # bytes that the registry has; the most that it ever had
        self._unsure = False  # whether the registry must be asked how many it has
        self._resumed = False
        self._least = SMALLEST
        self._in_one = size <= chunk  # whether it goes up in one request

    def run(self, begin: dict[str, str]) -> bool:
        """Send it; False where a mount made that needless. begin: parameters of the beginning (`mount`, `from`)."""
        while True:
            try:
                if self._place is None and not self._begin(begin):
                    return False
                if self._unsure and self._is_done():
                    return True
                while not self._in_one and self._offset < self._size:
                    self._send_chunk()
                self._finish()
                return True
            except Stumbled as stumbled:  # noqa: PERF203 -- the network is slower than this
                self._patience.wait(stumbled, f"upload at {self._wire.name}")
                self._unsure = self._place is not None
            except Rejected as rejected:
                if begin and self._place is None:  # it lends nothing
                    begin, self._scopes = {}, self._scopes[:1]
                elif not self._otherwise(rejected):
                    raise
                self._place = None

    def _begin(self, parameters: dict[str, str]) -> bool:
        """Whether there is something to send."""
        query = "&".join(f"{key}={value}" for key, value in parameters.items())
        answer = self._ask("POST", "blobs/uploads/" + (f"?{query}" if query else ""), (201, 202), body=b"")
        if answer.status_code == 201:
            return False
        least = answer.headers.get("OCI-Chunk-Min-Length", "")
        if re.fullmatch(r"[0-9]{1,12}", least):
            self._least = int(least)
            self._chunk = max(self._chunk, self._least)
        self._offset, self._unsure = 0, False
        self._move(answer)
        if self._place is None:
            raise Stumbled("the registry says not where to send it")
        return True

    def _is_done(self) -> bool:
        """After a stumble: how far the registry is. Whether it has all, because only its last answer was lost."""
        if self._has():
            self._counted(self._size - self._offset)
            return True
        have = None if self._in_one else self._where()
        if have is None or have > self._size:
            self._place = None  # forgotten, or of no use: from the beginning
            return not self._begin({})
        # `0-0` is said of no byte and of one alike; no chunk is that small, so it is none
        self._advance(0 if have == 1 else have)
        self._resumed, self._unsure = True, False
        return False

    def _where(self) -> int | None:
        """How many bytes the registry has of the upload; None where it knows nothing of it."""
        assert self._place is not None  # noqa: S101
        try:
            answer = self._ask("GET", self._place, (200, 202, 204))
        except Rejected as rejected:
            if rejected.status in (0, 401, 403):
                raise
            return None
        self._move(answer)
        return _taken(answer.headers.get("Range"))

    def _has(self) -> bool:
        return self._ask("HEAD", f"blobs/{self._digest}", (200, 404)).status_code == 200

    def _send_chunk(self) -> None:
        assert self._place is not None  # noqa: S101
        size = min(self._chunk, self._size - self._offset)
        headers = {**OCTETS, "Content-Length": str(size), "Content-Range": f"{self._offset}-{self._offset + size - 1}"}
        answer = self._ask("PATCH", self._place, (201, 202, 204), headers=headers, body=Piece(self._content, self._offset, size))
        self._move(answer)
        have = _taken(answer.headers.get("Range"))
        if have is None or have > self._offset + size:
            have = self._offset + size
        if have <= self._offset:
            self._unsure = True
            raise Stumbled("the registry took nothing of a chunk")
        self._advance(have)

    def _advance(self, have: int) -> None:
        if have > self._offset:
            self._counted(have - self._offset)
        self._offset = have
        if have > self._furthest:
            self._furthest = have
            self._patience.progress()

    def _finish(self) -> None:
        assert self._place is not None  # noqa: S101
        place = f"{self._place}{'&' if '?' in self._place else '?'}digest={self._digest}"
        whole = self._in_one and self._size > 0
        headers = {**OCTETS, "Content-Length": str(self._size if whole else 0)}
        self._ask("PUT", place, (201, 204), headers=headers, body=Piece(self._content, 0, self._size) if whole else b"")
        if whole:
            self._counted(self._size)

    def _otherwise(self, rejected: Rejected) -> bool:
        """Whether another way is left after the registry rejected this one; it is taken from the beginning."""
        if rejected.status == 413 and self._smaller():
            return True
        if self._place is None or self._in_one:
            return False
        if (rejected.status in REFUSES_CHUNKS and self._offset == 0) or (rejected.status == 400 and "UNSUPPORTED" in rejected.said):
            self._in_one = True
            return True
        if rejected.status in (400, 404, 416) and self._resumed:  # what was resumed is not what was left: once more, from the first byte
            self._resumed = False
            return True
        return False

    def _smaller(self) -> bool:
        half = min(self._chunk, self._size) // 2
        if half < max(SMALLEST, self._least):
            return False
        self._chunk, self._in_one = half, False
        return True

    def _move(self, answer: Response) -> None:
        if answer.headers.get("Location"):
            self._place = joined(answer.url, answer.headers["Location"])

    def _ask(
        self, method: str, path: str, accept: tuple[int, ...], *, headers: dict[str, str] | None = None, body: bytes | Piece | None = None
    ) -> Response:
        answer = self._wire.attempt(method, path, what="upload", accept=accept, headers=headers, body=body, scopes=self._scopes)
        answer.close()
        return answer


def _taken(limits: str | None) -> int | None:
    """Bytes that `Range: 0-1023` (or `bytes=0-1023`) says are there; None where it says nothing."""
    match = re.fullmatch(r"(?:bytes[= ])?0-([0-9]{1,18})", (limits or "").strip())
    return int(match[1]) + 1 if match else None
