"""Says to one registry who we are: answers its challenges, keeps its token, renews it; from several threads at once.

Bearer tokens are had as the distribution project describes it: GET with Basic, or OAuth2's POST for an identity token
(distribution.github.io/distribution/spec/auth). A password goes to the registry itself or to the token server that the registry names,
over https; only a registry on this machine may name one on this machine without.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

from mlops_toolkit.oci.auth import Login
from mlops_toolkit.oci.challenge import Challenge, covers, united
from mlops_toolkit.oci.reference import LOOPBACK

DEFAULT_SECONDS = 60  # what a token without `expires_in` is good for
CLIENT = "mlops-toolkit"


class Fetch(Protocol):
    """Asks a token server: method, address, parameters (of the address, or of the form), Authorization -> status, JSON object."""

    def __call__(
        self, method: str, url: str, fields: list[tuple[str, str]], authorization: str | None
    ) -> tuple[int, Mapping[str, Any]]: ...


@dataclass(frozen=True)
class Answer:
    """What was last agreed: the header, for which scopes, until when (monotonic seconds, None: until refused)."""

    header: str
    scopes: tuple[str, ...] = ()
    until: float | None = None


class Identity:
    """Who we are at one registry. fetch: asks the token server."""

    def __init__(self, host: str, login: Login | None, fetch: Fetch, *, now: Callable[[], float] = time.monotonic) -> None:
        self._loopback = LOOPBACK.match(host) is not None
        self._login, self._fetch, self._now = login, fetch, now
        self._lock = threading.Lock()
        self._answer = Answer(f"Bearer {login.password}") if login and login.kind == "token" else None
        self._bearer: Challenge | None = None

    def header(self, scopes: tuple[str, ...]) -> str | None:
        """The Authorization for a request that needs these scopes; None before the registry asked.

        A token that is about to expire, or that is for less, is renewed here: before a large body is sent, not after.
        """
        with self._lock:
            answer = self._answer
            if answer is None or self._bearer is None or self._login_is_token:
                return answer.header if answer else None
            if (answer.until is None or self._now() < answer.until) and covers(answer.scopes, scopes):
                return answer.header
            self._renew(united(answer.scopes, scopes))
            return self._answer.header if self._answer else None

    def challenged(self, challenges: tuple[Challenge, ...], used: str | None, scopes: tuple[str, ...]) -> bool:
        """The registry refused a request that had the header `used`: whether another try has something new to say."""
        with self._lock:
            if self._answer and self._answer.header != used:
                return True  # another thread has answered meanwhile
            if self._login_is_token:
                return False
            bearer = next((c for c in challenges if c.scheme == "bearer" and c.parameters.get("realm")), None)
            if bearer and self._may_be_told(bearer.parameters["realm"]):
                self._bearer = bearer
                had = self._answer.scopes if self._answer else ()
                return self._renew(united(had, scopes, bearer.parameters.get("scope", "").split())) and self._said(used)
            if any(c.scheme == "basic" for c in challenges) and self._login and self._login.kind == "password":
                self._bearer, self._answer = None, Answer(self._login.basic)
                return self._said(used)
            return False

    def expired(self, used: str | None, scopes: tuple[str, ...]) -> bool:
        """As `challenged`, where the registry says so without a challenge."""
        return self._bearer is not None and self.challenged((self._bearer,), used, scopes)

    @property
    def _login_is_token(self) -> bool:
        return self._login is not None and self._login.kind == "token"

    def _said(self, used: str | None) -> bool:
        return self._answer is not None and self._answer.header != used

    def _may_be_told(self, realm: str) -> bool:
        try:
            place = urlsplit(realm)
            if not place.hostname or "@" in place.netloc or place.port == 0:
                return False
        except ValueError:
            return False
        return place.scheme == "https" or (place.scheme == "http" and self._on_this_machine(place.netloc))

    def _on_this_machine(self, netloc: str) -> bool:
        return self._loopback and LOOPBACK.match(netloc) is not None

    def _renew(self, scopes: tuple[str, ...]) -> bool:
        """A new token for these scopes; where there is none, the old one is gone too, so that the registry says what it wants."""
        assert self._bearer is not None  # noqa: S101
        realm = self._bearer.parameters["realm"]
        service = [("service", self._bearer.parameters["service"])] if self._bearer.parameters.get("service") else []
        asked = self._now()
        status, data = 0, {}  # type: int, Mapping[str, Any]
        if self._login and self._login.kind == "identity":
            form = [("grant_type", "refresh_token"), *service, ("client_id", CLIENT), ("scope", " ".join(scopes))]
            status, data = self._fetch("POST", realm, [*form, ("refresh_token", self._login.password)], None)
        if not 200 <= status < 300 and status in (0, 404, 405):  # a token server that knows no OAuth2
            fields = [*service, *(("scope", scope) for scope in scopes)]
            status, data = self._fetch("GET", realm, fields, self._login.basic if self._login else None)
        token = data.get("token") or data.get("access_token")
        if not 200 <= status < 300 or not isinstance(token, str) or not _printable(token):
            self._answer = None
            return False
        seconds = data.get("expires_in")
        lasts = float(seconds) if isinstance(seconds, (int, float)) and 0 < seconds < 10**9 else DEFAULT_SECONDS
        self._answer = Answer(f"Bearer {token}", scopes, asked + lasts - min(10.0, lasts / 2))
        return True


def _printable(token: str) -> bool:
    """A token that cannot break out of its header."""
    return token.isascii() and token.isprintable() and " " not in token
