"""Reading a git repository. The user's clone is only read: whatever is fetched or written goes to our own bare repository (history)."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.system import proc

# Nothing of the user's configuration may change what plumbing prints or start a helper of theirs while we read.
QUIET = {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C", "GIT_NO_LAZY_FETCH": "1", "GIT_ADVICE": "0"}


@dataclass(frozen=True)
class Commit:
    """A commit as its raw object says: never through grafts or replacements of a shallow clone."""

    sha: str
    tree: str
    parents: tuple[str, ...]
    subject: str


OBJECT_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_KNOWN: dict[tuple[Path, str], Commit] = {}


@dataclass(frozen=True)
class Git:
    """A work tree (root) and the environment its git is run with."""

    root: Path
    env: Mapping[str, str]

    def __call__(self, *args: str, data: bytes | None = None, check: bool = True) -> proc.Completed:
        """Run `git ARGS` here. With `check`, a failure is an EnvironmentFailure `git-failed`."""
        done = proc.run(["git", "-C", str(self.root), *args], env={**self.env, **QUIET}, data=data)
        if check and done.status != 0:
            raise EnvironmentFailure("git-failed", f"git {args[0]} failed: {done.trouble}", where=str(self.root))
        return done

    def commit(self, name: str) -> Commit | None:
        """The commit that `name` resolves to, from its raw object; None where it is not in this repository.

        What a full object id names cannot change: it is asked for once.
        """
        if not OBJECT_ID.fullmatch(name):
            return self._commit(name)
        known = _KNOWN.get((self.root, name)) or self._commit(name)
        if known is not None:
            _KNOWN[self.root, name] = known
        return known

    def first(self, names: Sequence[str]) -> str | None:
        """The first of several names that is a commit here, asked for in one go."""
        done = self("cat-file", "--batch-check", data="".join(f"{name}^{{commit}}\n" for name in names).encode())
        answers = done.stdout.decode("utf-8", "replace").splitlines()
        return next((name for name, answer in zip(names, answers, strict=False) if answer.split(" ")[1:2] == ["commit"]), None)

    def _commit(self, name: str) -> Commit | None:
        done = self("cat-file", "--batch", data=f"{name}^{{commit}}\n".encode())
        header, _, body = done.stdout.partition(b"\n")
        parts = header.split()
        if len(parts) != 3 or parts[1] != b"commit":
            return None
        head, _, message = body.partition(b"\n\n")
        lines = head.decode("utf-8", "replace").split("\n")
        return Commit(
            sha=parts[0].decode(),
            tree=next(line[5:] for line in lines if line.startswith("tree ")),
            parents=tuple(line[7:] for line in lines if line.startswith("parent ")),
            subject=message.decode("utf-8", "replace").split("\n", 1)[0].strip(),
        )

    def lines(self, *args: str) -> list[str]:
        """Standard output as lines; [] where git fails."""
        done = self(*args, check=False)
        return done.stdout.decode("utf-8", "replace").splitlines() if done.status == 0 else []

    def names(self, *args: str) -> list[str]:
        """The paths that a listing with `-z` prints, exactly as they are. EnvironmentFailure `git-failed`."""
        return split(self(*args).stdout)

    def branch(self) -> str | None:
        """The branch checked out, None when detached."""
        done = self("symbolic-ref", "--quiet", "--short", "HEAD", check=False)
        return done.text or None if done.status == 0 else None

    def merge_base(self, one: str, other: str) -> str | None:
        """The best common ancestor, None where there is none here (unrelated, or cut off by a shallow clone)."""
        done = self("merge-base", one, other, check=False)
        return done.text or None if done.status == 0 else None

    def shallow(self) -> bool:
        """Whether the clone was cut off (`fetch-depth`)."""
        return self("rev-parse", "--is-shallow-repository", check=False).text == "true"

    def partial(self) -> bool:
        """Whether the clone lacks files of commits that it has (`filter`)."""
        return self("config", "--get-regexp", r"^remote\..*\.(promisor|partialclonefilter)$", check=False).status == 0

    def remote_url(self, name: str = "origin") -> str | None:
        """Where a remote points, None without it."""
        done = self("config", "--get", f"remote.{name}.url", check=False)
        return done.text or None if done.status == 0 else None

    def show(self, commit: str, path: str) -> bytes | None:
        """A file's bytes at a commit, None where it is not there."""
        done = self("cat-file", "blob", f"{commit}:{path}", check=False)
        return done.stdout if done.status == 0 else None

    def dirty(self, paths: Sequence[str] = ()) -> bool:
        """Whether tracked files differ from HEAD, or (within `paths`) untracked ones stand beside them; .mlops never counts."""
        done = self(
            "status",
            "--porcelain=v1",
            "-z",
            "--untracked-files=normal",
            "--",
            *(paths or ["."]),
            ":(exclude,glob)**/.mlops/**",
            ":(exclude,glob)**/.mlops",  # a link, to a larger disk
            check=False,
        )
        return bool(done.stdout.strip(b"\0"))


def split(listing: bytes) -> list[str]:
    """The entries of a listing with `-z`."""
    return [os.fsdecode(entry) for entry in listing.split(b"\0") if entry]


def find(start: Path, env: Mapping[str, str]) -> Git | None:
    """The git work tree that `start` lies in, None outside of any.

    Where git does not run or cannot read the repository that stands there, it is found all the same: without its commits a
    model would pass as the first one, so whoever asks for them has to hear of it.
    """
    clean = {k: v for k, v in env.items() if k not in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")}
    there = next((folder for folder in (start, *start.parents) if (folder / ".git").exists()), None)
    try:
        done = proc.run(["git", "-C", str(start), "rev-parse", "--show-toplevel"], env={**clean, **QUIET})
    except EnvironmentFailure:
        return Git(there, clean) if there else None
    if done.status != 0 and b"dubious ownership" in done.stderr:
        # A container job runs as another user than the checkout: trust this one folder, in our own processes only.
        count = int(clean.get("GIT_CONFIG_COUNT", "0") or 0)
        clean |= {"GIT_CONFIG_COUNT": str(count + 1), f"GIT_CONFIG_KEY_{count}": "safe.directory", f"GIT_CONFIG_VALUE_{count}": "*"}
        done = proc.run(["git", "-C", str(start), "rev-parse", "--show-toplevel"], env={**clean, **QUIET})
    if done.status != 0:
        return Git(there, clean) if there else None
    return Git(Path(os.fsdecode(done.stdout.rstrip(b"\n"))), clean)
