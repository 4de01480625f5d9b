"""Requests to one registry: who we are, where it sends us on, what its answers mean, another try where that may help.

Redirects are followed here and not by the library: to https alone, and our Authorization goes to the registry's own address only.
Proxies and a company's certificates come from the usual variables (HTTPS_PROXY, NO_PROXY; REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE, SSL_CERT_FILE).
"""

from __future__ import annotations

import json
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urljoin, urlsplit

from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.oci import challenge
from mlops_toolkit.oci.auth import Login
from mlops_toolkit.oci.identity import Identity
from mlops_toolkit.oci.patience import Patience, Stumbled, retry_after
from mlops_toolkit.oci.reference import LOOPBACK, api_host

if TYPE_CHECKING:
    from requests import Response, Session

HOPS, INTRODUCTIONS = 5, 3
TIMEOUT = (10, 300)  # seconds to connect, and between two answers; a registry that stores elsewhere is slow to finish a large blob
MOST_BYTES = 4 * 1024 * 1024 + 1024  # of an answer that is read whole
BLOCK = 256 * 1024
BROKEN: tuple[tuple[type[BaseException], str], ...] = (
    (socket.gaierror, "its name is not known here"),
    (ConnectionRefusedError, "nothing listens there"),
    (TimeoutError, "it does not answer"),
    (ConnectionError, "the line broke"),
)
AGAIN = (408, 425, 429, 500, 502, 503, 504)


class Rejected(EnvironmentFailure):
    """The registry answered that it will not; another try changes nothing."""

    def __init__(self, name: str, message: str, *, status: int, said: str, hint: str | None = None) -> None:
        super().__init__(name, message, hint=hint)
        self.status, self.said = status, said


class Source(Protocol):
    """What a body is read from: a file, or what behaves like one. `seek` counts from the beginning."""

    def read(self, amount: int = -1, /) -> bytes: ...

    def seek(self, offset: int, whence: int = 0, /) -> int: ...

    def close(self) -> None: ...


class Piece:
    """Part of a file that is sent as a body, streamed. content: opens the file, anew for each try; offset, size: bytes."""

    def __init__(self, content: Callable[[], Source], offset: int, size: int) -> None:
        self.content, self.offset, self.size = content, offset, size

    def open(self, stopped: threading.Event) -> _Window:
        return _Window(self.content(), self.offset, self.size, stopped)


class _Window:
    """What the library sends: it has a length, and is read block by block."""

    def __init__(self, file: Source, offset: int, size: int, stopped: threading.Event) -> None:
        self._file, self._size, self._left, self._stopped = file, size, size, stopped
        if offset:
            file.seek(offset)

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Any:
        return iter(lambda: self.read(BLOCK), b"")

    def read(self, amount: int = -1) -> bytes:
        _unless(self._stopped)
        amount = self._left if amount < 0 else min(amount, self._left)
        block = self._file.read(amount)
        if len(block) < amount and not block:
            raise EnvironmentFailure(
                "upload-changed", "a file became shorter while it was sent", hint="run it again when nothing writes there"
            )
        self._left -= len(block)
        return block

    def close(self) -> None:
        self._file.close()


