"""Pull requests of strangers, with the shipped pair of workflows: one runs their code and may write nothing, one judges and runs none."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from tests.engine.act import PLAIN, READ_ONLY, Engine, Ran, workflow
from tests.engine.conftest import Make
from tests.engine.events import Event
from tests.world.project import EVALUATE, GOOD, HARMLESS, TRAIN, WORSE

pytestmark = pytest.mark.act
LOOSE = PLAIN.replace("max-drop: 1pp", "max-drop: 9pp")


@dataclass
class Pair:
    """Tells the other that the one is about to begin, runs the one, and then, as GitHub does when it has ended, the other."""

    engine: Engine
    heads: dict[int, str] = field(default_factory=dict)
    begun: Ran | None = None

    def run(self, event: Event, *, token: str | None = None, concluded: str | None = None) -> tuple[Ran, Ran]:
        begun = self.engine.ended(event, self.engine.number + 2, concluded=None)
        self.begun = self.engine.run(begun, "judge.yml", GITHUB_SERVER_URL=self.engine.server())
        first = self.engine.run(event, token=token)
        ended = self.engine.ended(event, first.number, concluded=concluded or ("success" if first.passed else "failure"))
        return first, self.engine.run(ended, "judge.yml", GITHUB_SERVER_URL=self.engine.server())

    def review(self, number: int, files: dict[str, str], *, fork: bool = True, author: str = "someone") -> tuple[Ran, Ran]:
        self.engine.project.branch(f"change-{number}")
        head = self.heads[number] = self.engine.project.commit(f"Change {number}", files, push=not fork)
        return self.run(self.engine.pull_request(number, head, f"change-{number}", fork=fork, author=author), token=READ_ONLY)

    def check(self, number: int) -> list[str]:
        return [f"{s['context']} {s['state']}" for s in self.engine.github.statuses.get(self.heads[number], [])]


@pytest.fixture(scope="module")
def pair(make_engine: Make) -> Pair:
    files = {"train.py": TRAIN, "evaluate.py": EVALUATE, "src/wrong.txt": f"{GOOD}\n", ".gitignore": "model/\n", "mlops.yaml": PLAIN}
    flows = {"model.yml": workflow("fork-pair.yml"), "judge.yml": workflow("fork-pair-judge.yml")}
    engine = make_engine({**files, **{f".github/workflows/{name}": text for name, text in flows.items()}})
    engine.env["RUNNER_ENVIRONMENT"] = "github-hosted"
    made = Pair(engine)
    trained, judged = made.run(engine.push())
    assert trained.passed, trained.log
    assert judged.passed, judged.log
    return made


def test_a_good_change_of_a_fork_has_its_comment_and_its_check_from_the_side_that_runs_none_of_it(pair: Pair) -> None:
    trained, judged = pair.review(7, {"src/wrong.txt": f"{HARMLESS}\n"})
    assert trained.passed, trained.log
    assert judged.passed, judged.log
    assert (trained.trainings, judged.trainings) == (1, 0)
    (body,) = pair.engine.github.bodies(7)
    assert body.startswith("✅ spam-filter: accuracy −0.10 pp")
    assert "fork" in body
    assert pair.check(7) == ["mlops/spam-filter pending", "mlops/spam-filter success"]


def test_its_check_is_pending_from_the_begin_and_leads_to_where_the_code_is_at_work(pair: Pair) -> None:
    pair.review(17, {"src/wrong.txt": f"{HARMLESS}\n", "notes.txt": "seventeen\n"})
    assert pair.begun is not None
    assert pair.begun.outputs["plan"] == {"models": "[]", "head": pair.heads[17], "exit": "0"}
    first, last = pair.engine.github.statuses[pair.heads[17]]
    assert (first["state"], last["state"]) == ("pending", "success")
    assert first["target_url"].endswith(f"/actions/runs/{pair.begun.number + 1}")
    assert not last["target_url"].endswith(f"/actions/runs/{pair.begun.number + 1}")


def test_a_fork_s_own_gate_does_not_count(pair: Pair) -> None:
    _, judged = pair.review(8, {"src/wrong.txt": f"{WORSE}\n", "mlops.yaml": LOOSE})
    assert not judged.passed
    assert judged.outputs["compare-to-main"]["exit"] == "1"
    (body,) = pair.engine.github.bodies(8)
    assert body.startswith("❌ spam-filter: accuracy −6.0 pp")
    assert pair.check(8) == ["mlops/spam-filter pending", "mlops/spam-filter failure"]


def test_a_fork_whose_training_fails_is_told_so(pair: Pair) -> None:
    trained, judged = pair.review(9, {"train.py": "raise SystemExit('no')\n"})
    assert (trained.passed, judged.passed) == (False, False)
    (body,) = pair.engine.github.bodies(9)
    assert body.startswith("❌ spam-filter: no verdict: ")
    assert pair.check(9) == ["mlops/spam-filter pending", "mlops/spam-filter error"]


def test_a_dependency_s_update_is_judged_like_a_fork(pair: Pair) -> None:
    trained, judged = pair.review(10, {"requirements.txt": "numpy==2\n"}, fork=False, author="dependabot[bot]")
    assert trained.passed, trained.log
    assert judged.passed, judged.log
    (body,) = pair.engine.github.bodies(10)
    assert body.startswith("✅ spam-filter: accuracy 0.00 pp")
    assert pair.check(10) == ["mlops/spam-filter pending", "mlops/spam-filter success"]
