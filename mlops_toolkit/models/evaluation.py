"""What an evaluation was made of, as the record keeps it, and what of that changed between two runs: evaluate and compare ask the same.

command          digest of the command line
file:judge.txt   a declared input of the evaluation alone, as git identifies it
shared:src/a.py  one that the training reads too: part of the model
data:data/x.csv  declared data, by digest or version
answers:…        the file that the predictions, measures or metrics were read from, where mlops.yaml names one

Inputs that are not declared are all of the code, and that a change changes code is no news: they are not kept.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mlops_toolkit.config.read import Loaded
from mlops_toolkit.config.schema import Suite
from mlops_toolkit.models import prints
from mlops_toolkit.models.fingerprint import Fingerprint, changes
from mlops_toolkit.models.patterns import compile_patterns, select
from mlops_toolkit.models.worktree import base_of
from mlops_toolkit.records.run import Evaluation, Run
from mlops_toolkit.system.git import Git, split

MOST = 100  # files of a kind that a record names; more are one digest


@dataclass(frozen=True)
class Change:
    """How a suite is measured otherwise than the baseline's was, as clauses ("judge.txt changed", "the command changed").

    measuring  its command and the inputs that it alone reads: numbers of before and after are not of one kind
    shared     inputs that the training reads too: they came with the model, and the baseline was measured with its own
    examples   the examples are others, or (`contents`) the same by id and label with something else in them
    """

    measuring: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    examples: bool = False
    contents: tuple[str, ...] = ()

    @property
    def again(self) -> bool:
        """Whether the baseline's stored answers are answers to another question."""
        return bool(self.measuring or self.examples or self.contents)


def parts(loaded: Loaded, git: Git | None, suite: str, found: Fingerprint) -> dict[str, str]:
    """What the record keeps of a suite's fingerprint."""
    declared = prints.suites_of(loaded)[suite].inputs
    kinds: dict[str, dict[str, str]] = {"file": {}, "shared": {}, "data": {}}
    files = [name.partition(":")[2] for name in found.parts if name.startswith("file:")] if declared else []
    mine = set(owned(loaded, git, files))
    for path in files:
        kinds["shared" if path in mine else "file"][path] = found.parts[f"file:{path}"]
    kinds["data"] = {name.partition(":")[2]: value for name, value in found.parts.items() if name.startswith("data:")}
    made = {"command": found.parts["command"]} | ({"declared": "yes"} if declared else {})
    made |= _answers(prints.suites_of(loaded)[suite])
    for kind, named in kinds.items():
        made |= {f"{kind}:{path}": value for path, value in named.items()} if len(named) <= MOST else {f"{kind}:": _digest(named)}
    return made


def _answers(suite: Suite) -> dict[str, str]:
    return {f"answers:{what}": path for what, path in prints.answers(suite).items()}


def other_answers(kept: Evaluation, suite: Suite) -> bool:
    """Whether a suite was read from other files than it is now; an older record does not tell."""
    return bool(kept.reads) and {k: v for k, v in kept.reads.items() if k.startswith("answers:")} != _answers(suite)


def owned(loaded: Loaded, git: Git | None, paths: Iterable[str]) -> list[str]:
    """Those of some paths (from the repository's top) that belong to the model: what its training declares that it reads, its
    parameters, the prompts of a model from elsewhere."""
    train, base = loaded.config.train, base_of(git.root if git else loaded.folder, loaded.folder)
    patterns = [*(train.inputs if train else ()), *([f"/{train.params}"] if train and train.params else ())]
    patterns += [f"/{path}" for path in prints.prompts_of(loaded)]
    return select(paths, compile_patterns(patterns, base=base)) if patterns else []


def changed(base: Run, head: Run, git: Git | None) -> dict[str, Change]:
    """What changed of each suite that both runs have. git: tells of inputs that the baseline's record does not name; None: unknown ones pass."""
    found = {}
    for name in head.evaluations:
        if name in base.evaluations and (change := _of(name, base, head, git)) != Change():
            found[name] = change
    return found


