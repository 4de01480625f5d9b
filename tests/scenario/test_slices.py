"""Slices through the real command line: declared ones with a least size, a gap between groups, and one that nobody declared."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.check import ROOT
from tests.world.repository import Repository, make

EVALUATE = """\
import json, os, pathlib
wrong = json.loads(pathlib.Path("model/weights.json").read_text())["wrong"]
rows = ["id,target,prediction,language,source,sex,length"]
for i in range(4000):
    target = "spam" if i % 3 == 0 else "ham"
    language, source, sex = ("de", "en", "fr", "it")[i // 7 % 4], ("app", "web")[i // 3 % 2], ("f", "m")[i // 11 % 2]
    if i % 500 == 0:
        language = "la"
    lost = i % 20 == 0 or (wrong == 1 and language == "fr" and source == "web" and i % 2) or (wrong == 2 and sex == "f" and i % 5 == 0)
    prediction = {"spam": "ham", "ham": "spam"}[target] if lost else target
    rows.append(f"mail-{i},{target},{prediction},{language},{source},{sex},{i * 7919 % 1000}")
pathlib.Path(os.environ["MLOPS_PREDICTIONS"]).write_text("\\n".join(rows) + "\\n")
"""
CONFIG = """\
name: spam-filter
train: {run: python3 train.py, output: model/, inputs: [train.py, params.json], params: params.json}
evaluate:
  run: python3 evaluate.py
  inputs: [evaluate.py]
  task: classification
  metrics: [accuracy, "recall:spam"]
  slices: [language, length, {french mail: "language = 'fr' AND starts_with(id, 'mail')"}]
gate:
  accuracy: {max-drop: 9pp, slices: {max-drop: 40%, min-examples: 100}, gap: {sex: {max: 6pp, max-rise: 4pp}}}
"""


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = make(tmp_path)
    made.write(evaluate_py=EVALUATE, mlops_yaml=CONFIG, params_json=json.dumps({"wrong": 0}))
    made.commit("Mail by language, source and sex")
    made.mlops("review")
    made.git("switch", "-q", "-c", "change")
    return made


def plain(line: str) -> str:
    return re.sub(r" +", " ", line)


def check(repository: Repository, name: str, part: str | None = None) -> dict[str, object]:
    found: dict[str, object] = next(c for c in repository.report["checks"] if (c["metric"], c["slice"]) == (name, part))
    return found


def test_a_loss_that_no_declared_slice_shows_is_found(repository: Repository) -> None:
    repository.wrong(1)
    said = repository.mlops("review").stdout
    assert "Worse on 1 slices that nobody declared" not in said
    assert "Worse on 1 slice that nobody declared" in said
    assert "| language = `fr` and source = `web`" in said
    found = repository.report["discovered"]["found"]
    assert [one["where"] for one in found] == [{"language": "fr", "source": "web"}]
    assert found[0]["high"] < -0.3
    small = check(repository, "accuracy", "language=la")
    assert (small["verdict"], small["reason"], small["n"]) == ("inconclusive", "too-small", 8)
    assert "1 of 10 too small to say, 10 ungated" in said
    assert {c["slice"] for c in repository.report["checks"] if c["slice"] and c["slice"].startswith("length")} == {
        "length=0 to 249",
        "length=250 to 499",
        "length=500 to 749",
        "length=750 to 999",
    }
    assert check(repository, "accuracy gap [sex]")["verdict"] == "pass"


def test_groups_that_grow_apart_fail_until_somebody_says_yes(repository: Repository) -> None:
    repository.wrong(2)
    worse = repository.mlops("review", code=1)
    assert worse.stdout.startswith("❌ spam-filter: accuracy gap [sex] ")
    assert "between m and f (allowed +4.0 pp, ≤ 6.0 pp)" in worse.stdout.splitlines()[0]
    gap = check(repository, "accuracy gap [sex]")
    for line in re.findall(r"^\| accuracy gap.*|^- accuracy gap.*", (ROOT / "docs/slices.md").read_text(), re.MULTILINE):
        assert plain(line) in [plain(said) for said in worse.stdout.splitlines()], "the page shows it"
    assert (gap["verdict"], gap["groups"], gap["direction"]) == ("fail", ["m", "f"], "lower")
    offered = repository.report["next"]["accept"]
    repository.write(mlops_yaml=CONFIG + offered)
    repository.commit("Accept it")
    repository.mlops("review")
    assert repository.report["gate"] == "passed"


def test_a_wider_gap_is_not_allowed_by_the_change_that_needs_it(repository: Repository) -> None:
    repository.write(mlops_yaml=CONFIG.replace("max: 6pp, max-rise: 4pp", "max: 60pp"))
    repository.wrong(2)
    worse = repository.mlops("review", code=1)
    assert "gate loosened: accuracy gap [sex] 4pp max 0.06 from 100 examples → max 0.6 from 100 examples" in worse.stdout.splitlines()[0]


def test_on_the_command_line(repository: Repository) -> None:
    rows = (repository.root / ".mlops" / "runs").rglob("*.parquet")
    one = str(next(iter(sorted(rows))).relative_to(repository.root))
    done = repository.mlops("compare", one, one, "--gate", "accuracy:max-drop=1pp,gap.sex=6pp", "--slice", "language")
    assert "accuracy gap [sex]" in done.stdout
