"""What is sent is proven on its way out, by one reading: its last bytes leave only when all of them are what they should be."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable

from mlops_toolkit.oci.wire import Source
from mlops_toolkit.system.files import CHUNK


class Proven:
    """Opens content of `size` bytes whose SHA-256 must be `digest`; each byte is hashed the first time that it is read, however often it is sent.

    refused: what is raised instead of the last block, where the digest is another.
    """

    def __init__(self, source: Callable[[], Source], digest: str, size: int, refused: Callable[[], Exception]) -> None:
        self._source, self._digest, self._size, self._refused = source, digest, size, refused
        self._sha, self._until = hashlib.sha256(), 0

    def __call__(self) -> Source:
        return _Proving(self._source(), self)

    def reach(self, source: Source, at: int) -> None:
        """Hash what lies before a place and was not read yet."""
        if at > self._until:
            source.seek(self._until)
            while self._until < at and (block := source.read(min(CHUNK, at - self._until))):
                self.passed(self._until, block)

    def passed(self, at: int, block: bytes) -> None:
        """A block was read at a place. Raises `refused` where it ends what is not what it should be."""
        if at <= self._until < at + len(block):
            self._sha.update(block[self._until - at :] if at < self._until else block)
            self._until = at + len(block)
        ended = not block or at + len(block) >= self._size
        if ended and (self._until != self._size or f"sha256:{self._sha.hexdigest()}" != self._digest):
            raise self._refused()


class _Proving:
    def __init__(self, source: Source, proof: Proven) -> None:
        self._source, self._proof, self._at = source, proof, 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = self._source.seek(offset, whence)
        self._proof.reach(self._source, self._at)
        return self._source.seek(self._at)

    def read(self, amount: int = -1) -> bytes:
        if amount == 0:
            return b""
        block = self._source.read(amount)
        self._proof.passed(self._at, block)
        self._at += len(block)
        return block

    def close(self) -> None:
        self._source.close()
