"""`mlops serve`: find the models (paths, or recorded runs'), and serve them until Ctrl+C."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from mlops_toolkit import home
from mlops_toolkit.errors import EnvironmentFailure, UsageError
from mlops_toolkit.formats import manifest
from mlops_toolkit.formats.refused import SAVE, refuse
from mlops_toolkit.models.open import fetch
from mlops_toolkit.serve import settings as settings_
from mlops_toolkit.world import World


def run(args: argparse.Namespace, world: World) -> int:
    """Serve until a signal; 0. UsageError `no-such-model`, `not-to-be-served`, `wrong-setting`; EnvironmentFailure `package-missing`."""
    settings = settings_.read(args, world.env, defaults=settings_.LAPTOP)
    with tempfile.TemporaryDirectory(prefix="mlops-serve-") as temporary:
        roots = [_folder(text, args, world, Path(temporary)) for text in args.models]
        try:
            from mlops_toolkit.serve import run as server
        except ImportError as error:
            raise EnvironmentFailure(
                "package-missing", f"serving needs more packages: {error}", hint="pip install 'mlops-toolkit[cli,serve]'"
            ) from error
        return server.run(roots, settings, strict=True)


def _folder(text: str, args: argparse.Namespace, world: World, temporary: Path) -> Path:
    """A folder with a model, or with several; of a run's model, one that was brought here."""
    path = world.cwd / text
    if path.is_file():
        refuse(path)
        raise UsageError("not-to-be-served", f"{text} is a file, not a folder that mlops.save wrote", hint=SAVE)
    if path.is_dir():
        if not any((place / manifest.NAME).is_file() for place in (path, *path.glob("*"), *path.glob("*/*"))):
            refuse(path)
            raise UsageError("not-to-be-served", f"there is no model that mlops.save wrote in {text}", hint=SAVE)
        return path
    return _recorded(text, args, world, temporary)


def _recorded(text: str, args: argparse.Namespace, world: World, temporary: Path) -> Path:
    """The model of a recorded run, brought here under its name."""
    run, model = home.recorded(text, args.config, world, instead="a folder")
    to = temporary / run.id / run.model
    to.parent.mkdir(parents=True, exist_ok=True)
    fetch(model, to, world.models, env=world.env)
    if not (to / manifest.NAME).is_file():
        raise UsageError("not-to-be-served", f"the model of run {run.id} was not written by mlops.save", hint=SAVE)
    return to
