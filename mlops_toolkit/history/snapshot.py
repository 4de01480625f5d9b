"""The history branch at one tip, read by object id: commit, root tree, index, and nothing of a run until it is asked for."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from mlops_toolkit.errors import EnvironmentFailure, UsageError
from mlops_toolkit.history.bare import FOLDER, Bare, Node, hidden, tree
from mlops_toolkit.history.entry import Index
from mlops_toolkit.history.local import SALT

BROKEN = re.compile(r"corrupt|is empty|bad (object|tree)|loose object|inflate|packfile|unable to read")  # a cache that a crash damaged


@dataclass(frozen=True)
class Snapshot:
    """The branch at one tip; `commit` None where there is no branch yet."""

    commit: str | None = None
    tree: str | None = None
    root: Mapping[str, Node] = field(default_factory=dict)
    index: Index = field(default_factory=lambda: Index({}, {}))
    salt: str | None = None


@dataclass(frozen=True)
class Reader:
    """Reads the branch `ref` through `bare`. note: where sentences about what was skipped go. The caller holds a lock."""

    bare: Bare
    ref: str
    note: Callable[[str], None]

    def at(self, commit: str | None) -> Snapshot:
        """The snapshot at a commit, its objects brought here if need be; a cache that broke is made again."""
        if commit is None:
            return Snapshot()
        try:
            return self._read(commit)
        except EnvironmentFailure as error:
            if error.name != "git-failed" and not BROKEN.search(error.message):
                raise
            shutil.rmtree(self.bare.path, ignore_errors=True)
            return self._read(commit)

    def _read(self, commit: str) -> Snapshot:
        content = self.have([commit], depth=1)[commit][5:].split(b"\n", 1)[0].decode()
        self.bare.only_shallow(commit)
        root = self.tree(content)
        if root and not root.keys() & {"index.jsonl", "salt"}:  # main, say: its files are not ours to add to
            raise UsageError(
                "not-a-history",
                f"the branch {self.ref.removeprefix('refs/heads/')} holds something else than recorded runs",
                where="history.at",
                hint="name a branch of its own, such as mlops-history",
            )
        wanted = {name: root[name].oid for name in ("index.jsonl", "salt", "runs") if name in root}
        found = self.have(wanted.values())
        index = Index.parse(found[wanted["index.jsonl"]] if "index.jsonl" in wanted else b"")
        for sentence in index.strange:
            self.note(sentence)
        salt = found[wanted["salt"]].decode("ascii", "replace").strip() if "salt" in wanted else ""
        return Snapshot(commit, content, root, index, salt if SALT.fullmatch(salt) else None)

    def have(self, oids: Iterable[str], *, filter: str = "tree:0", depth: int | None = None) -> dict[str, bytes]:  # noqa: A002 — git's own word
        """Objects by id, those missing asked for; from a server that gives out none, the whole tip."""
        asked = list(oids)
        found = self.bare.objects(asked)
        if missing := [oid for oid in asked if oid not in found]:
            try:
                self.bare.fetch(missing, filter=filter, depth=depth)
            except EnvironmentFailure as error:
                if not hidden(error):
                    raise
                self.bare.fetch_all(self.ref)
            found |= self.bare.objects(missing)
        if lost := next((oid for oid in asked if oid not in found), None):
            raise EnvironmentFailure(
                "history-unreadable", f"the remote did not send object {lost[:12]} of the recorded runs", hint="try again"
            )
        return found

    def tree(self, oid: str, *, filter: str = "tree:0") -> dict[str, Node]:  # noqa: A002 — git's own word
        """The lines of a tree."""
        return tree(self.have([oid], filter=filter)[oid], len(oid) // 2)

    def node(self, seen: Snapshot, run_id: str, path: str) -> Node | None:
        """Where a run's file is on the branch; the trees above it are brought here."""
        if run_id not in seen.index.entries or "runs" not in seen.root:
            return None
        node = self.tree(seen.root["runs"].oid).get(month(run_id))
        for depth, name in enumerate((run_id, *path.split("/"))):
            if node is None or node.mode != FOLDER:
                return None
            node = self.tree(node.oid, filter="blob:none" if depth == 1 else "tree:0").get(name)
        return node

    def holding(self, seen: Snapshot, runs: Iterable[str], name: str) -> list[str]:
        """Those of the runs whose folder has an entry `name`; all their trees are asked for at once."""
        known = {run: month(run) for run in runs}
        if "runs" not in seen.root or not known:
            return []
        months = {name: node.oid for name, node in self.tree(seen.root["runs"].oid).items() if name in known.values()}
        self.have(months.values())
        folders = {run: node.oid for name, oid in months.items() for run, node in self.tree(oid).items() if known.get(run) == name}
        found = self.have(folders.values())
        return [run for run, oid in folders.items() if name in tree(found[oid], len(oid) // 2)]

    def bring_path(self, oid: str, paths: Sequence[Sequence[str]]) -> None:
        """Every tree on the way from a tree to these paths, a level at a time: what git needs to change them."""
        there = self.tree(oid)
        below = {name: [p[1:] for p in paths if p[0] == name and len(p) > 1] for name in {p[0] for p in paths}}
        further = {name: rest for name, rest in below.items() if rest and name in there and there[name].mode == FOLDER}
        self.have(there[name].oid for name in further)
        for name, rest in further.items():
            self.bring_path(there[name].oid, rest)


def month(run_id: str) -> str:
    """The folder of a run's month: `2026-11`."""
    return f"{run_id[:4]}-{run_id[4:6]}"


def folder(run_id: str) -> str:
    """Where a run lies on the branch."""
    return f"runs/{month(run_id)}/{run_id}"
