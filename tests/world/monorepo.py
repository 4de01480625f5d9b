"""A repository of several models, each in `models/NAME`, in a team's hands: what a plan lets run on one machine, and one comparison of all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.engine.events import Event
from tests.world.project import CONFIG as SPAM_FILTER
from tests.world.project import EVALUATE, GOOD, TRAIN
from tests.world.team import Job, Step, Team, team

GLOB = "models/*/mlops.yaml"
NAMES = ("birds", "cats", "dogs")
# What is not named would be every tracked file, the other models' among them.
CONFIG = SPAM_FILTER.replace("  run: python3 evaluate.py\n", "  run: python3 evaluate.py\n  inputs: [evaluate.py]\n")


def configuration(name: str, text: str = CONFIG) -> str:
    return text.replace("name: spam-filter", f"name: {name}") + "comment: {charts: false}\n"


def model(name: str, *, config: str = CONFIG) -> dict[str, str]:
    """The files of one model."""
    top = f"models/{name}"
    files = {"train.py": TRAIN, "evaluate.py": EVALUATE, "src/wrong.txt": f"{GOOD}\n", "mlops.yaml": configuration(name, config)}
    return {f"{top}/{path}": text for path, text in files.items()} | {".gitignore": "model/\n/runs/\nuntracked/\n"}


@contextmanager
def monorepo(folder: Path, *, names: tuple[str, ...] = NAMES, config: str = CONFIG, **options: Any) -> Iterator[Team]:
    """A team over a repository of these models; nothing is recorded yet."""
    files: dict[str, str] = {}
    for name in names:
        files |= model(name, config=config)
    with team(folder, files, **options) as made:
        yield made


def planned(step: Step) -> dict[str, dict[str, Any]]:
    """The rows of the output `models`, by name."""
    return {row["name"]: row for row in json.loads(step.outputs["models"])}


def change(acme: Team, files: dict[str, str], *, number: int = 7, branch: str = "feature", **options: Any) -> Event:
    """A pull request with these files on top of main."""
    acme.project.branch(branch)
    head = acme.project.commit(f"change {', '.join(files)}", files)
    return acme.pull_request(number, head, branch, **options)


def trained(acme: Team, event: Event, config: str, *, code: int | None = 0, run: int | None = None, **inputs: str) -> Job:
    """The training job of one model (or leg) on a machine of its own; a failed training ends the job, as a step would."""
    job = acme.job(event, run=run)
    if job.within("train", config=config, code=code, **inputs).code == 0:
        job.within("evaluate", config=config, **inputs)
    return job


def hand_over(job: Job, other: Job, config: str, artifact: str) -> Path:
    """Upload what one model's job left, and download it below `runs/ARTIFACT` of another machine; the folder it is in there."""
    state = (job.root / config).parent / ".mlops"
    to = other.root / "runs" / artifact / Path(config).parent.name / ".mlops"
    to.mkdir(parents=True)
    shutil.copy(state / "run.json", to / "run.json")
    shutil.copytree(state / "runs", to / "runs")
    return to
