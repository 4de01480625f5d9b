"""`mlops doctor`: run every check, print what was found, and answer with the exit code of the worst problem."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence

from mlops_toolkit import plug
from mlops_toolkit.config import read
from mlops_toolkit.doctor import CHECKS
from mlops_toolkit.doctor.finding import Finding, Patient
from mlops_toolkit.errors import DEFECT, USAGE, MlopsError, UsageError
from mlops_toolkit.world import World

SIGNS = {"fine": "✓", "note": "·", "problem": "✗"}


def run(args: argparse.Namespace, world: World) -> int:
    """0 where nothing would fail; else 2 (configuration), 4 (environment) or 5 (a command). With `--json` one list on standard output."""
    patient = patient_of(args.config, world)
    found: list[tuple[str, Finding]] = []
    for name in CHECKS:
        for finding in examined(name, patient):
            found.append((name, finding))
            if not getattr(args, "json", False):
                _say(name, finding, world)
    if getattr(args, "json", False):
        rows = [{"check": name, "level": f.level, "message": f.said, "hint": f.hint} for name, f in found]
        print(json.dumps(rows, ensure_ascii=False, indent=1), file=world.out)
    return worst([finding for _, finding in found])


def worst(findings: Sequence[Finding]) -> int:
    """The exit code of what was found: a configuration that cannot be read explains what else is, so its code counts first."""
    codes = [finding.code for finding in findings if finding.level == "problem"]
    return USAGE if USAGE in codes else max(codes, default=0)


def examined(name: str, patient: Patient) -> Iterable[Finding]:
    """One check's findings; a check that fails itself is a finding too, and the others go on."""
    try:
        return list(plug.load("check", CHECKS, name)(patient))
    except MlopsError as error:
        return [Finding("problem", error.message, error.hint, error.code, error.where)]
    except OSError as error:
        return [Finding("problem", f"the system refuses: {error.strerror}", where=str(error.filename) if error.filename else None)]
    except Exception as error:  # noqa: BLE001 -- one check's defect must not hide what the others find
        return [Finding("problem", f"a defect of ours: {type(error).__name__}: {error}", "please report it", DEFECT)]


def patient_of(pattern: str, world: World) -> Patient:
    """What the checks look at: the world, and the configurations that a path or glob names."""
    try:
        paths = read.discover(pattern, cwd=world.cwd, root=world.root)
        return Patient(world, read.load_all(paths, root=world.root))
    except (UsageError, MlopsError) as error:
        return Patient(world, trouble=error)


def _say(name: str, finding: Finding, world: World) -> None:
    print(f"{SIGNS[finding.level]} {name}: {finding.said}", file=world.out)
    if finding.hint:
        print("    " + finding.hint.replace("\n", "\n    "), file=world.out)
