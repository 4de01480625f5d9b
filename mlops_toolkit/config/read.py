"""mlops.yaml from disk or text: found, read, typed, checked; all that is wrong is told at once, with file and line."""

from __future__ import annotations

import glob
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mlops_toolkit.config.check import check
from mlops_toolkit.config.schema import Config, Suite, Train
from mlops_toolkit.config.shape import Reader
from mlops_toolkit.config.yaml_text import MOST_BYTES, compose, lines, shown
from mlops_toolkit.errors import ConfigErrors, EnvironmentFailure, Problem, UsageError

DEFAULT = "mlops.yaml"


@dataclass(frozen=True)
class Loaded:
    """A configuration and where it stands.

    path    the file; folder: what its paths are relative to
    lines   dotted key -> line, from 1: `train.run`, `evaluate.metrics[2]`, `gate.accuracy.max-drop`
    where   how messages call the file: its path in the repository
    """

    config: Config
    path: Path
    folder: Path
    lines: Mapping[str, int] = field(default_factory=dict)
    where: str = DEFAULT

    @property
    def suites(self) -> Mapping[str, Suite]:
        """Each evaluation by its dotted key: `evaluate`, or of several `evaluate.suites.NAME`; a model without one has none."""
        evaluate = self.config.evaluate
        return {f"evaluate.suites.{name}": suite for name, suite in evaluate.suites.items()} or {"evaluate": evaluate} if evaluate else {}

    @property
    def watched(self) -> Mapping[str, tuple[str, ...]]:
        """What decides that a command runs again, paths and patterns by dotted key: `train.inputs`, `evaluate.suites.safety.data`."""
        steps: dict[str, Train | Suite] = {**({"train": self.config.train} if self.config.train else {}), **self.suites}
        return {f"{where}.{key}": paths for where, step in steps.items() for key, paths in (("inputs", step.inputs), ("data", step.data))}

    def at(self, key: str) -> str:
        """`mlops.yaml:12`: where a dotted key stands, or the nearest key above it that does."""
        while key and key not in self.lines:
            key = key[: max(key.rfind("."), key.rfind("["), 0)]
        return f"{self.where}:{self.lines[key]}" if key else self.where


def load(path: Path, *, root: Path | None = None) -> Loaded:
    """Read a configuration file. root: the repository's top (default: the nearest folder above with a .git), which paths may not leave.

    UsageError `no-config` where there is no such file, EnvironmentFailure `unreadable-file` where it cannot be read, ConfigErrors
    or UsageError `invalid-yaml` for what stands in it.
    """
    path = path.absolute()
    root = root.absolute() if root else _top(path.parent)
    where = path.relative_to(root).as_posix() if root and path.is_relative_to(root) else path.name
    if not path.is_file():
        raise no_config(where)
    try:
        with path.open("rb") as source:
            raw = source.read(MOST_BYTES + 1)
    except OSError as error:
        raise EnvironmentFailure("unreadable-file", f"cannot be read: {error.strerror}", where=where) from error
    return parse(raw, where=where, path=path, root=root)


def parse(text: bytes | str, *, where: str, path: Path, root: Path | None = None) -> Loaded:
    """Read the text of a configuration that stands (or stood) at `path`; nothing is looked up on disk. Errors as in `load`."""
    document = compose(text, where=where)
    depth = len(path.parent.relative_to(root).parts) if root and path.is_relative_to(root) else None
    reader = Reader(where, depth)
    config: Config = reader.record(Config, document, "")
    loaded = Loaded(config, path, path.parent, dict(lines(document)), where)
    problems = [*reader.problems, *_contradictions(loaded, [key for key, _ in reader.problems])]
    if problems:
        raise ConfigErrors(problem for _, problem in sorted(problems, key=lambda item: _line(item[1])))
    return loaded


def load_all(paths: Iterable[Path], *, root: Path | None = None) -> tuple[Loaded, ...]:
    """Read several files, all errors of all of them at once; two models of one name are a problem `duplicate-name`."""
    read, problems, names = list[Loaded](), list[Problem](), dict[str, Loaded]()
    for path in paths:
        try:
            loaded = load(path, root=root)
        except ConfigErrors as errors:
            problems += errors.problems
            continue
        except UsageError as error:
            problems.append(Problem(error.name, error.message, error.where, error.hint))
            continue
        read.append(loaded)
        first = names.setdefault(loaded.config.name, loaded)
        if first is not loaded:
            message = f"the model's name {shown(loaded.config.name)} is taken by {first.where}"
            problems.append(
                Problem("duplicate-name", message, loaded.at("name"), "runs and comments are told apart by name: choose another")
            )
    if problems:
        raise ConfigErrors(problems)
    return tuple(read)


