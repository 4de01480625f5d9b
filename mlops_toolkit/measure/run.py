"""`mlops measure latency -- CMD`: find the run and its baseline, run the command for both models in turn, record the numbers.

Nothing is recorded before all of it is done: a measurement that was stopped half-way leaves the record as it was.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mlops_toolkit.config import measures as known
from mlops_toolkit.config import read
from mlops_toolkit.config.forks import refuse_fork
from mlops_toolkit.config.requests import check_name
from mlops_toolkit.errors import EnvironmentFailure, UsageError
from mlops_toolkit.history import current
from mlops_toolkit.history.base import History
from mlops_toolkit.history.before import baseline_of
from mlops_toolkit.home import Home
from mlops_toolkit.measure import read as printed
from mlops_toolkit.models.open import fetch
from mlops_toolkit.records.run import Measure, Run
from mlops_toolkit.report.escape import plain
from mlops_toolkit.system import gpu, supervise, turns
from mlops_toolkit.world import World

LOG = "log-measure.txt"
NAMES = {"latency": "latency-ms", "memory": "peak-memory-mb"}
SECONDS = {"ns": 1e9, "us": 1e6, "ms": 1e3, "s": 1.0, "seconds": 1.0, "minutes": 1 / 60}
BYTES = {"bytes": 1.0, "kb": 1e-3, "mb": 1e-6, "gb": 1e-9}
USUAL = {"latency": "ms", "memory": "mb"}


def run(args: argparse.Namespace, world: World) -> int:
    """Measure the one configured model; 0 where its numbers are recorded. Raises the MlopsError that ended it."""
    found = read.load_all(read.discover(args.config, cwd=world.cwd, root=world.root), root=world.root)
    if len(found) > 1:
        names = ", ".join(loaded.where for loaded in found[:5])
        raise UsageError("several-models", f"{len(found)} models are configured: {names}", hint="say which: --config FILE")
    if args.rounds < 2 or args.warm_up < 0 or args.budget.seconds <= 0:
        raise UsageError(
            "wrong-value", "at least 2 rounds, no negative warm-up, and some time for it", hint="--rounds 30 --warm-up 3 --budget 10m"
        )
    job = _Job(found[0], world, args)
    refuse_fork(world.context, world.git, job.loaded, world.forge.may_write)
    history = world.history(job.state, job.loaded.config.history.at)
    with job.alone():
        record = current.find(args.run.strip(), state=job.state, history=history, git=world.git, context=world.context, key=job.key)
        if record.status not in ("succeeded", "reused"):
            raise UsageError(
                "run-not-trained", f"run {record.id} is {record.status}: there is no model to measure", hint="run `mlops review` first"
            )
        _free(job.name, record)
        made = job.measure(record, history)
        for name in made:
            _free(name, record)
        job.save(replace(record, measures={**record.measures, **made}))
    for name, one in made.items():
        print(f"{job.loaded.config.name} · {_said(name, one)}", file=world.out, flush=True)
    return 0


def _free(name: str, record: Run) -> None:
    """UsageError where a measure cannot be called so: `invalid-name`, or `duplicate-metric` where the run's predictions have that number."""
    check_name(name, "measure")
    if name in record.metrics:
        raise UsageError(
            "duplicate-metric", f"{name} is computed from the predictions already", where="--name", hint="give the measure another name"
        )


