"""`mlops doctor`: run every check, print what was found, and answer with the exit code of the worst problem."""

from __future__ import annotations

import argparse
from collections.abc import Iterable

from mlops_toolkit import plug
from mlops_toolkit.config import read
from mlops_toolkit.doctor import CHECKS
from mlops_toolkit.doctor.finding import Finding, Patient
from mlops_toolkit.errors import USAGE, MlopsError, UsageError
from mlops_toolkit.world import World

SIGNS = {"fine": "✓", "note": "·", "problem": "✗"}


def run(args: argparse.Namespace, world: World) -> int:
    """0 where nothing would fail; else 2 (configuration) or 4 (environment)."""
    patient = _patient(args.config, world)
    worst = 0
    for name in CHECKS:
        for finding in examined(name, patient):
            print(f"{SIGNS[finding.level]} {name}: {finding.message}", file=world.out)
            if finding.hint:
                print("    " + finding.hint.replace("\n", "\n    "), file=world.out)
            if finding.level == "problem":
                # a configuration that cannot be read explains what else is found: its code counts
                worst = USAGE if USAGE in (worst, finding.code) else max(worst, finding.code)
    return worst


def examined(name: str, patient: Patient) -> Iterable[Finding]:
    """One check's findings; a check that fails itself is a finding too, and the others go on."""
    try:
        return list(plug.load("check", CHECKS, name)(patient))
    except MlopsError as error:
        return [Finding("problem", error.message if not error.where else f"{error.where}: {error.message}", error.hint, error.code)]


def _patient(pattern: str, world: World) -> Patient:
    try:
        paths = read.discover(pattern, cwd=world.cwd, root=world.root)
        return Patient(world, read.load_all(paths, root=world.root))
    except (UsageError, MlopsError) as error:
        return Patient(world, trouble=error)