def discover(pattern: str, *, cwd: Path, root: Path) -> tuple[Path, ...]:
    """The configuration files that a path or glob (relative to `cwd`) names, sorted; UsageError `no-config` where there is none.

    The plain default is also looked for above `cwd`, up to `root`, as git looks for its folder.
    """
    pattern = pattern.strip() or DEFAULT
    if not pattern.isprintable():
        raise UsageError("no-config", f"{shown(pattern)} is not a path", where="config")
    exact = cwd / pattern
    if exact.is_file():
        found = [exact]
    elif re.search(r"[*?\[]", pattern):
        inner = [cwd / name for name in glob.glob(pattern, root_dir=cwd, recursive=True)]  # noqa: PTH207 (Path.glob takes no absolute pattern)
        found = [path for path in inner if path.is_file() and not {".git", ".mlops"} & set(path.parts)]
    elif pattern == DEFAULT:
        above = [folder for folder in cwd.parents if folder == root or root in folder.parents]
        found = [folder / DEFAULT for folder in above if (folder / DEFAULT).is_file()][:1]
    else:
        found = []
    for path in found:
        if not path.resolve().is_relative_to(root.resolve()):
            raise UsageError("outside-repository", f"the configuration {shown(pattern)} is not in this repository", where="config")
    if not found:
        raise no_config(pattern, cwd)
    return tuple(sorted(found))


def no_config(name: str, cwd: Path | None = None) -> UsageError:
    """The error for a configuration that is not there; cwd: where to look for what was meant."""
    if found := _near(name, cwd) if cwd else None:
        near, rename, say = found
        hint = f"there is {near}: {rename}say --config {shlex.quote(say)}"
    else:
        file = name if re.fullmatch(r"[^*?\[]+\.ya?ml", name) else f"models/spam/{DEFAULT}"
        option = "" if name == DEFAULT else f" --config {shlex.quote(file)}"
        hint = f"`mlops init{option}` looks at the repository and writes {'it' if file == name != DEFAULT else 'one'}"
    return UsageError("no-config", f"there is no configuration file {shown(name)}", hint=hint)


def _near(name: str, cwd: Path) -> tuple[str, str, str] | None:
    """A file that looks like the one meant, what may be done to it first, and what to give as --config then."""
    inside = f"{name.rstrip('/')}/{DEFAULT}"
    if (cwd / inside).is_file():
        return inside, "", inside
    for near in ("mlops.yml", ".mlops.yaml", ".mlops.yml"):
        if (cwd / near).is_file():
            return near, f"rename it to {DEFAULT}, or ", near
    for pattern in (f"*/{DEFAULT}", f"*/*/{DEFAULT}") if name == DEFAULT else ():  # the top of a monorepo
        if below := sorted(glob.glob(pattern, root_dir=cwd)):  # noqa: PTH207 -- as a person types it, no hidden folders
            return below[0], "", below[0] if len(below) == 1 else pattern
    return None


def _contradictions(loaded: Loaded, wrong: list[str]) -> list[tuple[str, Problem]]:
    """What `check` finds, but for what only follows from a value that was refused already."""
    found = []
    for key, problem in check(loaded.config):
        above = key.partition(".")[0]
        # A list that lost an entry no longer counts as the file does.
        siblings = key[: key.rfind("[") + 1] or None
        if any(
            _same_branch(key, bad)
            or (siblings and bad.startswith(siblings))
            or (above in ("gate", "accepted") and bad.startswith(("evaluate", "measures")))
            for bad in wrong
        ):
            continue
        found.append((key, Problem(problem.name, problem.message, loaded.at(key), problem.hint)))
    return found


def _same_branch(one: str, other: str) -> bool:
    return one == other or one.startswith((f"{other}.", f"{other}[")) or other.startswith((f"{one}.", f"{one}["))


def _line(problem: Problem) -> int:
    tail = (problem.where or "").rpartition(":")[2]
    return int(tail) if tail.isdigit() else 0


def _top(folder: Path) -> Path | None:
    return next((above for above in (folder, *folder.parents) if (above / ".git").exists()), None)
