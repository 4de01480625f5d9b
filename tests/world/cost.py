"""What a review asks of GitHub, counted: docs/cost.md is written by `python -m tests.world.cost --write`, and tests hold it to that.

Each row is one job of a team's day with everything that our steps ask for in it; checkout's own fetch is not ours and is left out.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.world.project import CONFIG, HARMLESS, WORSE
from tests.world.released import mark
from tests.world.team import READER, Job, Team, team

PAGE = Path(__file__).parents[2] / "docs" / "cost.md"
MOST = 12  # calls to the API that an ordinary pull request may cost
ROW = re.compile(r"^\| (?P<name>[^|]+?) +\| +(?P<calls>\d+) \| +(?P<bytes>\d+) kB \| +(?P<trips>\d+) \| +(?P<git>\d+) kB \|", re.MULTILINE)


@dataclass(frozen=True)
class Cost:
    """calls: to the API, api: their bytes both ways · trips: requests of git's, git: their bytes both ways, bodies alone"""

    name: str
    calls: int
    api: int
    trips: int
    git: int
    asked: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        return f"| {self.name:<61} | {self.calls:>9} | {_kilo(self.api):>4} kB | {self.trips:>12} | {_kilo(self.git):>4} kB |"


def _kilo(count: int) -> int:
    return -(-count // 1000)


@dataclass
class Day:
    """A team's day, and what has been counted of it."""

    acme: Team
    rows: list[Cost]

    @contextmanager
    def counted(self, name: str) -> Iterator[None]:
        calls, trips = len(self.acme.github.calls), len(self.acme.git_server.calls)
        yield
        api, git = self.acme.github.calls[calls:], self.acme.git_server.calls[trips:]
        asked = tuple(f"{call.verb} {call.target}" for call in api)
        self.rows.append(
            Cost(name, len(api), sum(c.sent + c.received for c in api), len(git), sum(c.sent + c.received for c in git), asked)
        )

    def job(self, name: str, event: object, *steps: tuple[str, int], **options: object) -> Job:
        """One job, its steps counted. (verb, exit code) a step."""
        job = self.acme.job(event, **options)  # type: ignore[arg-type]
        job.env["XDG_DATA_HOME"] = str(self.acme.folder / "data")  # the runner's own disk, which keeps models
        with self.counted(name):
            for verb, code in steps:
                job.within(verb, code=code, **({"close": "true"} if verb == "report" else {}))
        return job

    def head(self, branch: str, wrong: int, files: dict[str, str] | None = None) -> str:
        if self.acme.project.git("branch", "--list", branch):
            self.acme.project.git("checkout", "-q", branch)
        else:
            self.acme.project.branch(branch)
        return self.acme.project.commit("a change", {"src/wrong.txt": f"{wrong}\n", **(files or {})})


def measure(folder: Path) -> list[Cost]:
    """Every row, on real servers of this machine."""
    files = {"mlops.yaml": CONFIG + "models: {store: 'file:'}\n"}
    with team(folder, files, charts=True) as acme:
        day = Day(acme, [])
        whole = (("train", 0), ("evaluate", 0), ("compare", 0))
        day.job("the very first run, on main", acme.push(), *whole)
        _pull_request(day)
        _two_jobs(day)
        _main(day)
        _nights(day)
        _stranger(day)
        _released(day)
        return day.rows


def _pull_request(day: Day) -> None:
    acme, whole = day.acme, (("train", 0), ("evaluate", 0), ("compare", 0))
    event = acme.pull_request(7, day.head("feature", HARMLESS), "feature")
    day.job("pull request, first push, one job", event, *whole, ("report", 0))
    event = acme.pull_request(7, day.head("feature", HARMLESS + 1), "feature")
    day.job("second push: the comment is edited", event, *whole, ("report", 0))
    event = acme.pull_request(7, day.head("feature", HARMLESS + 1, {"README.md": "words\n"}), "feature")
    day.job("push that changes no input: nothing is trained", event, *whole, ("report", 0))
    day.job("`plan`, which finds nothing to run", event, ("plan", 0))
    event = acme.pull_request(8, day.head("worse", WORSE), "worse")
    day.job("regression: the job fails", event, ("train", 0), ("evaluate", 0), ("compare", 1), ("report", 0))


def _two_jobs(day: Day) -> None:
    acme = day.acme
    event = acme.pull_request(9, day.head("jobs", HARMLESS + 2), "jobs")
    first = day.job("two jobs: train and evaluate (may only read)", event, ("train", 0), ("evaluate", 0), token=READER)
    second = acme.job(event, run=first.run)
    first.hand_over(second)
    with day.counted("two jobs: compare"):
        second.within("compare")
        second.within("report", close="true")


def _main(day: Day) -> None:
    acme = day.acme
    queue = acme.queue(7, acme.project.git("rev-parse", "feature"))
    day.job("merge queue: the group was judged as a pull request", queue, ("train", 0), ("evaluate", 0), ("compare", 0))
    acme.project.git("checkout", "-q", "main")
    acme.project.git("merge", "-q", "--squash", "feature")
    acme.project.commit("feature (#7)", {})
    day.job("merge to main: taken from the pull request", acme.push(), ("train", 0), ("evaluate", 0), ("compare", 0))


def _nights(day: Day) -> None:
    acme, whole = day.acme, (("train", 0), ("evaluate", 0))
    day.job("night, good", acme.schedule(), *whole, ("compare", 0))
    good = (acme.project.root / "src" / "wrong.txt").read_text()
    acme.project.commit("worse", {"src/wrong.txt": f"{WORSE}\n"})
    day.job("night, failing: an issue is opened", acme.schedule(), *whole, ("compare", 1))
    acme.project.commit("better", {"src/wrong.txt": good})
    day.job("night, good again: the issue is closed", acme.schedule(), *whole, ("compare", 0))


def _stranger(day: Day) -> None:
    acme = day.acme
    acme.project.branch("theirs")
    event = acme.pull_request(10, acme.project.commit("theirs", {"src/wrong.txt": f"{HARMLESS + 3}\n"}, push=False), "theirs", fork=True)
    theirs = day.job("fork: train and evaluate (may only read)", event, ("train", 0), ("evaluate", 0), token=READER)
    judge = acme.job(acme.ended(event, theirs.run), checkout=False)
    shutil.copytree(theirs.state / "runs", judge.workspace / "handed" / "runs")
    shutil.copy(theirs.state / "run.json", judge.workspace / "handed" / "run.json")
    with day.counted("fork: the judge, without a checkout"):
        judge.within("compare", run="handed")
    with day.counted("`report` with `close: true`, where nothing is pending"):
        acme.job(event, run=theirs.run).within("report", close="true")


def _released(day: Day) -> None:
    """One more run is read, and its predictions are fetched."""
    acme = day.acme
    mark(acme.project.remote, acme.index()[0]["i"])
    acme.project.git("checkout", "-q", "main")
    config = {"mlops.yaml": (acme.project.root / "mlops.yaml").read_text() + "against: [main, release]\n"}
    event = acme.pull_request(11, day.head("released", HARMLESS + 4, config), "released")
    whole = (("train", 0), ("evaluate", 0), ("compare", 0), ("report", 0))
    day.job("first push, held against the last release too", event, *whole)


def page(rows: list[Cost]) -> str:
    """docs/cost.md."""
    table = "\n".join(row.line for row in rows)
    pull = next(row for row in rows if row.name.startswith("pull request, first"))
    asked = "\n".join(f"{number}. `{_shape(call)}`" for number, call in enumerate(pull.asked, 1))
    return f"""\
# What a review costs

Calls to GitHub's API count against the job's token: 1,000 an hour for one repository. Requests of git do not. Both are counted here
for the spam filter of our tests (2,000 examples, two metrics, a slice, charts), a job a row, before any retry. What checkout, artifacts
and caches cost is not in it. `python -m tests.world.cost --write` writes this page, and `tests/scenario/test_cost.py` holds it to what
is counted.

| job | API calls | bytes | git requests | bytes |
| :-- | --: | --: | --: | --: |
{table}

An ordinary pull request stays within {MOST} calls, with up to a hundred comments; each further hundred is two more. A call that meets
trouble is made again, at most five times. Bytes of git grow with the history's index, which has a line a run, and with the predictions
that are kept: the baseline's are fetched, and those of the last release where `against:` names it; the run's own are sent.

The calls of the first push to a pull request:

{asked}

What they are for: two ask beforehand whether a rule refuses the history's branch (so that nobody trains for hours first), one marks the
check as pending, one asks who we are (an app's token cannot ask `/user`), two read the comments before and after the write, because
nobody tells a job that another wrote over its text, one writes, one sets the check, and one looks whether anything was left pending.
"""


def _shape(call: str) -> str:
    return re.sub(r"/[0-9a-f]{40}", "/SHA", re.sub(r"/repos/[^/]+/[^/]+", "/repos/OWNER/REPO", call.partition("?")[0]))


def named(text: str) -> dict[str, tuple[int, int, int, int]]:
    """The rows of a page by name."""
    return {row["name"]: (int(row["calls"]), int(row["bytes"]), int(row["trips"]), int(row["git"])) for row in ROW.finditer(text)}


def main(write: Callable[[str], object]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write(page(measure(Path(folder))))


if __name__ == "__main__":
    main(PAGE.write_text if "--write" in sys.argv[1:] else sys.stdout.write)
