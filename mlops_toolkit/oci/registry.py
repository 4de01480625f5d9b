"""Talking to an OCI registry: blobs and manifests, with bounded retries."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.oci.auth import Login

if TYPE_CHECKING:
    from requests import Response, Session

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
TRIES = 4
LOOPBACK = re.compile(r"^(localhost|127(\.\d+){3}|\[::1\])(:\d+)?$")
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


class Registry:
    """One repository of one registry, over http only where that is this machine."""

    def __init__(self, host: str, repository: str, credentials: Login | None, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self.host, self.repository = host, repository
        self._login, self._sleep = credentials, sleep
        self._base = f"{'http' if LOOPBACK.match(host) else 'https'}://{host}/v2/{repository}/"
        self._authorization: str | None = None
        self._session: Session | None = None

    def blob_exists(self, digest: str) -> bool:
        return self._ask("HEAD", f"blobs/{digest}", accept=(200, 404)).status_code == 200

    def push_blob(self, digest: str, size: int, content: Callable[[], IO[bytes]]) -> None:
        """Upload a blob, streamed; one that is there is not sent again. content: opens it, anew for each try."""
        if self.blob_exists(digest):
            return

        def upload() -> Response:
            begun = self._once("POST", "blobs/uploads/", headers={"Content-Length": "0"})
            if begun.status_code != 202:
                return begun
            place = urljoin(begun.url, begun.headers.get("Location", ""))
            with content() as body:
                headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
                return self._once(
                    "PUT", place + ("&" if "?" in place else "?") + f"digest={digest}", data=body if size else b"", headers=headers
                )

        self._retried(upload, "upload", accept=(201,))

    @contextlib.contextmanager
    def pull_blob(self, digest: str) -> Iterator[Any]:
        """A blob as a binary stream, None where it is not there; one that breaks off is `registry-unreachable`."""
        from urllib3.exceptions import HTTPError

        with self._ask("GET", f"blobs/{digest}", accept=(200, 404), stream=True) as answer:
            answer.raw.decode_content = False
            try:
                yield answer.raw if answer.status_code == 200 else None
            except HTTPError as error:
                raise EnvironmentFailure("registry-unreachable", f"a download from {self._name} broke off") from error

    def push_manifest(self, tag: str, manifest: bytes) -> None:
        self._ask("PUT", f"manifests/{tag}", accept=(201,), data=manifest, headers={"Content-Type": MANIFEST})

    def pull_manifest(self, tag: str) -> bytes | None:
        answer = self._ask("GET", f"manifests/{tag}", accept=(200, 404), headers={"Accept": MANIFEST})
        return answer.content if answer.status_code == 200 else None

    def manifest_digest(self, tag: str) -> str | None:
        """The digest of a tag's manifest, None where there is none."""
        answer = self._ask("HEAD", f"manifests/{tag}", accept=(200, 404), headers={"Accept": MANIFEST})
        return answer.headers.get("Docker-Content-Digest") if answer.status_code == 200 else None

    def delete_manifest(self, digest: str) -> None:
        self._ask("DELETE", f"manifests/{digest}", accept=(202, 404))

    def close(self) -> None:
        if self._session is not None:
            self._session.close()

    def _ask(self, method: str, path: str, *, accept: tuple[int, ...], **options: Any) -> Response:
        return self._retried(lambda: self._once(method, path, **options), method, accept=accept)

    def _retried(self, ask: Callable[[], Response], what: str, *, accept: tuple[int, ...]) -> Response:
        """Ask again where that may help: no connection, 429, 5xx. Everything else that is not accepted raises."""
        import requests

        said = ""
        for attempt in range(TRIES):
            if attempt:
                self._sleep(0.5 * 2**attempt)
            try:
                answer = ask()
            except requests.RequestException as error:
                said = type(error).__name__  # its text may hold a signed address
                continue
            if answer.status_code in accept:
                return answer
            said = _said(answer)
            if answer.status_code in (401, 403):
                hint = (
                    "`docker login` there, or give the job `permissions: {packages: write}`"
                    if self.host == "ghcr.io"
                    else "`docker login` there first"
                )
                raise EnvironmentFailure("registry-refuses", f"{self._name} refuses: {said}", hint=hint)
            if answer.status_code != 429 and answer.status_code < 500:
                break
        raise EnvironmentFailure("registry-unreachable", f"{what.lower()} at {self._name} failed: {said}")

    @property
    def _name(self) -> str:
        return f"{self.host}/{self.repository}"

    def _once(self, method: str, path: str, **options: Any) -> Response:
        """One request; where the registry asks who we are, it is told and asked once more."""
        if self._session is None:
            import requests

            self._session = requests.Session()
        url = urljoin(self._base, path)
        headers = {**options.pop("headers", {})}
        body = options.get("data")
        answer = self._send(method, url, headers, options)
        if answer.status_code == 401 and self._authorize(answer):
            answer.close()
            if body is not None and hasattr(body, "seek"):
                body.seek(0)
            answer = self._send(method, url, headers, options)
        return answer

    def _send(self, method: str, url: str, headers: dict[str, str], options: dict[str, Any]) -> Response:
        assert self._session is not None  # noqa: S101
        if self._authorization and urlsplit(url).netloc == self.host:
            headers = {**headers, "Authorization": self._authorization}
        # auth: a function that does nothing, or requests would look into ~/.netrc
        return self._session.request(method, url, headers=headers, timeout=(10, 300), auth=lambda request: request, **options)

    def _authorize(self, refusal: Response) -> bool:
        """Answer the registry's challenge; whether there is an answer that was not given yet."""
        challenge = refusal.headers.get("WWW-Authenticate", "")
        if challenge.lower().startswith("basic"):
            before, self._authorization = self._authorization, self._login.basic if self._login else None
            return self._authorization not in (None, before)
        if not challenge.lower().startswith("bearer"):
            return False
        asked = dict(_CHALLENGE.findall(challenge))
        realm = asked.pop("realm", "")
        if urlsplit(realm).scheme != "https" and not LOOPBACK.match(urlsplit(realm).netloc):
            return False  # our password goes nowhere in the clear
        assert self._session is not None  # noqa: S101
        headers = {"Authorization": self._login.basic} if self._login else {}
        params = {"service": asked.get("service", ""), "scope": f"repository:{self.repository}:pull,push"}
        if not self._login:
            params["scope"] = f"repository:{self.repository}:pull"
        answer = self._session.get(realm, params=params, headers=headers, timeout=(10, 60), auth=lambda request: request)
        try:
            data = answer.json() if answer.ok else {}
        except ValueError:
            data = {}
        token = data.get("token") or data.get("access_token")
        before, self._authorization = self._authorization, f"Bearer {token}" if token else None
        return self._authorization not in (None, before)


def _said(answer: Response) -> str:
    """`404 NAME_UNKNOWN: repository name not known`, from what the registry answered; short, one line."""
    try:
        first = answer.json()["errors"][0]
        words = f"{first.get('code', '')}: {first.get('message', '')}"
    except (ValueError, LookupError, TypeError, AttributeError):
        words = answer.reason or ""
    return " ".join(f"{answer.status_code} {words}".split())[:200]
