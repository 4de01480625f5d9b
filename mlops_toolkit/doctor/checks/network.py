"""Whether the forge's API and the git remote can be reached, and if not, what stands between."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from mlops_toolkit.doctor import network
from mlops_toolkit.doctor.checks.credentials import without_secrets
from mlops_toolkit.doctor.finding import Finding, Patient
from mlops_toolkit.doctor.remote import api_url, origin
from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.system import proc
from mlops_toolkit.world import World

QUIET = {"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "true", "SSH_ASKPASS": "true", "LC_ALL": "C", "GIT_DIR": "/dev/null"}


def check(patient: Patient, patience: float = network.PATIENCE_SECONDS) -> Iterator[Finding]:
    """One request to each, without a token: that an answer comes is all that is asked."""
    world = patient.world
    address = api_url(world)
    if address is not None:
        yield _finding(network.api(f"{address}/user", world.env, patience), f"the API answers at {address}")  # without a token it says 401
    here = origin(world)
    if here is not None and here.web:
        yield _finding(git(world, without_secrets(here.url), patience), f"git reaches {urlsplit(here.url).hostname}")


def git(world: World, url: str, patience: float = network.PATIENCE_SECONDS) -> network.Trouble | None:
    """Ask a remote for its branches, as the history's repository does: with the settings of the user and the machine, not of this clone."""
    env = {**(world.git.env if world.git else world.env), **QUIET}
    try:
        done = proc.run(["git", "ls-remote", "--heads", url, "HEAD"], env=env, timeout_seconds=patience, whole=True)
        if done.status == 0:
            return None
        configured = proc.run(["git", "config", "--get-urlmatch", "http.proxy", url], env=env, timeout_seconds=patience).text
    except EnvironmentFailure as error:
        if error.name == "program-hangs":
            return network.silent_git(url, env, patience)
        raise
    return network.of_git(url, done.stderr.decode("utf-8", "replace"), env, configured)


def _finding(trouble: network.Trouble | None, well: str) -> Finding:
    return Finding("fine", well) if trouble is None else Finding("problem", trouble.message, trouble.hint)
