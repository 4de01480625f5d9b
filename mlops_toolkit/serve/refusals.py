"""What a client is told when it gets no answer: a status, a name that programs may test, a sentence and the way out."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

# The protocol wants "an HTTP error status (typically 400)" for whatever is wrong inside of a request, and that is what it gets: clients
# tell names apart, not shades of 4xx. The others are those that proxies, load balancers and HTTP libraries act on by themselves.
STATUSES: dict[str, int] = {
    "bad-request": 400,
    "bad-json": 400,
    "bad-csv": 400,
    "bad-upload": 400,
    "bad-tensor": 400,
    "unknown-input": 400,
    "missing-input": 400,
    "wrong-type": 400,
    "wrong-shape": 400,
    "wrong-value": 400,
    "not-a-number": 400,
    "unknown-output": 400,
    "unsupported-parameter": 400,
    "binary-only": 400,
    "unauthorized": 401,
    "not-allowed": 403,
    "unknown-path": 404,
    "unknown-model": 404,
    "unknown-version": 404,
    "method-not-allowed": 405,
    "too-slow-request": 408,
    "too-large": 413,
    "unsupported-type": 415,
    "too-many": 429,
    "headers-too-large": 431,
    "bad-answer": 500,
    "model-failed": 500,
    "defect": 500,
    "not-ready": 503,
    "draining": 503,
    "too-busy": 503,
    "too-slow": 504,
}
LONGEST = 2000  # characters of a sentence: it may repeat names that a client made up


class Refused(Exception):
    """A request that is not answered as it was meant.

    name         a row of STATUSES
    message      what was found, with the value; hint: what to do
    status       instead of the table's
    retry_after  seconds after which it is worth asking again
    headers      for the answer, beside those that follow from the rest (lower-case names)
    """

    def __init__(
        self,
        name: str,
        message: str,
        *,
        hint: str | None = None,
        status: int | None = None,
        retry_after: float | None = None,
        headers: Sequence[tuple[bytes, bytes]] = (),
    ) -> None:
        message = message if len(message) <= LONGEST else message[:LONGEST] + " …"
        super().__init__(message)
        self.name, self.message, self.hint, self.retry_after = name, message, hint, retry_after
        self.status = STATUSES[name] if status is None else status
        whole = () if retry_after is None else ((b"retry-after", str(max(1, -int(-retry_after // 1))).encode()),)
        self.headers: tuple[tuple[bytes, bytes], ...] = ((b"content-type", b"application/json"), *whole, *headers)

    @property
    def sentence(self) -> str:
        """Message and hint, for a body, a log line or a gRPC status."""
        return f"{self.message}; {self.hint}" if self.hint else self.message

    def body(self) -> bytes:
        """`{"error": …, "name": …}`: the protocol's error object, and our name. Lone surrogates (no text that JSON can carry) are replaced."""
        try:
            return orjson.dumps({"error": self.sentence, "name": self.name})
        except orjson.JSONEncodeError:
            return orjson.dumps({"error": self.sentence.encode(errors="replace").decode(), "name": self.name})


def short(value: object, length: int = 60) -> str:
    """A client's value as it is repeated to it: one line, not longer than `length`, without walking through what is deeply nested."""
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, dict):
        return f"an object of {len(value)}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, bytes):
        return f"a file of {len(value)} bytes"
    text = f'"{value[: length + 1]}"' if isinstance(value, str) else str(value)
    text = text.replace("\n", " ")
    return text if len(text) <= length + 2 else text[:length] + '…"'