class Wire:
    """Requests to one repository of one registry. Safe to be used from several threads, each of which has its own connections."""

    def __init__(
        self,
        host: str,
        repository: str,
        login: Login | None,
        *,
        sleep: Callable[[float], object] | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name, self.repository, self.stopped = f"{host}/{repository}", repository, threading.Event()
        self.sleep = sleep or self.stopped.wait
        self._host = api_host(host)
        self._scheme = "http" if LOOPBACK.match(host) else "https"
        self.base = f"{self._scheme}://{self._host}/v2/{repository}/"
        self._identity = Identity(self._host, login, self._token, now=now)
        self._local, self._lock, self._sessions = threading.local(), threading.Lock(), list[Any]()

    def ask(self, method: str, path: str, *, what: str, accept: tuple[int, ...], **options: Any) -> Response:
        """Ask until there is an answer; options as in `attempt`. what: `reading a manifest`, for people."""
        ask = partial(self.attempt, method, path, what=what, accept=accept, **options)
        return Patience(self.sleep).persist(ask, f"{what} at {self.name}")

    def attempt(
        self, method: str, path: str, *, what: str, accept: tuple[int, ...], headers: Mapping[str, str] | None = None,
        body: bytes | Piece | None = None, scopes: tuple[str, ...] = (),
    ) -> Response:  # fmt: skip
        """Ask once. path: below the repository's address, or a whole address that the registry gave.

        accept: which statuses are answers. Stumbled where another try may help; `registry-refuses` for 401 and 403,
        Rejected `registry-rejects` for every other answer. The body of the answer is still to be read.
        """
        import requests
        from urllib3.exceptions import HTTPError

        try:
            answer = self._introduced(method, self._address(joined(self.base, path)), dict(headers or {}), body, scopes)
        except (requests.RequestException, HTTPError) as error:
            raise self._broken(error) from error
        except ValueError as error:  # what is no address by the library's own rules
            raise no_address(self.name) from error
        if answer.status_code in accept:
            return answer
        said, after = _said(answer), retry_after(answer.headers.get("Retry-After"))
        answer.close()
        if answer.status_code in (401, 403):
            raise Rejected("registry-refuses", f"{self.name} refuses: {said}", status=answer.status_code, said=said, hint=self._way_in())
        if answer.status_code in AGAIN:
            raise Stumbled(said, after)
        raise Rejected("registry-rejects", f"{what} at {self.name} failed: {said}", status=answer.status_code, said=said)

    def _broken(self, error: Exception) -> Exception:
        """What a broken line means, in words of ours: the library's may hold a signed address."""
        causes = _causes(error)
        if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
            hint = "let SSL_CERT_FILE name the file of your company's certificate, if it has one of its own"
            return EnvironmentFailure("registry-untrusted", f"nobody vouches for the certificate of {self._host}", hint=hint)
        for kind, words in BROKEN:
            if any(isinstance(cause, kind) for cause in causes):
                return Stumbled(words)
        return Stumbled(type(error).__name__)

    def _way_in(self) -> str:
        if self._host == "ghcr.io":
            return "`docker login` there, or give the job `permissions: {packages: write}`"
        return f"`docker login {self.name.partition('/')[0]}` first, or set MLOPS_REGISTRY, MLOPS_REGISTRY_USER and MLOPS_REGISTRY_PASSWORD"

    def _introduced(self, method: str, url: str, headers: dict[str, str], body: bytes | Piece | None, scopes: tuple[str, ...]) -> Response:
        """One request; where the registry asks who we are, it is told and asked once more."""
        for tries in range(INTRODUCTIONS):
            used = self._identity.header(scopes) if self._is_ours(url) else None
            answer, ours = self._followed(method, url, headers, body, used)
            if not ours or answer.status_code not in (400, 401, 403) or tries == INTRODUCTIONS - 1:
                return answer
            try:
                again = self._answered(method, answer, used, scopes)
            except BaseException:
                answer.close()
                raise
            if not again:
                return answer
            answer.close()
        raise AssertionError  # pragma: no cover -- the last round returns

    def _answered(self, method: str, answer: Response, used: str | None, scopes: tuple[str, ...]) -> bool:
        """The registry refused: whether there is something new to say, after its challenge or because a token has expired."""
        asked = challenge.parse(answer.headers.get("WWW-Authenticate", "")) if answer.status_code == 401 else ()
        if asked:
            return self._identity.challenged(asked, used, scopes)
        return used is not None and _says_expired(method, answer) and self._identity.expired(used, scopes)

    def _followed(
        self, method: str, url: str, headers: dict[str, str], body: bytes | Piece | None, used: str | None
    ) -> tuple[Response, bool]:
        """The answer at the end of the registry's redirects, and whether the registry itself gave it."""
        for _ in range(HOPS):
            ours = self._is_ours(url)
            answer = self._send(method, url, {**headers, "Authorization": used} if used and ours else headers, body)
            onward = answer.headers.get("Location")
            follow = answer.status_code in (307, 308) or (answer.status_code in (301, 302, 303) and method in ("GET", "HEAD"))
            if not (follow and onward):
                return answer, ours
            answer.close()
            url = self._address(joined(url, onward))
        raise Rejected("registry-rejects", f"{self.name} sends us on and on", status=0, said="too many redirects")

    def _send(self, method: str, url: str, headers: Mapping[str, str], body: bytes | Piece | None) -> Response:
        _unless(self.stopped)
        opened = body.open(self.stopped) if isinstance(body, Piece) and body.size else None
        data = opened or (body if isinstance(body, bytes) else b"" if body is not None else None)
        try:
            # auth: a function that does nothing, or the library would look into ~/.netrc
            return self._session().request(
                method, url, headers=dict(headers), data=data, timeout=TIMEOUT, auth=lambda request: request, allow_redirects=False, stream=True
            )  # fmt: skip
        finally:
            if opened is not None:
                opened.close()

    def _is_ours(self, url: str) -> bool:
        place = urlsplit(url)
        return (place.scheme, _without_port(place.scheme, place.netloc)) == (self._scheme, _without_port(self._scheme, self._host))

    def _address(self, url: str) -> str:
        """Where a request may go: over https, or to this machine. A registry behind a gate often calls itself http: it is asked over https."""
        place = urlsplit(url)
        if place.scheme == "http" and _without_port("http", place.netloc) == self._host:
            return place._replace(scheme=self._scheme, netloc=self._host).geturl()
        if place.scheme == "https" or (self._scheme == "http" and place.scheme == "http" and LOOPBACK.match(place.netloc)):
            return url
        raise Rejected(
            "registry-rejects", f"{self.name} sends us to {place.scheme}://{place.hostname}, which is not https", status=0, said="not https"
        )  # fmt: skip

    def _session(self) -> Session:
        session: Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = _new_session(loopback=self._scheme == "http")
            with self._lock:
                self._sessions.append(session)
        return session

    def _token(self, method: str, url: str, fields: list[tuple[str, str]], authorization: str | None) -> tuple[int, Mapping[str, Any]]:
        """Ask the token server (Identity's `fetch`); one that asks to be tried later is an error that another try mends."""
        headers = {"Authorization": authorization} if authorization else {}
        params, data = (fields, None) if method == "GET" else (None, fields)
        answer = self._session().request(
            method, url, headers=headers, timeout=(10, 60), auth=lambda request: request, allow_redirects=False, stream=True,
            params=params, data=data,
        )  # fmt: skip
        with answer:
            if answer.status_code in AGAIN:
                raise Stumbled(f"the token server says {_said(answer)}", retry_after(answer.headers.get("Retry-After")))
            return answer.status_code, json_object(content(answer)) if answer.ok else {}

    def close(self) -> None:
        """Give the connections back."""
        with self._lock:
            sessions, self._sessions = self._sessions, []
        for session in sessions:
            session.close()
        self._local = threading.local()


def joined(base: str, onward: str) -> str:
    """Where a registry sends us on to, from where we are; Rejected for what is no address."""
    try:
        url = urljoin(base, onward)
        place = urlsplit(url)
        if place.hostname and place.port != 0:  # a port that is none raises
            return url
    except ValueError:
        pass
    raise no_address(urlsplit(base).netloc)


def no_address(name: str) -> Rejected:
    return Rejected("registry-rejects", f"{name} sends us to an address that is none", status=0, said="no address")


def _without_port(scheme: str, netloc: str) -> str:
    """HOST:443 and HOST are the same over https."""
    return netloc.lower().removesuffix({"https": ":443", "http": ":80"}.get(scheme, ":"))


def _causes(error: BaseException) -> list[BaseException]:
    """The error, and what it was raised from; libraries keep that in several places."""
    found, waiting = list[BaseException](), [error]
    while waiting and len(found) < 20:
        one = waiting.pop()
        if one not in found:
            found.append(one)
            nearby = (one.__cause__, one.__context__, getattr(one, "reason", None), *one.args)
            waiting.extend(cause for cause in nearby if isinstance(cause, BaseException))
    return found


def _says_expired(method: str, answer: Response) -> bool:
    """Amazon's public registry answers 400 or 403 to a token that has expired, without a challenge; to HEAD without words, too."""
    return answer.status_code in (400, 403) and (
        "authorization token" in _said(answer).lower() or (method, answer.status_code) == ("HEAD", 400)
    )


def _unless(stopped: threading.Event) -> None:
    if stopped.is_set():
        raise EnvironmentFailure("registry-unreachable", "it was stopped because something else failed")


def content(answer: Response, most: int = MOST_BYTES) -> bytes:
    """The whole body of an answer, up to `most` bytes; more is an EnvironmentFailure `registry-rejects`. Stumbled where it breaks off."""
    from urllib3.exceptions import HTTPError

    try:
        with answer:
            body: bytes = answer.raw.read(most + 1, decode_content=True)
    except (HTTPError, OSError) as error:
        raise Stumbled(f"the answer broke off ({type(error).__name__})") from error
    if len(body) > most:
        raise Rejected("registry-rejects", f"an answer of the registry is larger than {most} bytes", status=0, said="too large")
    return body


def json_object(body: bytes) -> dict[str, Any]:
    """The JSON object in a body; an empty one where there is none."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _new_session(*, loopback: bool) -> Session:
    import requests
    from requests.adapters import HTTPAdapter

    class Adapter(HTTPAdapter):
        """Bodies go out in larger blocks than the library's 16 KiB."""

        def init_poolmanager(self, *positions: Any, **names: Any) -> None:
            super().init_poolmanager(*positions, blocksize=BLOCK, **names)

    class Unled(requests.Session):
        """Even where it is told not to follow, the library prepares the next request: it reads the whole body, however large, and the address."""

        def get_redirect_target(self, resp: Response) -> None:
            return None

    session = Unled()
    session.mount("https://", Adapter())
    session.mount("http://", Adapter())
    if loopback:
        session.trust_env = False  # no proxy stands between this machine and itself
    # the library knows the first two variables by itself; SSL_CERT_FILE is what OpenSSL and most other programs are told by
    elif (bundle := os.environ.get("SSL_CERT_FILE")) and not any(os.environ.get(name) for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")):
        session.verify = bundle
    return session


def _said(answer: Response) -> str:
    """`404 NAME_UNKNOWN: repository name not known`, from what the registry answered; short, one line. The body is read once."""
    known: str | None = getattr(answer, "mlops_said", None)
    if known is not None:
        return known
    try:
        first = json.loads(content(answer, 65_536))["errors"][0]
        words = f"{first.get('code', '')}: {first.get('message', '')}"
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, Stumbled, EnvironmentFailure):
        words = answer.reason or ""
    printable = "".join(character if character.isprintable() else " " for character in f"{answer.status_code} {words}")
    said = " ".join(printable.split())[:200]
    answer.mlops_said = said  # type: ignore[attr-defined]
    return said
