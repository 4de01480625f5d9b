"""The code's own commits as its remote has them: what a shallow clone lacks, fetched (commits alone) into a repository of ours."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.history.bare import HIDDEN, Bare
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
            if any(word in error.message for word in HIDDEN):
                return line
            raise
        return self._here(oid, depth)

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
