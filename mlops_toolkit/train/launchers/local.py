"""The launcher of this machine: the command as a process, supervised."""

from __future__ import annotations

from typing import TextIO

from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.system import gpu, supervise
from mlops_toolkit.system.supervise import Ended
from mlops_toolkit.train.launchers import Launch


def launch(launch: Launch, *, echo: TextIO | None) -> Ended:
    """Run it here. EnvironmentFailure `no-gpu` before it starts where it asks for more GPUs than a command would see."""
    if launch.gpus:
        found = gpu.probe(launch.env)
        if len(found.names) < launch.gpus:
            cause = found.trouble or f"there {'is one' if len(found.names) == 1 else f'are {len(found.names)}'} ({', '.join(found.names)})"
            raise EnvironmentFailure(
                "no-gpu",
                f"train.gpus asks for {launch.gpus}, but {cause}",
                hint="run the job on a machine with a GPU (`runs-on: [self-hosted, gpu]`), or remove `gpus:` to train on the CPU",
            )
    return supervise.run(launch.command, cwd=launch.cwd, env=launch.env, log=launch.log, timeout_seconds=launch.timeout_seconds, echo=echo)
