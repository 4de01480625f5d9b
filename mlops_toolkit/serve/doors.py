"""Who may ask: bearer tokens, compared so that time tells nothing, and read again when their file changes."""

from __future__ import annotations

import hashlib
import hmac
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_toolkit.errors import UsageError
from mlops_toolkit.serve.refusals import Refused
from mlops_toolkit.serve.settings import tokens

if TYPE_CHECKING:
    from mlops_toolkit.serve.settings import Settings


class Doors:
    """The tokens that are valid now, as digests; none where everybody may ask."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._held = _digests(tokens(settings))
        self._print = self._look()
        self._wanted = bool(self._held)

    def check(self, authorization: bytes | None, opened: str) -> None:
        """Refused `unauthorized` without a valid token, where one is wanted and `opened` is not among what is answered without."""
        if not self._wanted or (opened and opened in self._settings.open):
            return
        kind, _, token = (authorization or b"").partition(b" ")
        given = hashlib.sha256(token.strip()).digest()
        valid = False
        for held in self._held:  # all of them, whichever is right: how long it takes says nothing
            valid |= hmac.compare_digest(given, held)
        if kind.lower() != b"bearer" or not valid:
            what = "a token is wanted" if authorization is None else "the token is not valid"
            raise Refused("unauthorized", what, hint="authorization: Bearer TOKEN", headers=[(b"www-authenticate", b"Bearer")])

    def reread(self) -> None:
        """Read the file again where it changed. One that cannot be read any more leaves the tokens as they were: nobody new gets in."""
        now = self._look()
        if now == self._print:
            return
        try:
            self._held = _digests(tokens(self._settings))
        except UsageError:
            logging.getLogger("mlops.serve").exception("the tokens are still those from before")
        self._print = now

    def _look(self) -> tuple[int, int, int] | None:
        if not self._settings.token_file:
            return None
        try:
            told = Path(self._settings.token_file).stat()
        except OSError:
            return None
        return told.st_ino, told.st_size, told.st_mtime_ns


def _digests(found: tuple[str, ...]) -> tuple[bytes, ...]:
    return tuple(hashlib.sha256(token.encode()).digest() for token in found)
