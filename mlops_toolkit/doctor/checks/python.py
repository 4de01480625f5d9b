"""Whether the commands will find a Python, and which."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

from mlops_toolkit.doctor.finding import Finding, Patient
from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.system import proc


def check(patient: Patient) -> Iterator[Finding]:
    """The python3 (or python) on the PATH that the user's commands get."""
    path = patient.world.env.get("PATH")
    found = shutil.which("python3", path=path) or shutil.which("python", path=path)
    if found is None:
        yield Finding("note", "no python3 on the PATH: fine unless your commands need it")
        return
    try:
        version = proc.run([found, "-c", "import platform; print(platform.python_version())"], env=patient.world.env, timeout_seconds=30)
    except EnvironmentFailure as error:
        yield Finding("problem", f"{found} does not answer: {error.message}")
        return
    if version.status == 0:
        yield Finding("fine", f"your commands get Python {version.text} ({found})")
    else:
        yield Finding("problem", f"{found} does not start: {version.trouble}")
