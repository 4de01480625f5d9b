"""The code where it is not checked out: a bare repository of ours that brings single commits, trees and files from the remote, as data.

Nobody's work tree is touched and nothing in it is asked: on a machine that is used again it may hold a stranger's leftovers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.history.bare import NOT_OURS, Bare, hidden
from mlops_toolkit.history.remote import Remote
from mlops_toolkit.system.git import OBJECT_ID, Commit, Git

LINK = "120000"
FILES = ("100644", "100755")  # what a tree calls a file; a link or a submodule is none


@dataclass(frozen=True)
class Apart(Git):
    """A Git whose files are not here. `root` holds what was written there by us alone; HEAD is what `look_at` says.

    What is not here is fetched: EnvironmentFailure `history-unreadable` where the remote cannot be asked.
    """

    bare: Bare

    def look_at(self, commit: str) -> Commit:
        """Make a commit HEAD. EnvironmentFailure `no-such-commit` where the remote has it not."""
        found = self.bring(commit)
        if found is None:
            raise EnvironmentFailure(
                "no-such-commit", f"the remote does not give out commit {commit[:7]}", where=self.bare.remote.clean(self.bare.remote.url)
            )
        self("update-ref", "--no-deref", "HEAD", found.sha)
        return found

    def bring(self, commit: str) -> Commit | None:
        """A commit by its full id, fetched if need be; None where the remote has it not."""
        if not OBJECT_ID.fullmatch(commit):
            return None
        if self.bare.missing([commit]):
            self._fetch([commit], "tree:0")
        return self.commit(commit)

    def tip(self, ref: str) -> Commit | None:
        """The commit at a full ref name of the remote, None where there is none."""
        oid = self.bare.tip(ref)
        return None if oid is None else self.bring(oid)

    def show(self, commit: str, path: str) -> bytes | None:
        return self.contents(commit, [path]).get(path)

    def contents(self, commit: str, paths: Sequence[str]) -> dict[str, bytes]:
        """The files of a commit by path, of those that are files there. The commit is one that was brought."""
        inside = [path for path in paths if path and not path.startswith("/") and ".." not in PurePosixPath(path).parts]
        if not inside:
            return {}
        listed = self.listed(commit, inside, depth=max(len(PurePosixPath(path).parts) for path in inside))
        lacking = self.bare.missing(listed.values())
        if lacking:
            self._fetch(lacking, "blob:none")
        there = self.bare.objects(listed.values())
        return {path: there[oid] for path, oid in listed.items() if oid in there}

    def listed(self, commit: str, paths: Sequence[str] = (), *, depth: int | None = None) -> dict[str, str]:
        """The files of a commit: path -> object id. paths: these alone, their trees brought to `depth`; without, all that it holds."""
        found = self.commit(commit)
        if found is None:
            return {}
        args = ("--literal-pathspecs", "ls-tree", "-r", "-z", "--full-tree", found.tree, *(["--", *paths] if paths else []))
        done = self(*args, check=False)
        if done.status != 0:  # a tree on the way is not here yet
            self._fetch([found.tree], f"tree:{depth}" if depth else "blob:none")
            done = self(*args)
        files = {}
        for line in done.stdout.decode("utf-8", "surrogateescape").split("\0"):
            entry, _, path = line.partition("\t")
            mode, _, rest = entry.partition(" ")
            if mode in FILES:
                files[path] = rest.split(" ")[1]
        return files

    def fill(self) -> None:
        """Let the index say what HEAD holds, as where it is checked out and nothing was changed."""
        head = self.commit("HEAD")
        if head is None:
            return
        self.listed(head.sha)
        self("read-tree", head.tree)
        self("update-index", "-z", "--skip-worktree", "--stdin", data=self("ls-files", "-z").stdout)
        entries = self("ls-files", "-s", "-z").stdout.decode("utf-8", "surrogateescape").split("\0")
        # Where a link leads decides what is read through it.
        if links := self.bare.missing([entry.split(" ")[1] for entry in entries if entry.startswith(LINK)]):
            self._fetch(links, "blob:none")

    def _fetch(self, oids: Sequence[str], what: str) -> None:
        try:
            self.bare.fetch(oids, filter=what, depth=1 if what == "tree:0" else None)
        except EnvironmentFailure as error:
            if not hidden(error):
                raise


def open_apart(folder: Path, remote: Remote, env: Mapping[str, str], *, long_ids: bool = False) -> Apart:
    """A new one in `folder` (which is ours alone): `code.git` beside an empty `code`."""
    root, place = folder / "code", folder / "code.git"
    root.mkdir(parents=True)
    bare = Bare(place, remote, env, object_format=lambda: "sha256" if long_ids else "sha1", holds="the repository")
    bare.ready()
    ours = {key: value for key, value in env.items() if key not in NOT_OURS}
    count = int(ours.get("GIT_CONFIG_COUNT") or 0)
    # Said here and not in its configuration, so that whoever looks for the origin (the history does) finds it without a file of ours.
    origin = {f"GIT_CONFIG_KEY_{count}": "remote.origin.url", f"GIT_CONFIG_VALUE_{count}": remote.url}
    return Apart(root, {**ours, **origin, "GIT_CONFIG_COUNT": str(count + 1), "GIT_DIR": str(place), "GIT_WORK_TREE": str(root)}, bare)
