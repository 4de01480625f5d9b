"""The shell of `mlops init`: reads the repository, writes what is not there yet, says what was found and what comes next."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from mlops_toolkit.config import read, requests
from mlops_toolkit.config.schema import MODEL_NAME
from mlops_toolkit.config.yaml_text import shown
from mlops_toolkit.errors import EnvironmentFailure, MlopsError, UsageError
from mlops_toolkit.init.facts import Facts, look
from mlops_toolkit.init.propose import configuration
from mlops_toolkit.init.workflow import workflow
from mlops_toolkit.records import result as results
from mlops_toolkit.records import run as runs
from mlops_toolkit.system.files import write_atomic
from mlops_toolkit.world import World

WORKFLOW = ".github/workflows/model.yml"
MOST_FILES, MOST_BYTES = 20_000, 256 * 1024
SKIPPED = {".git", ".mlops", ".venv", "venv", "node_modules", "__pycache__", ".tox", ".dvc"}


def run(args: argparse.Namespace, world: World) -> int:
    """Write mlops.yaml and the workflow where they are not there yet. 0; 2 where `--config` is no file to write."""
    path = _target(args.config, world)
    folder = path.parent.relative_to(world.root).as_posix().removeprefix(".")
    above = sorted(entry.name for entry in world.root.iterdir()) if folder else []
    facts = look(list(_files(path.parent, world)), lambda name: _text(path.parent / name), folder=folder, above=above)
    gate, metrics = _earlier(path.parent / ".mlops")
    ready = True
    config = path.relative_to(world.root).as_posix()
    proposals = {
        path: configuration(_name(path.parent, world), facts, gate=gate, metrics=metrics),
        world.root / WORKFLOW: workflow(config=config, branch=world.default_branch(), install=facts.install, gpu=facts.deep),
    }
    for target, text in proposals.items():
        called = target.relative_to(world.root).as_posix()
        made = _create(target, text)
        print(f"wrote {called}" if made else f"{called} is there already: left as it is", file=world.out)
        if target == path:
            for sentence in (*told(facts), *_in_the_way(facts, path.parent, world)) if made else _offered(path, gate):
                print(f"  {sentence}", file=world.out)
            ready = _ready(facts) if made else True
    for sentence in _next(ready, gate):
        print(sentence, file=world.out)
    return 0


def told(facts: Facts) -> Iterator[str]:
    """What was found, and what was not, a line each."""
    yield f"train     {facts.train.value} (found in {facts.train.source})" if facts.train else "train     nothing found: complete `train:`"
    if facts.train:
        yield (
            f"output    {facts.output.value} (found in {facts.output.source})"
            if facts.output
            else "output    not found: complete `train.output`"
        )
    if facts.evaluate:
        yield f"evaluate  {facts.evaluate.value} (found in {facts.evaluate.source})"
    elif not (facts.predictions or facts.metrics_file):
        yield "evaluate  nothing found: complete `evaluate:`"
    if facts.predictions:
        yield f"rows      {facts.predictions.value} (found in {facts.predictions.source})"
    elif facts.writes:
        yield "rows      the evaluation writes them to $MLOPS_PREDICTIONS"
    elif facts.metrics_file:
        yield f"numbers   {facts.metrics_file.value} (found in {facts.metrics_file.source}); predictions, one row per example, would give error bars"
    elif facts.evaluate:
        yield "rows      the evaluation must write one row per example to $MLOPS_PREDICTIONS: see the comment in the file"


def _in_the_way(facts: Facts, folder: Path, world: World) -> Iterator[str]:
    """A model that git neither ignores nor tracks would make every run one of uncommitted changes."""
    if facts.output is None or world.git is None:
        return
    place = os.path.normpath(folder / facts.output.value)
    ignored = world.git("check-ignore", "-q", "--", place, check=False).status == 0
    if not ignored and not world.git.lines("ls-files", "--", place):
        yield f"          add {facts.output.value} to .gitignore: untracked, it would count as an uncommitted change"


def _offered(path: Path, gate: str | None) -> Iterator[str]:
    """For a file that is kept: the margins that an earlier result proposes, where it has no gate yet."""
    try:
        gated = bool(read.load(path).config.gate)
    except MlopsError:
        yield "`mlops validate` says what is wrong with it"
        return
    if gate and not gated:
        yield "margins that this test set can decide nine times in ten, to be copied into it:"
        yield from gate.rstrip("\n").split("\n")


def _ready(facts: Facts) -> bool:
    return bool(facts.train and facts.output and (facts.predictions or facts.writes or facts.metrics_file))


def _next(ready: bool, gate: str | None) -> Iterator[str]:
    yield "next:"
    yield "  mlops validate   checks mlops.yaml" if ready else "  complete mlops.yaml; `mlops validate` says what is missing"
    yield "  mlops review     trains, evaluates and compares here" + (
        "" if gate else "; the first time it proposes the margins of the gate"
    )
    yield "  mlops doctor     says what the repository's settings need"


def _target(pattern: str, world: World) -> Path:
    path = world.cwd / (pattern or "mlops.yaml")
    if re.search(r"[*?\[]", pattern) or not pattern.isprintable() or path.is_dir() or path.suffix not in (".yaml", ".yml"):
        raise UsageError(
            "not-a-target",
            f"{shown(pattern)} is not a file to write",
            where="--config",
            hint="name one file: --config models/spam/mlops.yaml",
        )
    resolved = Path(os.path.normpath(path))
    if not resolved.is_relative_to(world.root):
        raise UsageError("outside-repository", f"{shown(pattern)} is not in this repository", where="--config")
    return resolved


def _create(path: Path, text: str) -> bool:
    """Write a file that is not there, whole or not at all; whoever makes it at the same moment wins."""
    if os.path.lexists(path):
        return False
    whole = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        write_atomic(whole, text)
    except OSError as error:
        raise EnvironmentFailure("not-writable", f"cannot be written: {error.strerror}", where=str(path)) from error
    try:
        os.link(whole, path)
    except FileExistsError:
        return False
    except OSError:
        whole.replace(path)  # a file system without links
    finally:
        whole.unlink(missing_ok=True)
    return True


def _files(folder: Path, world: World) -> Iterator[str]:
    """Tracked and not ignored files below the folder, relative to it; without git, what lies there."""
    if world.git is not None:
        done = world.git("-C", str(folder), "ls-files", "-z", "--cached", "--others", "--exclude-standard", check=False)
        if done.status == 0:
            yield from [name for name in os.fsdecode(done.stdout).split("\0") if name][:MOST_FILES]
            return
    count = 0
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(set(folders) - SKIPPED)
        for name in sorted(names):
            yield (Path(parent) / name).relative_to(folder).as_posix()
            count += 1
            if count >= MOST_FILES:
                return


def _text(path: Path) -> str:
    """The beginning of a file as text; "" where it is none."""
    try:
        if not path.is_file():
            return ""
        with path.open("rb") as source:
            return source.read(MOST_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""


def _earlier(state: Path) -> tuple[str | None, Sequence[str]]:
    """The gate an earlier result proposes and the metrics an earlier run computed; nothing of files that this version cannot read."""
    gate: str | None = None
    metrics: tuple[str, ...] = ()
    with contextlib.suppress(OSError, MlopsError):
        gate = results.loads((state / "report.json").read_bytes(), where="report.json").next.gate
    with contextlib.suppress(OSError, MlopsError):
        metrics = tuple(name for name in runs.loads((state / "run.json").read_bytes(), where="run.json").metrics if _can_be_asked(name))
    return gate, metrics


def _can_be_asked(name: str) -> bool:
    try:
        requests.metric(name)
    except UsageError:
        return False
    return True


def _name(folder: Path, world: World) -> str:
    """The model's name: the folder's, at the root the repository's."""
    repository = (world.context.repository or "").rpartition("/")[2]
    remote = world.git.remote_url() if world.git else None
    at_root = folder == world.root
    word = (repository or re.sub(r"\.git$", "", (remote or "").rstrip("/").rpartition("/")[2]) or folder.name) if at_root else folder.name
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", word).strip("-._")[:100]
    return plain if re.fullmatch(MODEL_NAME, plain) else "model"
