"""What goes wrong on the way to a registry: broken lines at every place, forgotten uploads, expired tokens, gates and storage hosts."""

from __future__ import annotations

import io
import queue
import random
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import IO, Any

import pytest

from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.oci import parallel
from mlops_toolkit.oci.auth import Login
from mlops_toolkit.oci.documents import EMPTY, EMPTY_CONFIG, Descriptor, Manifest, digest_of
from mlops_toolkit.oci.parallel import at_once
from mlops_toolkit.oci.registry import Registry
from tests.world.fake_registry import Asked, FakeRegistry, Trouble
from tests.world.tokens import PASSWORD, REFRESH, USER, Tokens

CHUNK = 1 << 18
LARGE = random.Random(1).randbytes(4 * CHUNK + 77)
DIGEST = digest_of(LARGE)
ME = Login(USER, PASSWORD)


@pytest.fixture
def world() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def fake(world: ExitStack, **settings: Any) -> FakeRegistry:
    return world.enter_context(FakeRegistry(**settings).serving())


def talk(world: ExitStack, registry: FakeRegistry, login: Login | None = None, *, slept: list[float] | None = None) -> Registry:
    made = Registry(registry.host, "a/b", login, sleep=(slept if slept is not None else []).append, chunk=CHUNK)
    world.callback(made.close)
    return made


def push(registry: Registry, content: bytes = LARGE) -> str:
    return registry.push_blob(digest_of(content), len(content), lambda: io.BytesIO(content))


def once(trouble: Trouble, *matching: str, nth: int = 1) -> Callable[[Asked], Trouble | None]:
    """The trouble at the nth request whose line contains the words."""
    seen = [0]

    def happens(asked: Asked) -> Trouble | None:
        if all(word in str(asked) for word in matching):
            seen[0] += 1
            return trouble if seen[0] == nth else None
        return None

    return happens


CUTS = [
    Trouble("before"),
    Trouble("body", 0),
    Trouble("body", 1),
    Trouble("body", 1000),
    Trouble("body", CHUNK - 1),
    Trouble("body", 1000, kept=False),
    Trouble("after"),
    Trouble("answer", 0),
    Trouble(status=500),
    Trouble(status=503, headers={"Retry-After": "2"}),
    Trouble(status=429),
]


@pytest.mark.parametrize("cut", CUTS, ids=str)
@pytest.mark.parametrize(
    ("words", "nth"), [(("POST",), 1), (("PATCH",), 1), (("PATCH",), 3), (("PATCH",), 5), (("PUT", "uploads"), 1), (("HEAD",), 1)], ids=str
)
def test_a_large_blob_arrives_whatever_breaks_once(world: ExitStack, cut: Trouble, words: tuple[str, ...], nth: int) -> None:
    """And goes on where it was: no more than one chunk is sent twice."""
    registry = fake(world, trouble=once(cut, *words, nth=nth))
    talked = talk(world, registry)
    assert push(talked) == "sent"
    assert registry.blobs["a/b", DIGEST] == LARGE
    chunks = [asked for asked in registry.asked if asked.method == "PATCH"]
    begun = [asked for asked in registry.asked if asked.method == "POST"]
    # one byte looks like none, and is found out by the registry
    again = words == ("POST",) or (cut.cut == "body" and cut.bytes == 1 and nth == 1)
    assert len(chunks) <= 6 + 5 * again
    assert len(begun) <= 1 + again


@pytest.mark.parametrize("cut", [Trouble("body", 1000), Trouble("after")], ids=str)
def test_a_registry_that_forgets_what_broke_gets_it_anew(world: ExitStack, cut: Trouble) -> None:
    """As docker-registry does."""
    registry = fake(world, forgets=True, trouble=once(cut, "PATCH", nth=3))
    assert push(talk(world, registry)) == "sent"
    assert registry.blobs["a/b", DIGEST] == LARGE


@pytest.mark.parametrize("cut", [Trouble("before"), Trouble("body", 5), Trouble("after"), Trouble(status=502)], ids=str)
def test_a_small_blob_arrives_whatever_breaks_once(world: ExitStack, cut: Trouble) -> None:
    registry = fake(world, trouble=once(cut, "PUT"))
    assert push(talk(world, registry), b"a small blob") == "sent"
    assert registry.blobs["a/b", digest_of(b"a small blob")] == b"a small blob"


