"""Whatever a registry answers, it ends in an answer or in an error with a name: nothing of ours breaks, and nothing goes on for ever."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.oci.auth import Login
from mlops_toolkit.oci.documents import EMPTY, EMPTY_CONFIG, INDEX, MANIFEST, Descriptor, Index, Manifest
from mlops_toolkit.oci.registry import Registry
from tests.world.fake_registry import Asked, FakeRegistry, Trouble

SUBJECT = Descriptor.of(MANIFEST, b"subject")
MANIFEST_BYTES = Manifest(EMPTY_CONFIG, (), subject=SUBJECT).to_bytes()
PLACES = [
    "",
    "/",
    "//",
    "http://[::1",
    "https://[x]/",
    "http://127.0.0.1:99999/x",
    "//elsewhere.example/x",
    "/v2/a/b/blobs/uploads/1?x=%zz",
    "http://\u00e9.example/\u00fc",
    "javascript:x",
    "https://a@b@c/",
    "?",
    "http://",
    "http:///x",
    "/v2/a/b/tags/list?n=1",
]
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "Location": st.sampled_from(PLACES),
        "Range": st.sampled_from(["0-0", "0-5", "0-999999999999999999", "bytes=0-1", "x", "5-0", "0--1"]),
        "Content-Type": st.sampled_from([MANIFEST, INDEX, "text/html", "application/json", ";;", ""]),
        "Docker-Content-Digest": st.sampled_from(["sha256:x", EMPTY_CONFIG.digest, "", "md5:0"]),
        "OCI-Chunk-Min-Length": st.sampled_from(["-1", "9" * 30, "1e9", "1000000"]),
        "Link": st.sampled_from(
            ['</v2/a/b/tags/list?n=2>; rel="next"', "<>; rel=next", "<http://elsewhere.example>; rel=next", "<<>", ";"]
        ),
        "WWW-Authenticate": st.sampled_from(
            ["Basic", 'Bearer realm="https://["', 'Bearer realm="http://127.0.0.1:1/t"', "=,", 'Bearer realm=""']
        ),
        "Retry-After": st.sampled_from(["0", "-1", "1e9", "9" * 400, "Thu, 01 Jan 1970 00:00:00 GMT", "Thu, 99 Foo"]),
        "Content-Encoding": st.sampled_from(["gzip", "br", "x"]),
        "Content-Range": st.sampled_from(["bytes 0-1/2", "bytes 9-9/9", "x"]),
        "OCI-Subject": st.just("x"),
    },
)
BODIES = st.sampled_from(
    [
        b"",
        b"{}",
        b"[]",
        b"\xff\xfe",
        b'{"errors":[]}',
        b'{"errors":[{"code":1,"message":{"a":"authorization token"}}]}',
        b'{"errors":{"0":1}}',
        b'{"tags":[1,null,"v1"]}',
        b'{"tags":"abc"}',
        b'{"token":"t\\n"}',
        b'{"a":' * 2000,
        MANIFEST_BYTES,
        Index((SUBJECT,)).to_bytes(),
        EMPTY,
    ]
)
STATUSES = st.sampled_from([200, 201, 202, 204, 206, 301, 303, 307, 308, 400, 401, 403, 404, 405, 408, 409, 413, 416, 429, 500, 503])
ANSWERS = st.lists(st.builds(Trouble, status=STATUSES, headers=HEADERS, body=BODIES), min_size=1, max_size=6)
WHAT: dict[str, Callable[[Registry], object]] = {
    "exists": lambda registry: registry.blob_exists(EMPTY_CONFIG.digest),
    "push": lambda registry: registry.push_blob(EMPTY_CONFIG.digest, 2, lambda: io.BytesIO(EMPTY), from_repository="c/d"),
    "push in chunks": lambda registry: registry.push_blob(SUBJECT.digest, 600_000, lambda: io.BytesIO(bytes(600_000))),
    "read": lambda registry: registry.read_blob(EMPTY_CONFIG.digest),
    "manifest": lambda registry: registry.pull_manifest("v1"),
    "manifest by digest": lambda registry: registry.pull_manifest(SUBJECT.digest),
    "digest": lambda registry: registry.manifest_digest("v1"),
    "put": lambda registry: registry.push_manifest("v1", MANIFEST_BYTES, if_absent=True),
    "tag": lambda registry: registry.tag("v1", SUBJECT.digest),
    "tags": lambda registry: registry.tags(),
    "referrers": lambda registry: registry.referrers(SUBJECT.digest),
    "attach": lambda registry: registry.add_referrer(MANIFEST_BYTES),
    "delete": lambda registry: registry.delete_manifest(SUBJECT.digest),
}


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeRegistry]:
    with FakeRegistry().serving() as found:
        yield found


@settings(max_examples=60)
@given(answers=ANSWERS, login=st.sampled_from([None, Login("u", "p"), Login("<token>", "r", "identity"), Login("", "t", "token")]))
@pytest.mark.parametrize("what", sorted(WHAT))
def test_whatever_is_answered_has_an_end_with_a_name(fake: FakeRegistry, what: str, answers: list[Trouble], login: Login | None) -> None:
    given_in_turn = itertools.cycle(answers)
    count = [0]

    def trouble(asked: Asked) -> Trouble:
        count[0] += 1
        return next(given_in_turn)

    fake.trouble = trouble
    registry = Registry(fake.host, "a/b", login, sleep=lambda _: None, chunk=1 << 18)
    ended = None
    try:
        WHAT[what](registry)
    except EnvironmentFailure as error:
        ended = error
    finally:
        registry.close()
    if ended is not None:
        assert len(str(ended)) < 600
        assert "\n" not in ended.message
    assert count[0] < 300
