"""`mlops validate`: every mlops.yaml read and checked; all errors at once, or a line that says what the file means."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from mlops_toolkit.config import pointer
from mlops_toolkit.config.read import Loaded, discover, load_all
from mlops_toolkit.config.rules import Rule
from mlops_toolkit.config.schema import Config, Suite
from mlops_toolkit.world import World


def run(args: argparse.Namespace, world: World) -> int:
    """0 where all files can be meant, with notes on what is not there yet; else ConfigErrors, UsageError or EnvironmentFailure."""
    for one in load_all(discover(args.config, cwd=world.cwd, root=world.root), root=world.root):
        if (place := pointer.place_of(one)) is not None and place.exists():
            pointer.read(one, world.root)
        print(f"{one.where}: fine — {summary(one.config)}", file=world.out)
        for note in notes(one):
            print(f"  {note}", file=world.out)
    return 0


def summary(config: Config) -> str:
    """`spam-filter: train, evaluate (3 metrics, 2 slices), gate (accuracy, f1-macro)`."""
    parts = ["train" if config.train else f"the model of {config.model}" if config.model else ""]
    if config.evaluate is not None:
        suites = config.evaluate.suites
        parts += (
            [f"evaluate {name}{_counts(suite)}" for name, suite in suites.items()] if suites else [f"evaluate{_counts(config.evaluate)}"]
        )
    gated = [name for name, rule in config.gate.items() if rule.severity == "gate"]
    parts.append(f"gate ({', '.join(gated)})" if gated else "nothing gated")
    return f"{config.name}: {', '.join(part for part in parts if part)}"


def _counts(suite: Suite) -> str:
    counts = [(len(suite.metrics), "metric"), (len(suite.slices), "slice")]
    said = [f"{count} {word}{'s' if count > 1 else ''}" for count, word in counts if count]
    return f" ({', '.join(said)})" if said else ""


def notes(loaded: Loaded) -> Iterator[str]:
    """What can be meant and is yet worth a word: sections that are missing, paths that are not there."""
    config = loaded.config
    if config.train is None and config.model is None and config.evaluate is None:
        yield "nothing is trained or evaluated yet: complete `train:` and `evaluate:`"
    elif config.evaluate is None:
        yield "nothing is evaluated yet: complete `evaluate:`"
    if config.evaluate is not None and not config.gate:
        yield "nothing is gated yet: the first `mlops compare` proposes margins that this test set can decide"
    elif config.gate and not any(_limits(rule) for rule in config.gate.values()):
        yield "the gate has no max-drop or max-rise: nothing is compared with the baseline"
    if (place := pointer.place_of(loaded)) is not None and not place.exists():
        yield f"{loaded.at('model')}: {config.model} is not there: `mlops record URI --predictions FILE` writes it"
    for key, path in _paths(loaded):
        if not any(c in path for c in "*?[") and "://" not in path and not (loaded.folder / path).exists():
            yield f"{loaded.at(key)}: {path} is not there"


def _limits(rule: Rule) -> bool:
    return rule.max_drop is not None or rule.max_rise is not None


def _paths(loaded: Loaded) -> Iterator[tuple[str, str]]:
    """(dotted key, path) of what must be there before a command runs."""
    train = loaded.config.train
    if train is not None and train.params:
        yield "train.params", train.params
    for key, paths in loaded.watched.items():
        yield from ((f"{key}[{i}]", path) for i, path in enumerate(paths))
