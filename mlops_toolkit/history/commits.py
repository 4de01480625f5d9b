"""The code's own commits as its remote has them: what a shallow clone lacks, fetched (commits, and single files) into a repository of ours."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.history.bare import FOLDER, Bare, Node, hidden, tree
from mlops_toolkit.system.git import Commit


@dataclass(frozen=True)
class Commits:
    """First-parent lines of `bare`'s remote. The caller holds a lock."""

    bare: Bare

    def line(self, commit: str, depth: int) -> list[Commit]:
        """At most `depth` commits from an object id or `refs/heads/<branch>`, newest first; [] where the remote has none such.

        EnvironmentFailure `history-unreadable` where the remote cannot be asked.
        """
        oid = self.bare.tip(commit) if commit.startswith("refs/") else commit
        if oid is None:
            return []
        self.bare.tidy()
        line = self._here(oid, depth)
        if len(line) == depth or (line and not line[-1].parents):
            return line
        try:
            self.bare.fetch([oid], depth=depth)
        except EnvironmentFailure as error:
            if hidden(error):
                return line
            raise
        return self._here(oid, depth)

    def file(self, commit: str, path: str) -> bytes | None:
        """A file's bytes at a commit, asked for a folder at a time: None where there is no such file, or the remote gives out no object by id.

        EnvironmentFailure `history-unreadable` where the remote cannot be asked.
        """
        line = self.line(commit, 1)
        try:
            return self._below(Node(FOLDER, line[0].tree), path.split("/")) if line else None
        except EnvironmentFailure as error:
            if hidden(error):
                return None
            raise

    def message(self, tag: str) -> str | None:
        """The text of a tag that is an object of its own, "" of one that only names a commit; None where there is no such tag, or it is not given out.

        EnvironmentFailure `history-unreadable` where the remote cannot be asked.
        """
        oid = self.bare.tip(f"refs/tags/{tag}")
        if oid is None:
            return None
        try:
            if self.bare.missing([oid]):
                self.bare.fetch([oid], depth=1)
        except EnvironmentFailure as error:
            if hidden(error):
                return None
            raise
        head, _, text = self.bare.objects([oid])[oid].decode("utf-8", "replace").partition("\n\n")
        return text if head.startswith("object ") else ""

    def export(self, commit: str, to: Path) -> bool:
        """Write all files of a commit below `to` (an empty folder); False where the remote gives out no object by id.

        EnvironmentFailure `history-unreadable` where the remote cannot be asked.
        """
        try:
            self.bare.fetch([commit], filter="blob:none", depth=1)
            listed = self.bare("ls-tree", "-r", "-z", "--full-tree", commit).stdout.split(b"\0")
            blobs = {line.split(b" ", 2)[2][: len(commit)].decode() for line in listed if line.split(b" ", 2)[1:2] == [b"blob"]}
            asked = "".join(f"{oid}\n" for oid in sorted(blobs)).encode()
            checked = self.bare("cat-file", "--batch-check", data=asked).text.splitlines()
            if lacking := [line.split(" ")[0] for line in checked if line.endswith(" missing")]:
                self.bare.fetch(lacking, filter="blob:none")
        except EnvironmentFailure as error:
            if hidden(error):
                return False
            raise
        index = self.bare.path / "index"
        try:
            self.bare("read-tree", commit)
            self.bare(f"--work-tree={to}", "checkout-index", "--all", "--force", f"--prefix={to}/")
        finally:
            index.unlink(missing_ok=True)
        return True

    def _below(self, node: Node, path: Sequence[str]) -> bytes | None:
        for name in path:
            found = tree(self._have(node.oid), len(node.oid) // 2).get(name) if node.mode == FOLDER else None
            if found is None:
                return None
            node = found
        return self._have(node.oid) if node.mode.startswith("100") else None  # a link or a submodule is no file

    def _have(self, oid: str) -> bytes:
        if self.bare.missing([oid]):
            self.bare.fetch([oid])
        return self.bare.objects([oid])[oid]

    def _here(self, oid: str, depth: int) -> list[Commit]:
        """The line as far as our repository has it; a commit it was cut off at keeps the parents it really has."""
        if self.bare.missing([oid]):
            return []
        lines = self.bare("log", "--first-parent", f"--max-count={depth}", "--format=%H%x00%T%x00%P%x00%s", oid, "--").stdout
        parts = [line.split("\0", 3) for line in lines.decode("utf-8", "replace").splitlines()]
        line = [Commit(sha, tree, tuple(parents.split()), subject) for sha, tree, parents, subject in parts]
        if line and not line[-1].parents:
            head = self.bare.objects([line[-1].sha])[line[-1].sha].decode("utf-8", "replace").partition("\n\n")[0]
            line[-1] = dataclasses.replace(line[-1], parents=tuple(row[7:] for row in head.split("\n") if row.startswith("parent ")))
        return line
