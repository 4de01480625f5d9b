"""Where what measures a model changed, the baseline's stored model is measured by it too: its own answers, shown to be its own, or nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mlops_toolkit.evaluate import witness
from mlops_toolkit.system.opened import Opened
from tests.world.repository import Repository, clean_environment

PYTHON = sys.executable
# A "network" is a module that reads weights of its own shape: version 2 cannot read what version 1 wrote.
NET = """\
import json
SHAPE = "{shape}"
def load(path):
    made = json.load(open(path))
    assert made["shape"] == SHAPE, f"weights of shape {{made['shape']}} do not fit {{SHAPE}}"
    return made["limit"]
"""
TRAIN = """\
import json, os, sys
sys.path.insert(0, "src")
import net
os.makedirs("model", exist_ok=True)
json.dump({"shape": net.SHAPE, "limit": int(open("limit.txt").read())}, open("model/weights.json", "w"))
"""
# The model calls a text spam from its limit on; the judge says from which length on it believes that.
EVALUATE = """\
import csv, os, sys
sys.path.insert(0, "src")
import net
limit, judge = net.load(os.path.join(os.environ["MLOPS_MODEL"], "weights.json")), int(open("judge.txt").read())
with open("data/test.csv") as data, open(os.environ["MLOPS_PREDICTIONS"], "w") as out:
    print("id,target,prediction", file=out)
    for row in csv.DictReader(data):
        value = int(row["value"])
        print(row["id"], row["target"], "yes" if value >= limit and value % 100 >= judge else "no", sep=",", file=out)
"""
CONFIG = f"""\
name: net
train: {{run: {PYTHON} train.py, output: model/, inputs: [src/, train.py, limit.txt]}}
evaluate:
  run: {PYTHON} evaluate.py
  data: [data/test.csv]
  inputs: [src/, evaluate.py, judge.txt]
  task: classification
  metrics: [accuracy]
gate: {{accuracy: {{max-drop: 1pp}}}}
"""


def rows(first: int, last: int, limit: int) -> str:
    return "id,target,value\n" + "".join(f"e{i},{'yes' if i >= limit else 'no'},{i}\n" for i in range(first, last))


class Net(Repository):
    """A repository with the model in `inside` of it."""

    inside = ""

    @property
    def folder(self) -> Path:
        return self.root / self.inside

    def put(self, **files: str) -> None:
        """`src__net_py="…"` is src/net.py."""
        for name, text in files.items():
            path = self.folder / name.replace("__", "/").replace("_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def review(self, message: str, code: int | None = 0) -> str:
        self.commit(message)
        return self.mlops("review", *(["--config", f"{self.inside}/mlops.yaml"] if self.inside else []), code=code).stderr

    def kept(self, name: str) -> Any:
        return json.loads((self.folder / ".mlops" / name).read_text())

    @property
    def state(self) -> str:
        return str(self.kept("report.json")["baseline"]["state"])

    @property
    def notes(self) -> str:
        return "\n".join(self.kept("report.json")["notes"])

    def again(self, suite: str = "") -> dict[str, str] | None:
        """What the baseline's model answers now, by id."""
        import polars as pl

        run = self.kept("run.json")
        kept = run["evaluations"][suite]["baseline_predictions"]
        if kept is None:
            return None
        frame = pl.read_parquet(self.folder / ".mlops" / "runs" / run["id"] / kept["path"])
        return dict(zip(frame["id"], frame["prediction"], strict=True))


def answers(first: int, last: int, limit: int, judge: int) -> dict[str, str]:
    return {f"e{i}": "yes" if i >= limit and i % 100 >= judge else "no" for i in range(first, last)}


def make(tmp_path: Path, *, inside: str = "", config: str = CONFIG) -> Net:
    (tmp_path / "home").mkdir()
    made = Net(tmp_path / "repository", clean_environment(tmp_path / "home"))
    made.inside = inside
    made.root.mkdir()
    made.git("init", "-q", "-b", "main")
    made.put(src__net_py=NET.format(shape="1"), train_py=TRAIN, evaluate_py=EVALUATE, judge_txt="0", limit_txt="500", mlops_yaml=config)
    made.put(data__test_csv=rows(0, 1000, 500))
    (made.root / ".gitignore").write_text("model/\n__pycache__/\n")
    return made