def test_a_line_that_breaks_in_every_chunk_still_gets_there(world: ExitStack) -> None:
    """Progress counts: only tries that lead nowhere are numbered."""
    count = [0]

    def often(asked: Asked) -> Trouble | None:
        count[0] += asked.method == "PATCH"
        return Trouble("body", CHUNK // 3) if asked.method == "PATCH" and count[0] % 2 else None

    registry = fake(world, trouble=often)
    push(talk(world, registry))
    assert registry.blobs["a/b", DIGEST] == LARGE


def test_a_registry_that_never_recovers_is_given_up_in_bounded_time(world: ExitStack) -> None:
    slept: list[float] = []
    registry = fake(world, trouble=lambda asked: Trouble("body", 10, kept=False) if asked.method == "PATCH" else None)
    with pytest.raises(EnvironmentFailure) as caught:
        push(talk(world, registry, slept=slept))
    assert caught.value.name == "registry-unreachable"
    assert len(slept) == 4
    assert slept == sorted(slept)
    assert sum(slept) < 60


def test_the_registry_says_how_long_to_wait(world: ExitStack) -> None:
    slept: list[float] = []
    registry = fake(world, trouble=once(Trouble(status=429, headers={"Retry-After": "17"}), "HEAD"))
    push(talk(world, registry, slept=slept), b"x")
    assert len(slept) == 1
    assert 17 <= slept[0] < 18
    endless = fake(world, trouble=lambda asked: Trouble(status=503, headers={"Retry-After": "7200"}))
    with pytest.raises(EnvironmentFailure, match="it asks to wait 7200 s"):
        push(talk(world, endless, slept=slept), b"x")
    assert len(slept) == 1


@pytest.mark.parametrize(
    "settings", [{"patch": False}, {"least_chunk": 2 * CHUNK}, {"least_chunk": 9 * CHUNK}, {"most_body": CHUNK // 2 + 5000}], ids=str
)
def test_it_does_as_the_registry_likes_it(world: ExitStack, settings: dict[str, Any]) -> None:
    """No chunks at all, larger ones, or only small bodies, because of a gate before it."""
    content = LARGE if "most_body" not in settings else LARGE * 3
    registry = fake(world, **settings)
    made = Registry(registry.host, "a/b", None, sleep=lambda _: None, chunk=CHUNK if "most_body" not in settings else 2 * CHUNK + 9)
    world.callback(made.close)
    if "most_body" in settings:
        registry.most_body = CHUNK + 9
    assert push(made, content) == "sent"
    assert registry.blobs["a/b", digest_of(content)] == content
    sizes = [int(asked.headers["content-length"]) for asked in registry.asked if asked.method == "PATCH"]
    assert all(size >= settings.get("least_chunk", 0) for size in sizes[:-1])


def test_a_gate_that_lets_nothing_through_ends_it(world: ExitStack) -> None:
    with pytest.raises(EnvironmentFailure, match="413"):
        push(talk(world, fake(world, most_body=1000)))


def test_a_large_blob_needs_little_memory(world: ExitStack) -> None:
    class Endless(io.RawIOBase):
        """32 MiB that are nowhere."""

        at = 0

        def readable(self) -> bool:
            return True

        def seek(self, offset: int, whence: int = 0) -> int:
            self.at = offset
            return offset

        def read(self, amount: int = -1) -> bytes:
            self.at += amount
            return bytes(amount)

    registry = fake(world, trouble=lambda asked: Trouble(status=202, headers={"Location": asked.path}) if asked.method == "PATCH" else None)
    made = Registry(registry.host, "a/b", None, chunk=8 << 20)
    world.callback(made.close)
    size = 32 << 20
    tracemalloc.start()
    opened: Callable[[], IO[bytes]] = Endless  # type: ignore[assignment]
    with pytest.raises(EnvironmentFailure, match="DIGEST_INVALID"):
        made.push_blob(DIGEST, size, opened)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert made.sent_bytes == size
    assert peak < 24 << 20  # the server in this process holds one chunk of 8 MiB


def test_a_file_that_became_shorter_is_told_as_such(world: ExitStack) -> None:
    registry = talk(world, fake(world))
    with pytest.raises(EnvironmentFailure) as caught:
        registry.push_blob(DIGEST, len(LARGE), lambda: io.BytesIO(LARGE[:1000]))
    assert caught.value.name == "upload-changed"


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("at", [0, 1, 100_000, len(LARGE) - 1])
def test_a_download_goes_on_where_it_broke_off(world: ExitStack, ranges: bool, at: int) -> None:
    registry = fake(world, ranges=ranges, trouble=once(Trouble("answer", at), "GET", "blobs"))
    registry.blobs["a/b", DIGEST] = LARGE
    assert talk(world, registry).read_blob(DIGEST) == LARGE


def test_a_blob_that_is_not_what_was_asked_for_is_never_given_to_its_end(world: ExitStack) -> None:
    registry = fake(world)
    registry.blobs["a/b", DIGEST] = LARGE[:-1] + b"!"
    with pytest.raises(EnvironmentFailure) as caught:
        talk(world, registry).read_blob(DIGEST)
    assert caught.value.name == "image-damaged"
    registry.manifests["a/b", DIGEST] = ("application/vnd.oci.image.manifest.v1+json", b"{}")
    with pytest.raises(EnvironmentFailure, match="gave something else"):
        talk(world, registry).pull_manifest(DIGEST)


def test_a_document_as_large_as_a_disk_is_not_read(world: ExitStack) -> None:
    registry = fake(world, trouble=lambda asked: Trouble(status=200, body=b" " * (5 << 20)))
    with pytest.raises(EnvironmentFailure, match="larger than"):
        talk(world, registry).pull_manifest("v1")


def locked(world: ExitStack, **settings: Any) -> tuple[FakeRegistry, Tokens]:
    tokens = Tokens(**{key: settings.pop(key) for key in ("lasts", "public", "oauth") if key in settings})
    return fake(world, tokens=tokens, realm=world.enter_context(tokens.serving()), **settings), tokens


def test_a_token_that_expires_in_the_middle_is_renewed_and_the_request_repeated(world: ExitStack) -> None:
    registry, tokens = locked(world, uses=3)
    assert push(talk(world, registry, ME)) == "sent"
    assert registry.blobs["a/b", DIGEST] == LARGE
    assert 2 < tokens.made < 8


def test_a_token_that_is_about_to_expire_is_renewed_before_it_is_used(world: ExitStack) -> None:
    registry, tokens = locked(world, lasts=1)
    talked = talk(world, registry, ME)
    now = [0.0]
    talked._wire._identity._now = lambda: now[0]
    for _ in range(3):
        assert not talked.blob_exists(DIGEST)
        now[0] += 0.9
    refused = [asked for asked in registry.asked if asked.authorization is None]
    assert (len(refused), tokens.made) == (1, 3)


def test_threads_that_meet_an_expired_token_renew_it_once(world: ExitStack) -> None:
    registry, tokens = locked(world)
    talked = talk(world, registry, ME)
    assert at_once(talked, [lambda number=number: push(talked, bytes([number])) for number in range(8)]) == ["sent"] * 8
    assert tokens.made <= 3  # to read, to write, and one more of a race


def test_a_push_asks_for_the_rights_it_needs_and_a_mount_for_both(world: ExitStack) -> None:
    registry, tokens = locked(world)
    talked = talk(world, registry, ME)
    talked.blob_exists(DIGEST)
    assert tokens.asked[-1]["scope"] == ["repository:a/b:pull"]
    push(talked, b"x")
    assert tokens.asked[-1]["scope"] == ["repository:a/b:pull,push"]
    registry.blobs["lender", DIGEST] = LARGE
    assert talked.push_blob(DIGEST, len(LARGE), lambda: io.BytesIO(LARGE), from_repository="lender") == "mounted"
    assert tokens.asked[-1]["scope"] == ["repository:a/b:pull,push", "repository:lender:pull"]
    assert [asked["authorization"] for asked in tokens.asked] == [ME.basic] * 3


def test_nobody_reads_what_is_public(world: ExitStack) -> None:
    registry, tokens = locked(world, public=("a/b",))
    assert talk(world, registry).tags() == []
    assert tokens.asked[0]["authorization"] is None
    with pytest.raises(EnvironmentFailure, match="refuses"):
        push(talk(world, registry), b"x")


@pytest.mark.parametrize("oauth", [True, False])
def test_an_identity_token_goes_to_the_token_server_alone(world: ExitStack, oauth: bool) -> None:
    registry, tokens = locked(world, oauth=oauth)
    login = Login("<token>", REFRESH, "identity")
    if oauth:
        assert push(talk(world, registry, login), b"x") == "sent"
        assert tokens.asked[0]["grant_type"] == ["refresh_token"]
    else:
        with pytest.raises(EnvironmentFailure, match="refuses"):
            push(talk(world, registry, login), b"x")
    assert not any(REFRESH in str(asked.headers) or REFRESH in asked.path for asked in registry.asked)


def test_a_registry_s_own_token_is_used_as_it_is(world: ExitStack) -> None:
    registry, tokens = locked(world)
    token = tokens.issue(["repository:a/b:pull,push"], known=True)
    assert push(talk(world, registry, Login("", token, "token")), b"x") == "sent"
    assert tokens.asked == []


def test_a_token_server_that_stumbles_is_asked_again(world: ExitStack) -> None:
    registry, tokens = locked(world)
    tokens.statuses = [503, 200, 429, 200]
    assert push(talk(world, registry, ME), b"x") == "sent"


@pytest.mark.parametrize(("method", "nth"), [("HEAD", 3), ("GET", 1)])
def test_an_expired_token_that_is_answered_400_without_a_challenge_is_renewed(world: ExitStack, method: str, nth: int) -> None:
    """As public.ecr.aws does."""
    body = b'{"errors":[{"code":"DENIED","message":"Your Authorization Token is invalid."}]}'
    registry, tokens = locked(world, trouble=once(Trouble(status=400, body=body), method, nth=nth))
    talked = talk(world, registry, ME)
    assert not talked.blob_exists(DIGEST)
    now = tokens.made
    assert not (talked.blob_exists(DIGEST) if method == "HEAD" else talked.tags())
    assert tokens.made == now + 1


def test_storage_elsewhere_is_not_told_who_we_are(world: ExitStack) -> None:
    """Neither where blobs are given, nor where they are taken."""
    storage = fake(world, trouble=lambda asked: Trouble(status=200, body=LARGE) if asked.method == "GET" else None)
    registry, _ = locked(world, storage=f"http://{storage.host}")
    registry.blobs["a/b", DIGEST] = LARGE
    assert talk(world, registry, ME).read_blob(DIGEST) == LARGE
    assert [asked.authorization for asked in storage.asked] == [None]

    def sent_on(asked: Asked) -> Trouble | None:
        return (
            Trouble(status=202, headers={"Location": f"http://{storage.host}/up?signature=s"})
            if asked.method == "POST" and asked.authorization
            else None
        )

    registry.trouble = sent_on
    storage.trouble = lambda asked: Trouble(status=201)
    talk(world, registry, ME).push_blob(digest_of(b"new"), 3, lambda: io.BytesIO(b"new"))
    assert (storage.asked[-1].method, storage.asked[-1].authorization) == ("PUT", None)
    assert storage.asked[-1].path.startswith("/up?signature=s&digest=sha256:")


def test_storage_elsewhere_that_asks_who_we_are_is_not_told_either(world: ExitStack) -> None:
    asks = Trouble(status=401, headers={"WWW-Authenticate": 'Basic realm="trap"'})
    storage = fake(world, trouble=lambda asked: asks)
    registry, _ = locked(world, storage=f"http://{storage.host}")
    registry.blobs["a/b", DIGEST] = LARGE
    with pytest.raises(EnvironmentFailure, match="refuses"):
        talk(world, registry, ME).read_blob(DIGEST)
    assert all(asked.authorization is None for asked in storage.asked)


@pytest.mark.parametrize("onward", ["http://elsewhere.example/x", "file:///etc/passwd", "ftp://127.0.0.1/x"])
def test_it_is_not_led_elsewhere_in_the_clear(world: ExitStack, onward: str) -> None:
    registry = fake(world, trouble=lambda asked: Trouble(status=307, headers={"Location": onward}))
    with pytest.raises(EnvironmentFailure, match=r"which is not https|that is none"):
        talk(world, registry, ME).tags()


def test_the_body_of_a_redirect_is_not_read(world: ExitStack) -> None:
    """However large it is, and whatever the address is made of."""
    large = b" " * (40 << 20)
    onward = Trouble(status=307, headers={"Location": "http://\u00e9.example/\u00fc"}, body=large)
    registry = fake(world, trouble=lambda asked: onward)
    tracemalloc.start()
    with pytest.raises(EnvironmentFailure, match=r"not https|is none"):
        talk(world, registry).tags()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20 << 20


def test_a_registry_that_sends_it_round_and_round_is_left(world: ExitStack) -> None:
    registry = fake(world, trouble=lambda asked: Trouble(status=307, headers={"Location": "/v2/a/b/tags/list"}))
    with pytest.raises(EnvironmentFailure, match="on and on"):
        talk(world, registry).tags()


def test_what_fails_first_ends_what_the_others_do(world: ExitStack) -> None:
    """A signal, or one blob that cannot be had, does not wait for gigabytes of others."""
    registry = fake(world)
    talked = talk(world, registry)
    tasks = [lambda: push(talked, LARGE * 8), lambda: talked.push_blob(DIGEST, 9, lambda: (_ for _ in ()).throw(FileNotFoundError("gone")))]
    with pytest.raises(FileNotFoundError):
        at_once(talked, tasks)
    assert push(talked, EMPTY) == "sent"  # and it goes on being of use


def test_what_is_left_to_do_may_be_taken_while_it_is_emptied(world: ExitStack) -> None:
    """Another thread may take the last of it at the same instant: what failed is raised, and not that."""

    class Robbed(queue.SimpleQueue[Any]):
        def empty(self) -> bool:
            return False  # as it was a moment ago

    talked = talk(world, fake(world))
    parallel._end(talked, Robbed(), [])
    assert push(talked, EMPTY) == "sent"


def test_a_registry_that_hangs_does_not_hold_up_what_was_stopped(world: ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """A runner kills a cancelled job after seconds; a registry may take minutes to answer."""
    monkeypatch.setattr("mlops_toolkit.oci.parallel.FAREWELL_SECONDS", 0.05)
    over = threading.Event()
    world.callback(over.set)
    registry = fake(world, trouble=lambda asked: over.wait(30) and None)
    talked = talk(world, registry)

    def fails() -> str:
        raise KeyboardInterrupt

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        at_once(talked, [lambda: push(talked), fails])
    assert time.monotonic() - began < 10
    over.set()


def test_https_with_its_port_written_out_is_the_same_place() -> None:
    wire = Registry("ghcr.io", "a/b", ME)._wire
    assert wire._is_ours("https://ghcr.io:443/v2/a/b/blobs/uploads/1")
    assert wire._is_ours("https://GHCR.io/x")
    assert not wire._is_ours("https://ghcr.io:444/x")
    assert not wire._is_ours("http://ghcr.io/x")
    assert not wire._is_ours("https://ghcr.io.evil.example/x")
    assert wire._address("http://ghcr.io/v2/a/b/blobs/uploads/1?s=t") == "https://ghcr.io/v2/a/b/blobs/uploads/1?s=t"
    assert Registry("docker.io", "library/python", ME)._wire.base == "https://registry-1.docker.io/v2/library/python/"
    assert Registry("localhost:5000", "x", ME)._wire.base == "http://localhost:5000/v2/x/"
    assert Registry("localhost.evil.example:5000", "x", ME)._wire.base.startswith("https://")


def test_what_refers_to_an_image_needs_one_subject(world: ExitStack) -> None:
    registry = talk(world, fake(world))
    subject = Descriptor.of(EMPTY_CONFIG.media_type, EMPTY)
    other = Descriptor.of(EMPTY_CONFIG.media_type, b"other")
    of_none, of_one, of_another = (Manifest(EMPTY_CONFIG, (), subject=subject).to_bytes() for subject in (None, subject, other))
    for contents in ([of_none], [of_one, of_another], [of_one, of_none]):
        with pytest.raises(EnvironmentFailure, match="names none"):
            registry.add_referrers(*contents)
