"""Connections to another server: kept, used again, and asked once more on a new one where the server had just closed the kept one."""

from __future__ import annotations

import asyncio

import pytest

from mlops_toolkit.errors import UsageError
from mlops_toolkit.serve.relay import Lost, Pool, Told

ASK = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


async def asked(pool: Pool, method: bytes = b"GET", limit: float = 5.0) -> Told | Lost:
    done: asyncio.Future[Told | Lost] = asyncio.get_running_loop().create_future()
    pool.ask([ASK], method, limit, done.set_result)
    return await done


def play(script: list[list[bytes | None]], *wanted: str | int, method: bytes = b"GET", limit: float = 5.0) -> int:
    """Ask once for each of `wanted` (a status, or words of why there is no answer) a server whose connections answer by the script: bytes to
    each request, or None to close at it. How many connections there were."""

    async def run() -> int:
        count = 0

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal count
            count += 1
            for line in script[count - 1]:
                await reader.readuntil(b"\r\n\r\n")
                if line is None:
                    break
                writer.write(line)
                await writer.drain()
            else:
                await reader.read()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        pool = Pool(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        for one in wanted:
            found = await asked(pool, method, limit)
            if isinstance(one, int):
                assert isinstance(found, Told), found
                assert found.status == one
            else:
                assert isinstance(found, Lost)
                assert one in str(found)
        pool.close()
        server.close()
        await asyncio.sleep(0.01)
        return count

    return asyncio.run(run())


def test_a_kept_connection_is_used_again_and_replaced_where_it_was_closed() -> None:
    """Closed at the second request, without a word: asked again. On a new connection, or with half of an answer, it is not."""
    assert play([[ANSWER, ANSWER, ANSWER]], 200, 200, 200) == 1
    assert play([[ANSWER, None], [ANSWER]], 200, 200) == 2
    assert play([[None]], "the connection ended") == 1
    assert play([[ANSWER, ANSWER[:-1], None], [ANSWER]], 200, "no answer within", limit=0.3) == 1
    assert play([[ANSWER.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")], [ANSWER]], 200, 200) == 2


def test_other_answers() -> None:
    """In pieces, before a final one, without a body to HEAD, and none at all."""
    chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n"
    assert play([[chunked, b"HTTP/1.1 100 Continue\r\n\r\n" + ANSWER, b"HTTP/1.1 404 \r\ncontent-length: 0\r\n\r\n"]], 200, 200, 404) == 1
    assert play([[ANSWER[:-2]], [ANSWER[:-2]]], 200, 200, method=b"HEAD") == 2
    assert play([[b"SSH-2.0-x\r\n\r\n"]], "no HTTP answer") == 1


@pytest.mark.parametrize(
    "url", ["127.0.0.1:80", "ftp://x", "http://", "http://x/path", "http://x:1/?q", "http://x:99999", "http://u:secret@x"]
)
def test_addresses_that_are_none(url: str) -> None:
    """Said without the address itself, which may hold a password."""
    with pytest.raises(UsageError, match="no server's address") as caught:
        Pool(url)
    assert "secret" not in str(caught.value)
