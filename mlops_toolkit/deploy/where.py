"""Which model goes to which environment: chosen from the configurations by what was asked for, and its target opened."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from mlops_toolkit.config.deploying import Deploy, fit
from mlops_toolkit.config.read import Loaded
from mlops_toolkit.config.yaml_text import shown
from mlops_toolkit.deploy.targets import Place
from mlops_toolkit.errors import EnvironmentFailure, UsageError
from mlops_toolkit.history.base import History
from mlops_toolkit.plug import did_you_mean
from mlops_toolkit.world import World

STATE = ".mlops"
NONE = """\
add to mlops.yaml where it goes, a Docker host, say:
deploy:
  production: {target: docker, host: ssh://deploy@gpu1.example.com, port: 80}"""


@dataclass(frozen=True)
class Where:
    """One model in one environment. name: what it is called there."""

    loaded: Loaded
    environment: str
    options: Deploy
    name: str

    @property
    def model(self) -> str:
        return self.loaded.config.name

    def at(self, key: str) -> str:
        """Where a key of this environment stands, `mlops.yaml:12`."""
        return self.loaded.at(f"deploy.{self.environment}.{key}".rstrip("."))


def choose(configurations: Sequence[Loaded], environment: str, model: str = "", tag: str = "", leg: str | None = None) -> Where:
    """The one that is meant. UsageErrors `no-environment`, `unknown-environment`, `which-environment`, `unknown-model-name`, `several-models`."""
    mine = [loaded for loaded in configurations if not model or loaded.config.name == model]
    if not mine:
        known = [loaded.config.name for loaded in configurations]
        raise UsageError("unknown-model-name", f"no model is called {shown(model)}", where="model", hint=did_you_mean(model, known))
    mine = [loaded for loaded in mine if loaded.config.deploy]
    if not mine:
        of = f" for {model}" if model else ""
        raise UsageError("no-environment", f"mlops.yaml names no environment{of} to deploy to", hint=NONE)
    if tag and len(mine) > 1:
        meant = [loaded for loaded in mine if re.match(rf"{re.escape(loaded.config.name)}[/@_-]", tag)]
        longest = max((len(loaded.config.name) for loaded in meant), default=0)
        mine = [loaded for loaded in meant if len(loaded.config.name) == longest] or mine
    if len(mine) > 1:
        names = ", ".join(sorted(loaded.config.name for loaded in mine))
        raise UsageError(
            "several-models", f"several models can be deployed: {names}", hint="choose one: --model NAME, or a tag like NAME/v1.2.3"
        )
    (loaded,) = mine
    return named(loaded, _environment(loaded, environment), leg)


def _environment(loaded: Loaded, asked: str) -> str:
    known = loaded.config.deploy
    if not asked:
        if len(known) == 1:
            return next(iter(known))
        listed = ", ".join(known)
        raise UsageError(
            "which-environment", f"{loaded.config.name} goes to several environments: {listed}", hint="name one: --environment NAME"
        )
    if asked not in known:
        raise UsageError(
            "unknown-environment",
            f"{loaded.where} has no environment {shown(asked)} under deploy:",
            where="environment",
            hint=did_you_mean(asked, known),
        )
    return asked


def named(loaded: Loaded, environment: str, leg: str | None = None) -> Where:
    """An environment of a configuration, of one leg of a matrix."""
    options = loaded.config.deploy[environment]
    return Where(loaded, environment, options, options.name or fit(f"{loaded.config.name}-{leg}" if leg else loaded.config.name))


def every(configurations: Sequence[Loaded], environment: str, model: str, leg: str | None = None) -> Iterator[Where]:
    """All that fit what was asked for, in order. UsageErrors as of `choose`, where nothing fits."""
    found = [
        named(loaded, name, leg)
        for loaded in configurations
        if not model or loaded.config.name == model
        for name in loaded.config.deploy
        if not environment or name == environment
    ]
    if not found:
        choose(configurations, environment, model, leg=leg)
    yield from found


def opened(where: Where, world: World, *, needed: bool) -> History | None:
    """The model's history. Where it is only needed to say what became of it, one that cannot be had is None."""
    try:
        history = world.history(where.loaded.folder / STATE, where.loaded.config.history.at)
        history.entries()
    except (EnvironmentFailure, UsageError):
        if needed:
            raise
        return None
    return history


def secrets(where: Where, env: Mapping[str, str], *, needed: bool = True) -> dict[str, str]:
    """The values of the variables that the model's server gets. UsageError `variable-not-set`, where they are needed."""
    missing = [name for name in where.options.env if name not in env]
    if missing and needed:
        lines = "\n".join(f"  {name}: ${{{{ secrets.{name} }}}}" for name in missing)
        raise UsageError(
            "variable-not-set",
            f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set here, and the model's server is to get {'it' if len(missing) == 1 else 'them'}",
            where=where.at("env"),
            hint=f"set it here; in a workflow give the step the values:\nenv:\n{lines}",
        )
    return {name: env[name] for name in where.options.env if name in env}


def place(where: Where, world: World, say: Callable[[str], None], *, needed: bool = True) -> Place:
    """All that its target is opened with. needed: whether the server's variables must be here."""
    folder = where.loaded.folder
    return Place(
        environment=where.environment,
        name=where.name,
        options=where.options,
        at=where.at,
        folder=folder,
        state=folder / STATE,
        env=world.env,
        secrets=secrets(where, world.env, needed=needed),
        clock=world.clock,
        login=world.login,
        forge=world.forge,
        say=say,
    )
