"""`mlops monitor`: write the files that watch the models of this repository; `mlops monitor issue`: one issue for what was found."""

from __future__ import annotations

import argparse
import json

from mlops_toolkit.config.read import discover, load_all
from mlops_toolkit.errors import UsageError
from mlops_toolkit.monitor import render, written
from mlops_toolkit.monitor.wanted import wanted
from mlops_toolkit.world import World


def run(args: argparse.Namespace, world: World) -> int:
    """0 where all is written (or stood there already), or the issue is as it should be. Errors as in `written.put` and `issue.run`."""
    if args.action == "issue":
        from mlops_toolkit.monitor import issue

        return issue.run(args, world)
    if not args.out:
        raise UsageError("no-folder", "there is no folder to write to", where="--out", hint="mlops monitor --out monitoring")
    loaded = load_all(discover(args.config, cwd=world.cwd, root=world.root), root=world.root)
    asked = wanted(loaded, environment=args.environment, target=args.target)
    made = render.files(asked)
    done = written.put(world.cwd / args.out, made, force=args.force)
    if args.json:
        said = {"schema": 1, "folder": args.out, "written": [*done.write, *done.changed], "unchanged": list(done.same), "removed": list(done.removed), "left": list(done.left)}  # fmt: skip
        print(json.dumps(said), file=world.out)
        return 0
    for path in (*done.write, *done.changed):
        print(f"{args.out.rstrip('/')}/{path}", file=world.out)
    count = len(done.write) + len(done.changed)
    print(f"{count or 'no'} file{'' if count == 1 else 's'} written, {len(done.same)} as they were; {args.out.rstrip('/')}/README.md says what to do next", file=world.err)  # fmt: skip
    for path in done.left:
        print(f"{path} is not needed any more; you changed it, so it stays", file=world.err)
    return 0
