"""`python -m mlops_toolkit.config.emit --write` makes the generated files anew, `--check` says which are not as they would be made."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlops_toolkit.config.emit import reference
from mlops_toolkit.config.emit.actions import action_yml
from mlops_toolkit.config.emit.jsonschema import schema
from mlops_toolkit.config.inputs import ACTIONS
from mlops_toolkit.config.pointer import Pointer
from mlops_toolkit.records import codec
from mlops_toolkit.records import plan as plans
from mlops_toolkit.records import result as results
from mlops_toolkit.records import run as runs
from mlops_toolkit.records.plan import Plan
from mlops_toolkit.records.result import Result
from mlops_toolkit.records.run import Run
from mlops_toolkit.system.files import write_atomic

ROOT = Path(__file__).resolve().parents[3]


def generated(package: Path) -> Mapping[str, str]:
    """Path in the repository -> text, of every generated file. package: the folder whose errors are listed."""
    files = {
        "schema/mlops.schema.json": _pretty(schema()),
        "schema/pointer.schema.json": _pretty(schema(Pointer, name="pointer", title="The committed pointer to a model trained elsewhere")),
        "schema/run.schema.json": _of(Run, "A run record: .mlops/run.json", f"run:{runs.SCHEMA}"),
        "schema/result.schema.json": _of(
            Result, "The result of a comparison: .mlops/report.json and `mlops compare --json`", f"result:{results.SCHEMA}"
        ),
        "schema/plan.schema.json": _of(Plan, "A plan: `mlops plan --json`", f"plan:{plans.SCHEMA}"),
        "docs/reference/configuration.md": reference.configuration(),
        "docs/reference/actions.md": reference.actions(),
        "docs/reference/exit-codes.md": reference.exit_codes(),
        "docs/reference/serve.md": reference.server(),
        "docs/reference/errors.md": reference.error_page(package),
    }
    for action in ACTIONS.values():
        files[f"{action.folder}/action.yml".lstrip("/")] = action_yml(action.name)
    return files


def _of(kind: type, title: str, name: str) -> str:
    """The JSON Schema of a record, which other programs may read."""
    return _pretty(codec.schema(kind, title=title, identifier=f"urn:mlops:{name}"))


def _pretty(data: Mapping[str, Any]) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def main(argv: Sequence[str] | None = None, *, root: Path = ROOT) -> int:
    """Returns 1 where `--check` finds a difference."""
    parser = argparse.ArgumentParser(prog="python -m mlops_toolkit.config.emit", description=__doc__)
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--write", action="store_true", help="write what differs")
    how.add_argument("--check", action="store_true", help="name what differs, change nothing")
    arguments = parser.parse_args(argv)
    files = generated(ROOT / "mlops_toolkit")
    different = [path for path, text in files.items() if not (root / path).is_file() or (root / path).read_text(encoding="utf-8") != text]
    for path in different:
        print(
            f"{path}: {'written' if arguments.write else 'is not what the source makes: run python -m mlops_toolkit.config.emit --write'}"
        )
        if arguments.write:
            write_atomic(root / path, files[path])
    return 1 if different and arguments.check else 0


if __name__ == "__main__":
    sys.exit(main())