@dataclass(frozen=True)
class _Job(Home):
    """One model, and how it is measured."""

    args: argparse.Namespace

    @property
    def name(self) -> str:
        return str(self.args.name or NAMES[self.args.what])

    @property
    def room(self) -> Path:
        return self.state / "cache" / "measure"

    def measure(self, record: Run, history: History) -> dict[str, Measure]:
        shutil.rmtree(self.room, ignore_errors=True)
        try:
            self.room.mkdir(parents=True)
            base, theirs = self._baseline(record, history)
            runs = self._turns(record, [*([theirs] if theirs else []), self._own(record)])
            return self._made(runs, base if theirs else None)
        except OSError as error:
            raise EnvironmentFailure("not-recorded", f"cannot write here: {error.strerror}", where=str(self.room)) from error
        finally:
            shutil.rmtree(self.room, ignore_errors=True)

    def _own(self, record: Run) -> str:
        """This run's model, brought here where another machine trained it."""
        train = self.loaded.config.train
        if record.trained is None and record.elsewhere is not None:
            return record.elsewhere.uri
        path = self.loaded.folder / (train.output if train else record.trained.path if record.trained else "model")
        if record.trained is not None and not path.exists():
            fetch(record.trained, path, self.world.models, env=self.world.env)
        return str(path)

    def _baseline(self, record: Run, history: History) -> tuple[Run | None, str | None]:
        """The baseline's run, and where its model now is; None with the reason said."""
        base = baseline_of(record, self.world.git, self.world.context, history)
        if base is None:
            self.say("there is no baseline yet: this run's model is measured alone")
            return None, None
        if base.trained is None:
            if base.elsewhere is None:
                self.say(
                    f"the baseline (run {base.id}) has no model to be had: this run's is measured alone, and its change will not block"
                )
            return base, base.elsewhere.uri if base.elsewhere else None
        try:
            to = self.room / "baseline" / Path(base.trained.path.rstrip("/") or "model").name
            to.parent.mkdir(parents=True, exist_ok=True)
            fetch(base.trained, to, self.world.models, env=self.world.env, replace=True)
        except EnvironmentFailure as error:
            self.say(f"the baseline's model cannot be had ({error.message}): this run's is measured alone, and its change will not block")
            return base, None
        return base, str(to)

    def _turns(self, record: Run, models: list[str]) -> list[list[Any]]:
        args, out, plan = self.args, self.room / "runs.json", self.room / "plan.json"
        command = args.command[0] if len(args.command) == 1 else shlex.join(args.command)
        path = self.world.env.get("PATH")
        bash = shutil.which("bash", path=path) or shutil.which("bash")
        shell = [bash, "-eo", "pipefail", "-c"] if bash else ["sh", "-e", "-c"]
        rounds = args.rounds + args.rounds % 2
        asked = {"shell": shell, "command": command, "models": models, "warm_up": args.warm_up, "rounds": rounds}
        plan.write_text(json.dumps({**asked, "budget": args.budget.seconds, "out": str(out)}), encoding="utf-8")
        train, log = self.loaded.config.train, self.folder(record.id) / LOG
        device = "cuda" if shutil.which("nvidia-smi", path=path) and gpu.probe(self.world.env).names else "cpu"
        env = {**self.world.env, "MLOPS_SEED": str((train.seed if train else None) or 0), "MLOPS_DEVICE": device}
        program = f"exec {shlex.join([sys.executable, '-I', '-S', turns.__file__, str(plan)])}"
        self.say(
            f"{command[:200]} · {'both models in turn' if len(models) > 1 else 'one model'}, {rounds} rounds after {args.warm_up} to warm up"
        )
        ended = supervise.run(program, cwd=self.loaded.folder, env=env, log=log, echo=self.world.err)
        if error := supervise.trouble(ended, what="the measured command", log=Path(self.shown(log))):
            raise error
        runs: list[list[Any]] = json.loads(out.read_bytes())["runs"]
        if len(runs[0]) < rounds:
            self.say(f"the time budget ({args.budget.text}) was reached after {len(runs[0])} rounds")
        return runs

    def _made(self, runs: list[list[Any]], base: Run | None) -> dict[str, Measure]:
        if self.args.from_output:
            found = printed.by_name([[text for _, _, text in side] for side in runs], self.name)
        else:
            column, scale = (0, self._scale(SECONDS)) if self.args.what == "latency" else (1, self._scale(BYTES))
            found = {self.name: ([[one[column] * scale for one in side] for side in runs], 1)}
        return {
            name: Measure(
                tuple(sides[-1]),
                better=known.direction(name, self.loaded.config),
                noisy=True,
                beside=tuple(sides[0]) if base is not None else (),
                beside_run=base.id if base is not None else None,
                each=each,
            )
            for name, (sides, each) in found.items()
        }

    def _scale(self, units: dict[str, float]) -> float:
        """What a second or a byte is in the unit that the measure's name ends with."""
        word = self.name.rpartition("-")[2].rpartition("_")[2].casefold()
        return units.get(word, units[USUAL[self.args.what]])


def _said(name: str, one: Measure) -> str:
    """The outcome in a line: both means, and the change with its interval."""
    import numpy as np

    from mlops_toolkit.stats import repeats

    head = np.asarray(one.values)
    rounds = len(one.values) // one.each
    if not one.beside:
        return f"{plain(name, 60)} {head.mean():.4g} (mean of {rounds} rounds; nothing beside it)"
    base = np.asarray(one.beside)
    found = repeats.in_turn(name, base, head, None, each=one.each, direction="higher")
    reach = f" [{found.low:+.3g}, {found.high:+.3g}]" if found.low is not None else ""
    return f"{plain(name, 60)} {base.mean():.4g} → {head.mean():.4g} (mean of {rounds} rounds in turn; change {head.mean() - base.mean():+.3g}{reach})"