@pytest.fixture
def net(tmp_path: Path) -> Net:
    made = make(tmp_path)
    made.review("main")
    made.git("switch", "-q", "-c", "branch")
    return made


def test_a_changed_judge_measures_both_models(net: Net) -> None:
    net.put(judge_txt="10", limit_txt="502")
    said = net.review("another judge")
    assert net.again() == answers(0, 1000, 500, 10)
    assert (net.state, net.kept("report.json")["verdict"]) == ("evaluation-changed", "pass")
    assert "judge.txt changed" in net.notes
    assert "evaluated again, in a checkout of its own commit" in net.notes
    assert "judge.txt changed; the model of the baseline" in said


def test_a_stricter_judge_does_not_make_a_worse_model_of_the_same_one(net: Net) -> None:
    net.put(judge_txt="60")
    net.review("a stricter judge")
    assert net.state == "evaluation-changed"
    check = net.kept("report.json")["checks"][0]
    assert (check["change"], check["verdict"]) == (0.0, "pass")
    assert check["head"] < 0.9
    assert "it is the same model" in net.notes


def test_a_model_that_a_lenient_judge_hides_is_found_worse(net: Net) -> None:
    net.put(judge_txt="10", limit_txt="600")
    net.review("a worse model and another judge", code=1)
    assert net.again() == answers(0, 1000, 500, 10)
    assert net.kept("report.json")["verdict"] == "fail"


def test_old_code_loads_the_old_model_where_test_set_judge_and_architecture_change_together(net: Net) -> None:
    net.put(src__net_py=NET.format(shape="2"), judge_txt="10", limit_txt="502", data__test_csv=rows(200, 1200, 500))
    net.review("all at once")
    assert net.again() == answers(200, 1200, 500, 10)
    assert net.state == "evaluation-changed"
    assert "src/net.py changed: the training reads that too" in net.notes


def test_shared_code_alone_is_the_models_and_measures_nothing_anew(net: Net) -> None:
    net.put(src__net_py=NET.format(shape="2"), limit_txt="501")
    net.review("architecture")
    assert (net.again(), net.state) == (None, "ok")
    assert "src/net.py changed: the training reads that too" in net.notes


def test_a_monorepo_folder_and_a_new_command(tmp_path: Path) -> None:
    net = make(tmp_path, inside="models/net")
    net.review("main")
    net.git("switch", "-q", "-c", "branch")
    net.put(score_py=EVALUATE.replace("judge.txt", "levels/judge.txt"), levels__judge_txt="20", limit_txt="502")
    (net.folder / "evaluate.py").unlink()
    net.put(mlops_yaml=CONFIG.replace("evaluate.py", "score.py").replace("judge.txt", "levels/"))
    net.review("another evaluation")
    assert net.again() == answers(0, 1000, 500, 20)
    assert "the command changed" in net.notes


ABSOLUTE = EVALUATE.replace('os.path.join(os.environ["MLOPS_MODEL"], "weights.json")', "{place!r}")


def test_an_evaluation_that_reads_the_new_model_wherever_it_runs_is_found_out(net: Net) -> None:
    net.put(evaluate_py=ABSOLUTE.format(place=str(net.folder / "model/weights.json")), judge_txt="10", limit_txt="600")
    said = net.review("a path of its own", code=3)
    assert net.again() is None
    assert "it read model/weights.json of this checkout" in said
    report = net.kept("report.json")
    assert (report["baseline"]["state"], report["verdict"]) == ("evaluation-changed", "inconclusive")
    assert "was not evaluated again" in net.notes


def test_an_evaluation_that_imports_the_new_code_wherever_it_runs_is_found_out(net: Net) -> None:
    net.put(evaluate_py=EVALUATE.replace('"src"', repr(str(net.folder / "src"))), judge_txt="10", limit_txt="502")
    said = net.review("imports from here")
    assert "with its own commit's code: it read src/net.py of this checkout" in said
    assert net.again() == answers(0, 1000, 500, 10), "the very same code, so the old model may be asked by it"
    assert "with this commit's code" in net.notes


