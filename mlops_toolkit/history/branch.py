"""The history on a branch of a git remote: `index.jsonl`, `runs/<yyyy-mm>/<id>/…`, `salt`, and a page for people.

Reading asks for objects by id: the tip's commit, its root tree, the index, and nothing else until a run is opened. Writing makes a commit on
the tip from the set of lines by id, offers it, and where another writer was faster reads again and makes it anew.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from mlops_toolkit.ci import Context
from mlops_toolkit.errors import EnvironmentFailure, InvalidFile
from mlops_toolkit.history import page
from mlops_toolkit.history.bare import FOLDER, Bare
from mlops_toolkit.history.base import Bundle, Entry, History, Recorded
from mlops_toolkit.history.commits import Commits
from mlops_toolkit.history.entry import of_run
from mlops_toolkit.history.local import LocalHistory, bundle_files, prepare, refuse_committed
from mlops_toolkit.history.outbox import Outbox, Waiting
from mlops_toolkit.history.remote import Remote, in_words, parse_at, refusal, way_out
from mlops_toolkit.history.snapshot import Reader, Snapshot, folder
from mlops_toolkit.history.stream import Draft
from mlops_toolkit.records import run
from mlops_toolkit.system.clock import Clock
from mlops_toolkit.system.files import locked, write_atomic
from mlops_toolkit.system.git import Commit, Git

T = TypeVar("T")
PATIENCE = 600.0  # seconds that a record is offered again while other writers are faster
PASSING_TRIES = 3
FRESH = 600.0  # seconds that a laptop goes by what it read last
LAPTOP_PATIENCE = 30.0
SSH = re.compile(r"ssh://|[^/:]+:(?!//)")


def open_history(
    state: Path,
    at: str,
    *,
    git: Git | None,
    context: Context,
    token: Callable[[], str | None] | None,
    clock: Clock,
    rng: random.Random | None = None,
    beside: History | None = None,
) -> History:
    """The history of a `.mlops` folder: on the branch that `at` names, or on this machine alone where there is no repository or no remote.

    beside: that of another model at the same `at`, opened by this process a moment ago: what it read is not read again.
    """
    if git is not None:
        refuse_committed(state, git)
    origin = _origin(git) if git else None
    url, branch = parse_at(at, origin)
    if git is None or url is None:
        return LocalHistory(state)
    server = context.server_url
    code = Remote(origin, server, token) if origin else None
    home = f"{server}/{context.repository}" if server and context.repository and url == origin else None
    jitter = rng or random.Random()  # noqa: S311 — spreads retries, guards nothing
    made = GitHistory(state, Remote(url, server, token, home), branch, code=code, git=git, ci=context.ci, clock=clock, rng=jitter)
    if isinstance(beside, GitHistory):
        made.share(beside)
    return made


def _origin(git: Git) -> str | None:
    """The address of the clone's origin, the user's `url.….insteadOf` applied; a relative path is made whole."""
    url = git("ls-remote", "--get-url", "origin", check=False).text
    if url in ("", "origin"):  # git gives the name back where there is no such remote
        return None
    return str((git.root / url).resolve()) if "://" not in url and (git.root / url).is_dir() else url


def _env(git: Git, url: str) -> Mapping[str, str]:
    """The environment our repositories' git runs in: the clone's own ssh, which must not stop and ask for a passphrase."""
    if not SSH.match(url) or git.env.get("GIT_SSH_COMMAND") or git.env.get("GIT_SSH"):
        return git.env
    command = git("config", "--get", "core.sshCommand", check=False).text or "ssh"
    if command.split()[0].rpartition("/")[2] == "ssh":
        command += " -o BatchMode=yes -o ConnectTimeout=15"
    return {**git.env, "GIT_SSH_COMMAND": command}


@dataclasses.dataclass
class _Common:
    """What the histories of one process that share their repositories know together: the tip as it was read, and who works there."""

    seen: Snapshot | None = None
    holding: int = 0


class GitHistory(LocalHistory):
    """A History on `branch` of `remote`. `code` is the remote of the code itself, asked for commits that the clone lacks."""

    def __init__(
        self, state: Path, remote: Remote, branch: str, *, code: Remote | None, git: Git, ci: bool, clock: Clock, rng: random.Random
    ) -> None:
        super().__init__(state)
        self.remote, self.branch, self.ref, self.ci, self.clock, self.rng = remote, branch, f"refs/heads/{branch}", ci, clock, rng
        patience = 600.0 if ci else LAPTOP_PATIENCE

        def kind() -> str:
            return git("rev-parse", "--show-object-format", check=False).text or "sha1"

        own = code is not None and code.url == remote.url
        self.bare = Bare(state / "cache" / "history.git", remote, _env(git, remote.url), patience, kind, full=own, pause=self._pause)
        self.commits = (
            Commits(
                Bare(
                    state / "cache" / "commits.git",
                    code,
                    _env(git, code.url),
                    patience,
                    kind,
                    holds="the commits of the base branch",
                    full=True,
                    pause=self._pause,
                )
            )
            if code
            else None
        )
        self.reader = Reader(self.bare, self.ref, self.note)
        self.outbox = Outbox(state / "outbox")
        self.cache = state / "cache"
        self._common = _Common()

    def share(self, other: GitHistory) -> None:
        """Read and write in the other's repositories from now on, and go by what it has seen."""
        self.bare, self.commits, self.reader = other.bare, other.commits, other.reader
        self.cache, self._common = other.cache, other._common

    @property
    def _seen(self) -> Snapshot | None:
        return self._common.seen

    @_seen.setter
    def _seen(self, seen: Snapshot | None) -> None:
        self._common.seen = seen

    def _pause(self, tries: int) -> bool:
        """A CI waits out a short trouble of the network: a history that cannot be read ends its run. A laptop goes by what it knows."""
        if self.ci:
            self.clock.sleep(2.0**tries * self.rng.uniform(0.5, 1.0))
        return self.ci

    # Reading

    def entries(self) -> Sequence[Entry]:
        found = {**self.local(), **self.snapshot().index.entries, **self.read_folders(self.outbox.path, "waiting")}
        return tuple(found[i] for i in sorted(found))

    def snapshot(self, *, fresh: bool = False) -> Snapshot:
        """The branch as it is. A CI asks once, and fails closed; a laptop goes by what it read within ten minutes, or (noted) at all."""
        if self._seen is not None and not fresh:
            return self._seen
        with self.alone():
            known = self._remembered()
            if known is not None and not self.ci and not fresh and 0 <= self.clock.now().timestamp() - known[1] < FRESH:
                self._go_by(*known)
            else:
                self._ask(known[0] if known else None, closed=self.ci or fresh)
        assert self._seen is not None  # noqa: S101 — both have set it
        return self._seen

    def _ask(self, known: str | None, *, closed: bool) -> None:
        """Read the remote's tip; where that fails and we need not fail `closed`, the one known."""
        try:
            tip = self.bare.tip(self.ref)
            self.bare.tidy()
            self._seen = self.reader.at(tip)
            self._remember(self._seen.commit)
        except EnvironmentFailure as error:
            if closed:
                raise
            self._remember(known, error.message)
            self._go_by(known, 0.0, error.message)

    def _go_by(self, commit: str | None, _at: float, trouble: str) -> None:
        if trouble:
            self.note(f"going by the runs this machine knows: {trouble}")
        self._seen = self.reader.at(commit)

    def _remembered(self) -> tuple[str | None, float, str] | None:
        """The tip this machine knows, when it last asked, and why that failed if it did; None if it never did (or of another branch)."""
        try:
            seen = json.loads((self.cache / "tip.json").read_bytes())
            commit, at, trouble = seen["commit"], float(seen["at"]), str(seen["trouble"])
            whole = seen["ref"] == self._where() and (commit is None or not self.bare.missing([str(commit)]))
        except (OSError, ValueError, KeyError, TypeError, EnvironmentFailure):
            return None
        return (commit, at, trouble) if whole else None

    def _remember(self, commit: str | None, trouble: str = "") -> None:
        seen = {"ref": self._where(), "commit": commit, "at": self.clock.now().timestamp(), "trouble": trouble}
        write_atomic(self.cache / "tip.json", json.dumps(seen) + "\n")

    def _where(self) -> str:
        return f"{self.remote.clean(self.remote.url)}#{self.branch}"

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """One process at a time works in our repositories (and this one may nest)."""
        prepare(self.state)
        with contextlib.ExitStack() as stack:
            if not self._common.holding:
                stack.enter_context(locked(self.cache / "history.lock"))
            self._common.holding += 1
            try:
                yield
            finally:
                self._common.holding -= 1

    def read(self, run_id: str, path: str) -> bytes | None:
        found = self.file(run_id, path)
        return found.read_bytes() if found else None

    def file(self, run_id: str, path: str) -> Path | None:
        waiting = self.outbox.path / run_id
        if (found := super().file(run_id, path)) is not None:
            return found
        if (waiting / "run.json").is_file() and (waiting / path).is_file():
            return waiting / path
        return self.fetched(self.snapshot(), run_id, path)

    def fetched(self, seen: Snapshot, run_id: str, path: str) -> Path | None:
        """A file of a run as a tip of the branch has it, brought here by its object id; None where it is not there."""
        with self.alone():
            node = self.reader.node(seen, run_id, path)
        if node is None or node.mode == FOLDER:
            return None
        kept = self.cache / "files" / node.oid / Path(path).name
        if not kept.is_file():
            with self.alone():
                write_atomic(kept, self.reader.have([node.oid])[node.oid])
        return kept

    def salt(self) -> str:
        """The branch's salt; where there is no branch yet, a CI makes it there first (of two, the first one's salt holds)."""
        seen = self.snapshot()
        if seen.salt is None and self.ci:
            self.publish(lambda now: None if now.salt else Draft("Salt for example ids", {"salt": self._own_salt()}))
            with contextlib.suppress(EnvironmentFailure):
                seen = self.snapshot()
        return seen.salt or super().salt()

    def _own_salt(self) -> bytes:
        return (super().salt() + "\n").encode()

    # Writing

    def record(self, bundle: Bundle, *, remote: bool) -> Recorded:
        # What goes out differs from what is here (hashed ids, fewer columns): a run that is here keeps its own record and predictions.
        if not (remote and super().file(bundle.run.id, "run.json")):
            self.keep(bundle_files(bundle), bundle.run.id)
        if not remote:
            return Recorded(False)
        self.wait(bundle)
        done = self.push()
        urls = {path: self.remote.raw(self.branch, f"{folder(bundle.run.id)}/{path}") for path in bundle.files}
        return dataclasses.replace(done, urls={p: u for p, u in urls.items() if u} if done.pushed else {})

    def wait(self, bundle: Bundle) -> bool:
        self.outbox.put(bundle.run.id, bundle_files(without_examples(bundle)), self._salt_in_use())
        return True

    def _salt_in_use(self) -> str:
        try:
            return self.snapshot().salt or super().salt()
        except EnvironmentFailure:
            return super().salt()

    def push(self) -> Recorded:
        """Send everything that waits, in one commit. Never raises for the remote: what was not taken goes on waiting, with the reason."""
        sent: list[tuple[Waiting, Entry]] = []

        def draft(now: Snapshot) -> Draft | None:
            sent[:] = self._readable(self.outbox.load())
            return self._compose(now, sent) if sent else None

        done = self.publish(draft)
        if done.pushed:
            self.outbox.done(waiting for waiting, _ in sent)
        return done

    def _readable(self, waiting: Sequence[Waiting]) -> list[tuple[Waiting, Entry]]:
        """Waiting records with their entries; one that cannot be read goes on waiting, and is noted."""
        return [(record, entry) for record in waiting if (entry := self._entry(record)) is not None]

    def _entry(self, record: Waiting) -> Entry | None:
        try:
            return of_run(run.loads(record.files["run.json"], where=f"outbox/{record.id}"), where="recorded")
        except InvalidFile as error:
            self.note(f"a waiting record was left alone: {error}")
            return None

    def _compose(self, now: Snapshot, waiting: Sequence[tuple[Waiting, Entry]]) -> Draft:
        """One commit with all these records."""
        files: dict[str, bytes] = {} if now.salt else {"salt": self._own_salt()}
        for record, _ in waiting:
            for path, data in record.files.items():
                if ".hashed." not in path or now.salt in (None, record.salt):
                    files[f"{folder(record.id)}/{path}"] = data
                else:
                    self.note(f"{path} of run {record.id} was not recorded: its ids are hashed with another salt than the history's")
        index = now.index.with_entries(entry for _, entry in waiting)
        ids = [record.id for record, _ in waiting]
        message = f"Record {', '.join(ids[:3])}" + (f" and {len(ids) - 3} more" if ids[3:] else "")
        return Draft(message, {**files, **page.files(index, self.remote.page()), "index.jsonl": index.dump()}, [folder(i) for i in ids])

    def publish(self, make: Callable[[Snapshot], Draft | None], *, anew: bool = False) -> Recorded:
        """Offer what `make` drafts on the current tip until it is taken, another cause than a faster writer refuses it, or ten minutes passed.

        make   Snapshot -> Draft, or None where nothing is left to do
        anew   the draft replaces the branch by one commit without parents (what it leaves out is gone from it), unless the tip moved meanwhile
        """
        start, tries, passing = self.clock.monotonic(), 0, 0
        with self.alone():
            while True:
                try:
                    now = self.snapshot(fresh=True)
                    draft = make(now)
                    if draft is None:
                        return Recorded(True, now.commit)
                    commit = self._commit(now, draft, anew)
                    trouble = self.bare.push(commit, self.ref, lease=now.commit if anew else None) if commit != now.commit else None
                except EnvironmentFailure as error:
                    return Recorded(False, reason=error.message)
                if trouble is None:
                    self._seen = None
                    self._remember(commit)
                    return Recorded(True, commit)
                kind = refusal(trouble)
                passing += kind == "passing"
                if kind == "final" or passing > PASSING_TRIES or self.clock.monotonic() - start > PATIENCE:
                    return Recorded(False, reason=in_words(trouble), hint=way_out(trouble, self.branch))
                self.clock.sleep(self.rng.uniform(0.02, min(5.0, 0.1 * 2.0 ** min(tries, 10))))
                tries += 1

    def _commit(self, now: Snapshot, draft: Draft, anew: bool) -> str:
        """The commit of a draft on a tip; the tip itself where it changes nothing."""
        if "runs" in now.root:
            self.reader.bring_path(now.root["runs"].oid, [path.split("/")[1:] for path in draft.paths() if path.startswith("runs/")])
        made, content = self.bare.make_commit(draft.stream(now.commit, now.tree, int(self.clock.now().timestamp()), anew=anew))
        return now.commit if now.commit and not anew and content == now.tree else made

    # The code's own commits

    def ancestry(self, commit: str, depth: int) -> Sequence[Commit]:
        return self._of_code(lambda commits: tuple(commits.line(commit, depth)), (), "commits that this clone lacks")

    def content(self, commit: str, path: str) -> bytes | None:
        return self._of_code(lambda commits: commits.file(commit, path), None, f"{path} at {commit[:7]}")

    def message(self, tag: str) -> str | None:
        return self._of_code(lambda commits: commits.message(tag), None, f"the tag {tag[:80]}")

    def export(self, commit: str, to: Path) -> bool:
        return self._of_code(lambda commits: commits.export(commit, to), False, f"the files of {commit[:7]}", closed=False)

    def _of_code(self, ask: Callable[[Commits], T], absent: T, what: str, *, closed: bool = True) -> T:
        """What the code's remote answers, or `absent`: where there is none, or it cannot be asked, which is noted. A CI fails `closed`."""
        if self.commits is None:
            return absent
        try:
            with self.alone():
                return ask(self.commits)
        except EnvironmentFailure as error:
            if self.ci and closed:
                raise
            self.note(f"{what} could not be fetched: {error.message}")
            return absent


def without_examples(bundle: Bundle) -> Bundle:
    """The bundle as git may keep it: examples, their previews and slices that nobody declared stay in the report artifact.

    Kept are the totals: how many examples, how many slices were looked at.
    """
    if bundle.result is None:
        return bundle
    examples = dataclasses.replace(bundle.result.examples, fixed=(), broken=())
    search = dataclasses.replace(bundle.result.discovered, columns=(), found=(), passed=())
    return dataclasses.replace(bundle, result=dataclasses.replace(bundle.result, examples=examples, discovered=search))
