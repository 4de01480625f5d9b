"""What is sent is proven by one reading, in whatever pieces it goes, and however often one of them goes again."""

from __future__ import annotations

import hashlib
import io
import os
import random
import shutil
from collections.abc import Callable

import pytest

from mlops_toolkit.errors import InvalidFile
from mlops_toolkit.image.proof import Proven
from mlops_toolkit.oci.registry import Registry
from mlops_toolkit.oci.wire import Source
from tests.world.registry import Running, open_registry

__all__ = ["open_registry"]
CONTENT = random.Random(7).randbytes(100_000)


class Counting(io.BytesIO):
    read_bytes = 0

    def read(self, amount: int | None = -1, /) -> bytes:
        block = super().read(amount)
        Counting.read_bytes += len(block)
        return block


def proven(content: bytes, source: Callable[[], Source] | None = None) -> Proven:
    digest = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
    return Proven(source or (lambda: io.BytesIO(content)), digest, len(CONTENT), lambda: InvalidFile("model-changed", "it changed"))


@pytest.mark.parametrize("wrong", [CONTENT[:-1] + b"?", b"?" + CONTENT[1:], CONTENT[:-1], CONTENT[:50_000], b""])
def test_the_last_byte_of_something_else_is_never_given(wrong: bytes) -> None:
    given = io.BytesIO()
    with pytest.raises(InvalidFile):
        shutil.copyfileobj(proven(wrong)(), given, 1000)
    assert given.tell() < len(CONTENT)


@pytest.mark.parametrize("seed", range(20))
def test_pieces_in_any_order_with_repetitions(seed: int) -> None:
    """As an upload that stumbles reads them: right content is given, and content that differs anywhere is not given to its end."""
    drawn = random.Random(seed)
    broken = bytearray(CONTENT)
    broken[drawn.randrange(len(broken))] ^= 1
    for content in (CONTENT, bytes(broken)):
        proof = proven(content)
        for _ in range(10):
            at, amount = drawn.randrange(len(CONTENT) - 1), drawn.randrange(40_000)
            opened = proof()
            try:
                opened.seek(at)
                assert opened.read(amount) == content[at : at + amount]
            except InvalidFile:
                assert content != CONTENT
        last = proof()
        last.seek(99_000)
        if content == CONTENT:
            assert last.read() == CONTENT[99_000:]
        else:
            with pytest.raises(InvalidFile):
                last.read()


def test_a_blob_in_many_chunks_is_read_once(open_registry: Running) -> None:
    """Each chunk opens it anew, and reads what it sends alone; something else is not in the registry afterwards."""
    Counting.read_bytes = 0
    digest = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
    there = Registry(open_registry.host, "proof/once", None, chunk=10_000)
    assert there.push_blob(digest, len(CONTENT), proven(CONTENT, lambda: Counting(CONTENT))) == "sent"
    assert Counting.read_bytes == len(CONTENT)
    other = Registry(open_registry.host, "proof/never", None, chunk=10_000)
    with pytest.raises(InvalidFile):
        other.push_blob(digest, len(CONTENT), proven(os.urandom(len(CONTENT))))
    assert not other.blob_exists(digest)
    there.close()
    other.close()
