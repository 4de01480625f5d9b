"""The remote a history lives on: its address, our token for it, how its files are shown, and what its refusals mean."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote, urlsplit

from mlops_toolkit.errors import UsageError

NAME = "mlops"  # the remote's name within our own repositories; its address is only ever given in a process's environment
SSH = re.compile(r"(?:[^@/\s]+@)?(?P<host>[^:/\s]+):(?!//)(?P<path>.+)")
BRANCH = re.compile(r"(?!.*(\.\.|@\{|//|\.lock$|\.lock/))[^\s~^:?*\[\\\x00-\x1f\x7f/.-][^\s~^:?*\[\\\x00-\x1f\x7f]*(?<![./])")


@dataclass(frozen=True)
class Remote:
    """One repository and how we may speak with it.

    url     as git understands it; may hold a user's own credentials, so it is never in argv, a message or a record
    home    its page where the address does not tell and the CI does (a mirror, a name out of an ssh configuration)
    token   asked for at each use, in memory only; given to `server` (https://github.com) and to no other
    """

    url: str
    server: str | None = None
    token: Callable[[], str | None] | None = None
    home: str | None = None

    def config(self) -> list[tuple[str, str]]:
        """What git must know to reach it, for GIT_CONFIG_COUNT in that one process's environment: an inherited header first emptied, then ours."""
        settings = [(f"remote.{NAME}.url", self.url)]
        token = self.token() if self.token and self._is_server() else None
        if token:
            key = f"http.{self.server}/.extraheader"
            basic = base64.b64encode(f"x-access-token:{token}".encode()).decode()
            settings += [(key, ""), (key, f"AUTHORIZATION: basic {basic}")]
        return settings

    def _is_server(self) -> bool:
        if not self.server:
            return False
        mine, theirs = urlsplit(self.url), urlsplit(self.server)
        return mine.scheme in ("http", "https") and (mine.scheme, mine.hostname, mine.port) == (theirs.scheme, theirs.hostname, theirs.port)

    def clean(self, text: str) -> str:
        """A message of git's without anything secret: no credentials in addresses, no token."""
        headers = [value for key, value in self.config() if key.endswith(".extraheader") and value]
        for secret in (*(header.split()[-1] for header in headers), (self.token and self.token()) or ""):
            text = text.replace(secret, "***") if secret else text
        return re.sub(r"(?<=//)[^/@\s]+@", "", text)

    def page(self) -> str | None:
        """The repository's page in a browser, `https://github.com/O/R`; None where we do not know its forge."""
        parts = urlsplit(self.url)
        if parts.scheme in ("http", "https", "ssh", "git"):
            host, path = parts.hostname, parts.path
        elif (match := SSH.fullmatch(self.url)) and not Path(self.url).exists():
            host, path = match["host"], match["path"]
        else:
            return self.home
        server = urlsplit(self.server or "https://github.com")
        path = path.strip("/").removesuffix(".git")
        if host not in (server.hostname, "github.com") or path.count("/") != 1:
            return self.home
        base = f"{server.scheme}://{server.netloc}" if host == server.hostname else "https://github.com"
        return f"{base}/{quote(path)}"

    def raw(self, branch: str, path: str) -> str | None:
        """A file of a branch as a browser with access to the repository shows it."""
        page = self.page()
        return f"{page}/raw/{quote(branch)}/{quote(path)}" if page else None


def parse_at(at: str, origin: str | None) -> tuple[str | None, str]:
    """(address, branch) of `history.at`: a branch of the origin, or ADDRESS#BRANCH. UsageError `bad-history-address`."""
    url, mark, branch = at.rpartition("#")
    if not BRANCH.fullmatch(branch) or (mark and (not url or url.startswith("-"))):
        raise UsageError(
            "bad-history-address",
            f'"{at[:100]}" names no branch',
            where="history.at",
            hint="write a branch (mlops-history), or another repository and its branch (https://github.com/org/records#mlops-history)",
        )
    return (url if mark else origin), branch


Refusal = Literal["race", "passing", "final"]

RACE = re.compile(
    r"fetch first|non-fast-forward|stale info|cannot lock ref|failed to (update|lock) ref|reference already exists|incorrect old value|"
    r"unable to create '.*\.lock'|failed to push some refs.*behind",
    re.IGNORECASE,
)
PASSING = re.compile(
    r"HTTP (429|5\d\d)|error: (429|5\d\d)|RPC failed|early EOF|hung up|reset by peer|timed out|temporarily unavailable|unexpected disconnect|"
    r"empty reply|transfer closed|broken pipe|could not resolve (host|proxy)|failed to connect|recv (failure|error)|SSL_ERROR_SYSCALL|unexpected eof|"
    r"bytes remaining to read|invalid index-pack output|expected flush",
    re.IGNORECASE,
)
WORDS = (
    (r"GH006|GH013|protected branch|repository rule violations|pre-receive hook declined", "the branch rules refuse it: exempt the history branch"),
    (r"publickey|host key verification", "ssh was refused: there is no key here that the remote takes, or it is not known to this machine"),
    (r"403|write access|permission (to .* )?denied|not allowed to push|read.only", "the token may not {verb} here: give the job `permissions: contents: {verb}`"),
    (r"401|authentication failed|could not read username|terminal prompts disabled", "the remote wants credentials that git here does not have"),
    (r"not found|does not (exist|appear)", "there is no such repository, or no right to see it"),
    (r"could not resolve|unable to access|network is unreachable|connection refused|could not read from remote", "the remote cannot be reached"),
    (r"no space left|disk quota", "the disk of the remote is full"),
)  # fmt: skip
RULES = re.compile(WORDS[0][0], re.IGNORECASE)
CODE = re.compile(r"\bGH\d{3}\b")
TELLING = re.compile(r"fatal|error|rejected|denied|GH0|ssh:", re.IGNORECASE)


def passing(trouble: str) -> bool:
    """Whether asking again in a moment may help."""
    return PASSING.search(trouble) is not None


def refusal(trouble: str) -> Refusal:
    """What a failed push means: another writer was faster (again), a passing trouble (a few times more), or no."""
    if RACE.search(trouble):
        return "race"
    return "passing" if passing(trouble) else "final"


def in_words(trouble: str, *, verb: Literal["read", "write"] = "write") -> str:
    """The cause of a failure as a person says it, with the line of git's that tells the most behind it."""
    lines = [line.strip() for line in trouble.splitlines() if line.strip() and not line.startswith(("To ", "Done", "hint:", "Warning:"))]
    # Stable: the first of the best.
    lines.sort(key=lambda line: (not CODE.search(line), "Could not read from remote" in line, not TELLING.search(line)))
    telling = lines[0][:200] if lines else "no reason given"
    for pattern, words in WORDS:
        if re.search(pattern, trouble, re.IGNORECASE):
            return f"{words.format(verb=verb)} ({telling})"
    return telling


def way_out(trouble: str, branch: str) -> str | None:
    """What to do where branch rules refuse the history's branch, or the token may not write, with the lines to paste."""
    if RULES.search(trouble):
        return f"""\
exclude {branch} from the rule's target branches (Settings → Rules → Rulesets, or Branches),
or record on a branch that no rule is about, in mlops.yaml:
history: {{at: another-branch}}"""
    if re.search(WORDS[2][0], trouble, re.IGNORECASE):
        return "give the job this permission too (a `permissions:` block takes away all that it does not name):\npermissions:\n  contents: write   # the history of runs"
    return None
