"""One blob's way down: a stream that is verified at its end and goes on where a broken connection left it."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.oci.patience import Patience, Stumbled
from mlops_toolkit.oci.reference import is_digest
from mlops_toolkit.oci.wire import BLOCK, Rejected, Wire

if TYPE_CHECKING:
    from requests import Response


class Download:
    """Reads one blob. The last block is only given when all of it has the digest that was asked for: `image-damaged` otherwise.

    A connection that breaks off is taken up again by a Range; where that leads nowhere it is `registry-unreachable`.
    """

    def __init__(self, wire: Wire, digest: str, first: Response, *, scopes: tuple[str, ...]) -> None:
        self._wire, self._digest, self._scopes = wire, digest, scopes
        self._answer: Response | None = first
        self._patience = Patience(wire.sleep)
        self._hash = hashlib.new(digest.partition(":")[0]) if is_digest(digest) else None
        self._at = 0
        self._ended = False

    def read(self, amount: int = -1) -> bytes:
        """At most `amount` bytes, all that is left where it is negative; b"" at the end."""
        if amount < 0:
            return b"".join(iter(lambda: self.read(BLOCK), b""))
        while not self._ended and amount:
            try:
                block = self._block(amount)
            except Stumbled as stumbled:
                self._close()
                self._patience.wait(stumbled, f"a download from {self._wire.name} broke off and")
                continue
            if block:
                self._patience.progress()
                return block
            self._end()
        return b""

    def close(self) -> None:
        """Give the connection back."""
        self._ended = True
        self._close()

    def _block(self, amount: int) -> bytes:
        from urllib3.exceptions import HTTPError

        if self._answer is None:
            self._answer = self._again()
        try:
            block: bytes = self._answer.raw.read(amount, decode_content=False)
        except (HTTPError, OSError) as error:
            raise Stumbled(type(error).__name__) from error
        self._at += len(block)
        if self._hash is not None:
            self._hash.update(block)
        return block

    def _end(self) -> None:
        self.close()
        if self._hash is not None and self._hash.hexdigest() != self._digest.partition(":")[2]:
            raise EnvironmentFailure(
                "image-damaged", f"{self._wire.name} gave something else for {self._digest[:19]}", hint="push it again, or remove it there"
            )

    def _again(self) -> Response:
        """The rest, from where it broke off."""
        headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={self._at}-"} if self._at else {})}
        try:
            answer = self._wire.attempt(
                "GET", f"blobs/{self._digest}", what="download", accept=(200, 206), headers=headers, scopes=self._scopes
            )
        except Rejected as rejected:
            raise Stumbled(rejected.said) from rejected
        if not self._at:
            return answer
        begins = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
        if answer.status_code == 206 and begins and int(begins[1]) == self._at:
            return answer
        if answer.status_code == 206:
            answer.close()
            raise Stumbled("the registry gave another part than was asked for")
        self._skip(answer, self._at)
        return answer

    def _skip(self, answer: Response, left: int) -> None:
        """A registry that knows no parts gives all of it again."""
        from urllib3.exceptions import HTTPError

        while left:
            try:
                block = answer.raw.read(min(left, BLOCK), decode_content=False)
            except (HTTPError, OSError) as error:
                raise Stumbled(type(error).__name__) from error
            if not block:
                raise Stumbled("the registry gave less than before")
            left -= len(block)

    def _close(self) -> None:
        if self._answer is not None:
            self._answer.close()
            self._answer = None