def test_where_nobody_can_watch_nothing_is_claimed(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on another system, or a file server: the answers differ from the known ones, so nothing shows whose they are."""
    from contextlib import contextmanager

    from mlops_toolkit import cli

    @contextmanager
    def blind(folders: object) -> Any:
        yield Opened(_seen=None)

    monkeypatch.setattr(witness, "watching", blind)
    net.put(judge_txt="60", limit_txt="501")
    net.commit("another judge")
    for name, value in net.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(net.root)
    assert cli.main(["review"]) == 3, "undecided, and it may be worse: somebody has to say yes"
    assert net.again() is None
    assert net.kept("report.json")["verdict"] == "inconclusive"
    assert "nothing shows that the old model answered: what was read could not be watched" in net.notes


SUITES = (
    CONFIG.split("evaluate:")[0]
    + f"""\
evaluate:
  suites:
    quality: {{run: {PYTHON} evaluate.py, data: [data/test.csv], inputs: [evaluate.py, judge.txt], task: classification, metrics: [accuracy]}}
    safety: {{run: {PYTHON} other.py, data: [data/test.csv], inputs: [other.py, other.txt], task: classification, metrics: [accuracy]}}
"""
)


def test_of_several_suites_only_the_changed_one_is_measured_again(tmp_path: Path) -> None:
    net = make(tmp_path, config=SUITES)
    net.put(other_py=EVALUATE.replace("judge.txt", "other.txt"), other_txt="0")
    net.review("main")
    net.git("switch", "-q", "-c", "branch")
    net.put(
        other_txt="30", limit_txt="501", mlops_yaml=SUITES + "    new: {run: cp data/made.csv $MLOPS_PREDICTIONS, metrics: [accuracy]}\n"
    )
    net.put(data__made_csv="id,target,prediction\n" + "".join(f"{i},a,a\n" for i in range(200)))
    net.review("another judge of safety, and a new suite")
    assert (net.again("quality"), net.again("new")) == (None, None)
    assert net.again("safety") == answers(0, 1000, 500, 30)
    assert "the evaluation safety changed (other.txt changed)" in net.notes


def test_a_renamed_suite_has_no_baseline_and_says_so(tmp_path: Path) -> None:
    net = make(tmp_path, config=SUITES)
    net.put(other_py=EVALUATE.replace("judge.txt", "other.txt"), other_txt="0")
    net.review("main")
    net.git("switch", "-q", "-c", "branch")
    net.put(mlops_yaml=SUITES.replace("safety:", "harm:"), limit_txt="501")
    net.review("renamed")
    assert net.state == "ok"
    assert {c["metric"]: c["baseline"] is None for c in net.kept("report.json")["checks"]} == {
        "quality/accuracy": False,
        "harm/accuracy": True,
    }


def test_where_the_evaluation_is_the_model_its_change_is_what_is_judged(tmp_path: Path) -> None:
    """No training, no stored model: a prompt is what the pull request is about, and must not be laid over the old one."""
    config = CONFIG.replace(CONFIG.split("\n")[1] + "\n", "")
    net = make(tmp_path, config=config)
    net.put(evaluate_py=EVALUATE.replace('net.load(os.path.join(os.environ["MLOPS_MODEL"], "weights.json"))', "500"))
    net.review("main")
    net.git("switch", "-q", "-c", "branch")
    net.put(judge_txt="60")
    net.review("a prompt that misses most", code=1)
    assert (net.again(), net.state) == (None, "evaluation-changed")
    assert net.kept("report.json")["verdict"] == "fail"


def test_other_texts_under_the_same_ids_are_asked_again(net: Net) -> None:
    texts = "id,target,value\n" + "".join(f"e{i},{'yes' if i >= 500 else 'no'},{(i + 30) % 1000}\n" for i in range(1000))
    net.put(data__test_csv=texts, limit_txt="501")
    net.review("texts")
    assert net.state == "data-changed"
    assert net.again() == {f"e{i}": "yes" if (i + 30) % 1000 >= 500 else "no" for i in range(1000)}


def test_an_equal_evaluation_does_not_skip_the_baseline_when_that_is_another_one(net: Net) -> None:
    net.put(judge_txt="10", limit_txt="502")
    net.review("another judge")
    net.git("switch", "-q", "main")
    net.put(limit_txt="505")
    net.review("main moved on")
    base = net.kept("run.json")["id"]
    net.git("switch", "-q", "branch")
    net.git("merge", "-q", "--no-edit", "-X", "ours", "main")
    net.put(limit_txt="502")
    said = net.review("merged")
    assert "nothing to evaluate" in said
    assert net.again() == answers(0, 1000, 505, 10)
    assert net.kept("run.json")["evaluations"][""]["baseline_run"] == base


def test_a_checkout_of_one_commit_has_the_old_code_from_the_remote(net: Net, tmp_path: Path) -> None:
    remote, clone = tmp_path / "remote.git", tmp_path / "clone"
    net.git("clone", "-q", "--bare", str(net.root), str(remote))
    subprocess.run(["git", "-C", remote, "config", "uploadpack.allowAnySHA1InWant", "true"], check=True)
    net.put(src__net_py=NET.format(shape="2"), judge_txt="10", limit_txt="502")
    net.commit("all at once")
    net.git("push", "-q", remote.as_uri(), "HEAD:refs/heads/branch")
    net.git("clone", "-q", "--depth=1", "-b", "branch", remote.as_uri(), str(clone))
    net.git("-C", str(clone), "fetch", "-q", "--depth=1", "origin", "main:refs/remotes/origin/main")
    subprocess.run(["cp", "-r", net.root / ".mlops", clone / ".mlops"], check=True)
    (clone / ".mlops" / "run.json").unlink()
    other = Net(clone, net.env)
    other.mlops("train")
    first, second = (p for p in sorted(Path(net.env["XDG_DATA_HOME"]).glob("mlops/models/*"), key=lambda p: p.stat().st_ctime_ns))
    subprocess.run(["cp", "-r", *first.glob("sha256/*"), second / "sha256"], check=True)
    said = other.mlops("evaluate").stderr
    assert other.again() == answers(0, 1000, 500, 10), said


def test_a_judge_behind_a_link_is_the_new_one_for_both_models(tmp_path: Path) -> None:
    net = make(tmp_path)
    net.put(common__rules_txt="0")
    (net.root / "judge.txt").unlink()
    (net.root / "judge.txt").symlink_to("common/rules.txt")
    net.review("main")
    net.git("switch", "-q", "-c", "branch")
    net.put(common__rules_txt="30", limit_txt="600")
    net.review("a stricter judge and a worse model", code=1)
    assert net.again() == answers(0, 1000, 500, 30)
    assert "judge.txt changed" in net.notes


RESTLESS = EVALUATE.replace('os.path.join(os.environ["MLOPS_MODEL"], "weights.json")', 'os.environ["SERVED"]')
RESTLESS = RESTLESS.replace(">= limit and", ">= limit and random.random() > 0.02 and").replace("import csv,", "import random, csv,")


def test_a_server_that_answers_otherwise_each_time_does_not_answer_for_the_old_model(tmp_path: Path) -> None:
    """On other examples none of its answers is known, and chance makes them differ from the new model's."""
    net = make(tmp_path)
    net.env["SERVED"] = str(tmp_path / "served.json")
    net.put(evaluate_py=RESTLESS, train_py=f'{TRAIN}import shutil\nshutil.copy("model/weights.json", os.environ["SERVED"])\n')
    net.review("main")
    net.git("switch", "-q", "-c", "branch")
    net.put(data__test_csv=rows(1000, 2000, 1500), limit_txt="1900")
    net.review("other examples and a worse model", code=None)
    assert net.again() is None
    assert net.kept("report.json")["verdict"] == "inconclusive"
