"""Runs on this machine: `.mlops/runs/<id>/`, one folder a run, its record written last so that a folder with a record is whole."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Sequence
from pathlib import Path

from mlops_toolkit.errors import Defect, InvalidFile, UsageError
from mlops_toolkit.history.base import Bundle, Entry, Recorded
from mlops_toolkit.history.entry import of_record
from mlops_toolkit.records import codec, result, run
from mlops_toolkit.system.files import locked, write_atomic
from mlops_toolkit.system.git import Commit, Git

SALT = re.compile(r"[0-9a-f]{32}")


def bundle_files(bundle: Bundle) -> dict[str, bytes]:
    """Every file of a bundle by its path below the run's folder; the record comes last."""
    if not run.RUN_ID.fullmatch(bundle.run.id):
        raise Defect("bad-run-id", f'"{bundle.run.id}" is not a run id', hint="please report this")
    files = {check_path(path): data for path, data in sorted(bundle.files.items())}
    if bundle.result is not None:
        files["report.json"] = codec.dumps(bundle.result).encode()
    return {**files, "run.json": run.dumps(bundle.run).encode()}


def check_path(path: str) -> str:
    """A path below a run's folder, refused (Defect) where it would leave it."""
    if not run.safe_path(path):
        raise Defect("bad-path", f"a run cannot hold a file {path!r}", hint="please report this")
    return path


def file_below(folder: Path, path: str) -> Path | None:
    """A file of a run's folder, None where there is none; a link that leads out of the folder is none."""
    found = folder / check_path(path)
    return found if found.is_file() and found.resolve().is_relative_to(folder.resolve()) else None


def prepare(state: Path) -> None:
    """Make the `.mlops` folder, which hides itself from git."""
    if not (state / ".gitignore").exists():
        write_atomic(state / ".gitignore", "*\n")


def refuse_committed(state: Path, git: Git) -> None:
    """UsageError `committed-state` where a checkout brought files into a `.mlops` folder: whoever wrote the commit wrote them, and among
    what stands there are the runs that are compared with and the records that wait to be sent."""
    if not state.parent.is_dir():
        return
    # Asked from beside it: links and submodules on the way are git's to follow.
    listed = Git(state.parent, git.env)("--literal-pathspecs", "ls-files", "-z", "--", state.name, check=False).stdout
    found = next((path for path in map(os.fsdecode, listed.split(b"\0")) if path and os.path.lexists(state.parent / path)), None)
    if found is not None:
        raise UsageError(
            "committed-state",
            f"{found[:100]!r} is in git, where nothing of that folder belongs: it would be taken for what was run here",
            where=str(state),
            hint=f"git rm -r --cached --quiet {state.name} && git commit -m 'Runs are not code'",
        )


class LocalHistory:
    """A History without any remote: outside of a git repository, or in one without an origin."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.notes: list[str] = []  # what was skipped, as sentences
        self._known: dict[Path, tuple[tuple[int, int, int], Entry]] = {}

    def entries(self) -> Sequence[Entry]:
        return tuple(sorted(self.local().values(), key=lambda e: e.id))

    def local(self) -> dict[str, Entry]:
        """The entries of `.mlops/runs` by id; a record that cannot be read is skipped and noted."""
        return self.read_folders(self.state / "runs", "here")

    def read_folders(self, folder: Path, where: str) -> dict[str, Entry]:
        """The entries of a folder of run folders; a record that has not changed is read once."""
        found = {}
        for path in sorted(folder.glob("*/run.json")):
            if not run.RUN_ID.fullmatch(path.parent.name):
                continue
            try:
                state = path.stat()
                version = (state.st_ino, state.st_mtime_ns, state.st_size)
                if path not in self._known or self._known[path][0] != version:
                    self._known[path] = (version, of_record(path.read_bytes(), where=str(path), kept=where))
            except (OSError, InvalidFile) as error:
                self.note(f"skipped a run that cannot be read: {error}")
                continue
            entry = self._known[path][1]
            if entry.id == path.parent.name:
                found[entry.id] = entry
            else:
                self.note(f"skipped {path}: it is the record of another run, {entry.id[:40]!r}")
        return found

    def note(self, sentence: str) -> None:
        """Keep a sentence for the reader, once."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    def run(self, run_id: str) -> run.Run | None:
        raw = self.read(run_id, "run.json")
        return None if raw is None else run.loads(raw, where=f"run {run_id}")

    def result(self, run_id: str) -> result.Result | None:
        raw = self.read(run_id, "report.json")
        return None if raw is None else result.loads(raw, where=f"report of run {run_id}")

    def read(self, run_id: str, path: str) -> bytes | None:
        """The bytes of a run's file, None where there is none."""
        found = self.file(run_id, path)
        return found.read_bytes() if found else None

    def file(self, run_id: str, path: str) -> Path | None:
        if not run.RUN_ID.fullmatch(run_id):
            return None
        return file_below(self.state / "runs" / run_id, path)

    def salt(self) -> str:
        path = self.state / "cache" / "salt"
        with locked(self.state / "cache" / "salt.lock"):
            known = path.read_text().strip() if path.is_file() else ""
            if not SALT.fullmatch(known):
                prepare(self.state)
                known = secrets.token_hex(16)
                write_atomic(path, known + "\n", mode=0o600)
        return known

    def record(self, bundle: Bundle, *, remote: bool) -> Recorded:
        self.keep(bundle_files(bundle), bundle.run.id)
        return Recorded(False, reason="there is no remote repository to record to" if remote else None)

    def wait(self, bundle: Bundle) -> bool:
        """Keep a run as others may see it until `mlops history push` is asked for; whether there is a remote to send it to."""
        return False

    def keep(self, files: dict[str, bytes], run_id: str) -> None:
        """Write the run's folder, the record last; files that are there already with the same bytes stay untouched."""
        prepare(self.state)
        for path, data in files.items():
            target = self.state / "runs" / run_id / path
            if not (target.is_file() and target.stat().st_size == len(data) and target.read_bytes() == data):
                write_atomic(target, data)

    def ancestry(self, commit: str, depth: int) -> Sequence[Commit]:
        return ()

    def content(self, commit: str, path: str) -> bytes | None:
        return None

    def message(self, tag: str) -> str | None:
        return None

    def export(self, commit: str, to: Path) -> bool:
        return False
