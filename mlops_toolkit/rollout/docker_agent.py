"""The agent in its container on a Docker host: where it finds things, and how it ends for good.

Docker starts it again after a kill, and after the host's power was gone, for that is its container's restart policy; when its order is over, it
takes that policy away itself.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlops_toolkit.errors import ENVIRONMENT, EnvironmentFailure, UsageError
from mlops_toolkit.rollout.clock import SystemClock
from mlops_toolkit.rollout.docker_driver import DockerDriver
from mlops_toolkit.rollout.docker_ground import Ground
from mlops_toolkit.rollout.engine_api import SOCKET, Engine
from mlops_toolkit.rollout.journal import FileJournal
from mlops_toolkit.rollout.lock import FileLock
from mlops_toolkit.rollout.place import Place

# folder of the journal; the proxy's files as we see them, and as Docker mounts them for it; our own container; the engine's socket
SETTINGS = {"state": "/state", "proxy": "/proxy", "mount": "", "agent": "", "socket": SOCKET}
AGAIN = (ENVIRONMENT, 130, 143)  # exit codes after which the order is not over
# What the container runs: the file, if it is the one that was sent, with nothing of the image's packages (`-I -S`).
START = (
    "import hashlib,sys;path,want=sys.argv[1:3];"
    "hashlib.sha256(open(path,'rb').read()).hexdigest()==want or sys.exit('the agent is not the one that was sent');"
    "sys.path.insert(0,path);from mlops_toolkit.rollout import docker_agent;sys.exit(docker_agent.main(sys.argv[3:]))"
)


def place(name: str, settings: Mapping[str, Any]) -> Place:
    """A name on this Docker host. UsageError `invalid-order`: settings of another version."""
    known = {**SETTINGS, **settings}
    if set(known) != set(SETTINGS) or not all(isinstance(one, str) for one in known.values()):
        raise UsageError("invalid-order", "the settings are not those of a Docker host", where="--settings")
    state, clock = Path(known["state"]), SystemClock()
    ground = Ground(Engine(known["socket"]), name, Path(known["proxy"]), known["mount"] or known["proxy"], known["agent"] or None)
    return Place(DockerDriver(ground, state), FileJournal(state), FileLock(state, clock), clock)


def main(argv: Sequence[str]) -> int:
    """As the file's own `__main__`; ended for good where the order is."""
    from mlops_toolkit.rollout.__main__ import main as carried

    code = carried(list(argv[1:]))
    if code not in AGAIN and argv[0]:
        with contextlib.suppress(EnvironmentFailure):
            Engine().call("POST", f"/containers/{argv[0]}/update", {"RestartPolicy": {"Name": "no"}})
    return code
