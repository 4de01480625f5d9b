"""Our own bare repository under `.mlops/cache`: objects asked for by id, written with plumbing. The user's clone is never touched.

It holds only what was asked for. Git is told that objects are missing on purpose (a filter) during a fetch and at no other time, so that
nothing is ever fetched behind our back, and it claims to have nothing, so that what arrives never builds on what is not here.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.history.remote import NAME, Remote, in_words, passing
from mlops_toolkit.system import proc
from mlops_toolkit.system.files import write_atomic
from mlops_toolkit.system.git import QUIET

CONFIG = """[core]
\trepositoryformatversion = 1
\tbare = true
\tlogAllRefUpdates = false
\thooksPath = /dev/null
[extensions]
{extension}[gc]
\tauto = 0
[maintenance]
\tauto = false
[fetch]
\tnegotiationAlgorithm = noop
\trecurseSubmodules = false
[push]
\trecurseSubmodules = no
\tgpgSign = false
[fastimport]
\tunpackLimit = 1000
[http]
\tlowSpeedLimit = 500
\tlowSpeedTime = 60
"""
# Variables that would point git elsewhere, or write the headers it sends into a log.
NOT_OURS = {
    *("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_NAMESPACE", "GIT_PREFIX"),
    *("GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_SHALLOW_FILE"),
    *("GIT_TRACE", "GIT_TRACE_CURL", "GIT_TRACE_CURL_NO_DATA", "GIT_TRACE_REDACT", "GIT_CURL_VERBOSE"),
    *("GIT_TRACE2", "GIT_TRACE2_EVENT", "GIT_TRACE2_PERF"),
}
PACKS = 150
TRIES = 4  # of a question to the remote
FETCH = ("fetch", "--quiet", "--no-write-fetch-head", "--no-tags", "--no-auto-gc")
FOLDER = "40000"  # a tree's mode for a folder
HIDDEN = ("unadvertised", "not our ref")  # the server gives out no object by id, or has not this one
NOBODY = {
    f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER") for what, value in (("NAME", "mlops"), ("EMAIL", "mlops@localhost"))
}


def hidden(error: EnvironmentFailure) -> bool:
    """Whether the remote could be asked, and does not give out what was asked for by id."""
    return any(word in error.message for word in HIDDEN)


@dataclass(frozen=True)
class Node:
    """A line of a tree: mode (`40000` for a folder) and object id."""

    mode: str
    oid: str


def tree(raw: bytes, width: int) -> dict[str, Node]:
    """The lines of a raw tree object by name. width: bytes of an object id, 20 or 32."""
    nodes, at = {}, 0
    while at < len(raw):
        space, end = raw.index(b" ", at), raw.index(b"\0", at)
        nodes[os.fsdecode(raw[space + 1 : end])] = Node(raw[at:space].decode(), raw[end + 1 : end + 1 + width].hex())
        at = end + 1 + width
    return nodes


@dataclass
class Bare:
    """A bare repository at `path` (made when first used) and its one remote. Not safe for two at once: the caller holds a lock.

    patience  seconds that one answer of the remote may take
    holds     what a person misses when it cannot be read
    full      it has commits for sure: an answer over HTTP that names no branch at all is not its own
    pause     wait before a question is asked again that met a passing trouble: number of the try (0 first) -> whether to
    """

    path: Path
    remote: Remote
    env: Mapping[str, str]
    patience: float = 600
    object_format: Callable[[], str] = lambda: "sha1"
    holds: str = "the recorded runs"
    full: bool = False
    pause: Callable[[int], bool] = lambda tries: False

    def __call__(self, *args: str, data: bytes | None = None, check: bool = True, remote: bool = False) -> proc.Completed:
        """Run `git ARGS` in it; only with `remote` does git know the address and the token."""
        env = {k: v for k, v in self.env.items() if k not in NOT_OURS} | QUIET | NOBODY
        if remote:
            count = int(env.get("GIT_CONFIG_COUNT") or 0)
            for number, (key, value) in enumerate(self.remote.config(), count):
                env |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
                env["GIT_CONFIG_COUNT"] = str(number + 1)
        done = proc.run(
            ["git", "--git-dir", str(self.path), *args],
            env=env,
            data=data,
            timeout_seconds=self.patience if remote and args[0] != "push" else 600,
        )
        if check and done.status != 0:
            raise EnvironmentFailure("git-failed", f"git {args[0]} failed: {self.remote.clean(done.trouble)}", where=str(self.path))
        return done

    def ready(self) -> None:
        """Make the repository where there is none, or a broken one; and put its configuration right, which a fetch changes."""
        config = self.path / "config"
        there = config.read_text("utf-8", "replace") if config.is_file() else ""
        whole = (self.path / "HEAD").is_file() and (self.path / "objects").is_dir() and (self.path / "refs").is_dir()
        if not whole or "[core]" not in there:
            self._make(self.object_format())
            there = (self.path / "config").read_text()
        long = "\tobjectFormat = sha256\n" if re.search(r"objectformat\s*=\s*sha256", there, re.IGNORECASE) else ""
        if there != (text := CONFIG.format(extension=long)):
            write_atomic(config, text)

    def _make(self, kind: str) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        env = {k: v for k, v in self.env.items() if k not in NOT_OURS} | QUIET
        made = proc.run(["git", "init", "--quiet", "--bare", "--template=", f"--object-format={kind}", str(self.path)], env=env)
        if made.status != 0:
            raise EnvironmentFailure("git-failed", f"git init failed: {made.trouble}", where=str(self.path))

    def tidy(self) -> None:
        """Begin anew once many fetches have piled up: everything here can be asked for again, and what is still needed is little."""
        if len(list((self.path / "objects" / "pack").glob("*.pack"))) > PACKS:
            shutil.rmtree(self.path, ignore_errors=True)

    def tip(self, ref: str) -> str | None:
        """What the remote has at a full ref name, None where it has not. EnvironmentFailure `history-unreadable`."""
        self.ready()
        done = self._asked("ls-remote", "--", NAME, "HEAD", ref)
        if done.status != 0:
            raise self._unreadable(done)
        # A page without a line break, a proxy's say, is to git the list of a repository without branches: there every model is the first.
        if self.full and not done.text and self.remote.url.startswith(("http://", "https://")):
            raise self._unreadable(replace(done, stderr=b"error: the answer names no branch: it is not the repository's"))
        return next((oid for oid, _, name in (line.partition("\t") for line in done.text.splitlines()) if name == ref), None)

    def fetch(self, oids: Iterable[str], *, filter: str = "tree:0", depth: int | None = None) -> None:  # noqa: A002 — git's own word
        """Ask the remote for objects by id, filtered. EnvironmentFailure `history-unreadable`.

        A server that knows no filters sends everything below them; one that gives out no object by id is for the caller to handle.
        """
        deep = [f"--depth={depth}"] if depth else []
        wanted = "".join(f"{oid}\n" for oid in oids).encode()
        for choice in dict.fromkeys((filter, "blob:none")):
            done = self._asked(*FETCH, f"--filter={choice}", *deep, "--stdin", NAME, data=wanted)
            self.ready()
            if done.status == 0:
                return
            if b"filter" not in done.stderr:  # a server may allow some filters only
                break
        raise self._unreadable(done)

    def fetch_all(self, ref: str) -> None:
        """Everything at the tip of a ref: the way of a server that gives out no object by id."""
        done = self._asked(*FETCH, "--depth=1", NAME, f"+{ref}:refs/mlops/tip")
        if done.status != 0:
            raise self._unreadable(done)

    def _asked(self, *args: str, data: bytes | None = None) -> proc.Completed:
        """Ask the remote; once more after a pause where the network, and not the server, was the trouble."""
        for tries in range(TRIES):
            done = self(*args, data=data, remote=True, check=False)
            if done.status == 0 or not passing(done.stderr.decode("utf-8", "replace")) or tries + 1 == TRIES or not self.pause(tries):
                break
        return done

    def _unreadable(self, done: proc.Completed) -> EnvironmentFailure:
        trouble = self.remote.clean(done.stderr.decode("utf-8", "replace"))
        return EnvironmentFailure(
            "history-unreadable",
            f"{self.holds} cannot be read: {in_words(trouble, verb='read')}",
            where=self.remote.clean(self.remote.url),
            hint="nothing was decided; run it again when the remote can be read",
        )

    def objects(self, oids: Iterable[str]) -> dict[str, bytes]:
        """The contents of those that are here, by id."""
        asked = list(dict.fromkeys(oids))
        if not asked:
            return {}
        self.ready()
        out = self("cat-file", "--batch", data="".join(f"{oid}\n" for oid in asked).encode()).stdout
        found, at = {}, 0
        while at < len(out):
            header, _, _ = out[at : at + 200].partition(b"\n")
            at += len(header) + 1
            oid, *kind = header.decode().split()
            if len(kind) == 2:
                size = int(kind[1])
                found[oid] = out[at : at + size]
                at += size + 1
        return found

    def missing(self, oids: Iterable[str]) -> list[str]:
        """Those that are not here."""
        asked = list(oids)
        there = self.objects(asked)
        return [oid for oid in asked if oid not in there]

    def only_shallow(self, commit: str | None) -> None:
        """Forget the earlier tips that were fetched without their parents; the list of them is sent with every request."""
        path = self.path / "shallow"
        if path.exists():
            lines = set(path.read_text().split())
            if commit in lines and len(lines) > 1:
                write_atomic(path, f"{commit}\n")

    def make_commit(self, stream: bytes) -> tuple[str, str]:
        """The commit (and its root tree) that a fast-import stream makes at refs/mlops/new."""
        self("fast-import", "--quiet", "--force", "--done", data=stream)
        commit, tree = self("rev-parse", "refs/mlops/new", "refs/mlops/new^{tree}").text.split()
        return commit, tree

    def push(self, commit: str, ref: str, *, lease: str | None = None) -> str | None:
        """Offer a commit as the new tip; None if taken, else what git said. lease: replace exactly this tip, whatever it was built on."""
        force = [f"--force-with-lease={ref}:{lease}"] if lease else []
        done = self("push", "--porcelain", "--no-verify", *force, NAME, f"{commit}:{ref}", remote=True, check=False)
        return None if done.status == 0 else self.remote.clean((done.stdout + b"\n" + done.stderr).decode("utf-8", "replace"))