def _of(name: str, base: Run, head: Run, git: Git | None) -> Change:
    old, new = base.evaluations[name], head.evaluations[name]
    before, after = _parts(name, base), _parts(name, head)

    def differing(kind: str) -> tuple[str, ...]:
        mine = {k: v for k, v in after.items() if k.partition(":")[0] == kind}
        other = "shared" if kind == "file" else "file"  # what counts as the model's now and did not before has not gone
        theirs = {k: v for k, v in before.items() if k.partition(":")[0] == kind and f"{other}:{k.partition(':')[2]}" not in after}
        if not theirs or f"{kind}:" not in (*mine, *theirs):
            theirs |= _by_git({k: v for k, v in mine.items() if k not in theirs}, base, git)
        return _said(theirs, mine)

    known = "command" in before and "command" in after
    command = ("the command changed",) if known and before["command"] != after["command"] else ()
    inputs = differing("file") if "declared" in after or "declared" in before else ()
    shared = differing("shared") if "declared" in after and "declared" in before else ()
    return Change((*command, *inputs), shared, _other_ids(old, new), _contents(old, new, before, after))


def _parts(name: str, run: Run) -> dict[str, str]:
    """What the record keeps; an older one has its commands alone, in the order of its suites."""
    kept = run.evaluations[name].reads
    if kept:
        return dict(kept)
    commands = [command.run for command in run.commands if command.phase == "evaluate"]
    if len(commands) != len(run.evaluations):
        return {}
    ran = commands[list(run.evaluations).index(name)]
    return {"command": hashlib.sha256(ran.encode("utf-8", "surrogateescape")).hexdigest()}


def _by_git(mine: Mapping[str, str], base: Run, git: Git | None) -> dict[str, str]:
    """Files that the baseline's record does not name, as its commit has them; where that is not here, as they are now."""
    paths = [key.partition(":")[2] for key in mine]
    if not paths or not all(paths) or git is None or base.commit is None or git.commit(base.commit) is None:
        return dict(mine)
    there = tracked(git, base.commit, paths)
    if there is None:
        return dict(mine)
    return {key: there[key.partition(":")[2]] for key in mine if key.partition(":")[2] in there}


def tracked(git: Git, commit: str, paths: Iterable[str]) -> dict[str, str] | None:
    """Files at a commit (from the repository's top) as a fingerprint identifies them; those that are not there are left out.

    None where the clone has not all of the commit.
    """
    wanted = set(paths)
    if not wanted:
        return {}
    done = git("ls-tree", "-r", "-z", "--full-tree", commit, check=False)
    if done.status != 0:
        return None
    found = {}
    for line in split(done.stdout):
        entry, _, path = line.partition("\t")
        if path in wanted:
            mode, _, blob = entry.split(" ")
            found[path] = f"{blob} x" if mode == "100755" else blob
    return found


def _said(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[str, ...]:
    """The clauses; a kind that is one digest has no names to tell."""
    if any(not key.partition(":")[2] for key in (*before, *after)):
        return ("its inputs changed",) if before != after else ()
    return changes(*({f"file:{k.partition(':')[2]}": v for k, v in side.items()} for side in (before, after)))


def _other_ids(old: Evaluation, new: Evaluation) -> bool:
    """Whether the examples are others; new labels of the same are not: compare scores the stored answers again."""
    if old.data is None or new.data is None or not old.data.ids_digest or not new.data.ids_digest:
        return False
    return old.data.ids_digest != new.data.ids_digest


def _contents(old: Evaluation, new: Evaluation, before: Mapping[str, str], after: Mapping[str, str]) -> tuple[str, ...]:
    """Declared data that is not what it was although ids and labels are: the texts, the images or the prompts in it changed."""
    if old.data is None or new.data is None or old.data.digest != new.data.digest:
        return ()
    mine, theirs = ({k: v for k, v in side.items() if k.startswith("data:")} for side in (after, before))
    if not theirs or not mine or set(mine) != set(theirs):
        return ()
    return _said(theirs, mine)


def _digest(named: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(sorted(named.items())).encode()).hexdigest()
