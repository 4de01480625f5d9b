"""Whatever was found, the proposed mlops.yaml can be read, says it, and says how to go on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_toolkit.config.quantities import Margin
from mlops_toolkit.config.read import parse
from mlops_toolkit.config.schema import Config
from mlops_toolkit.init.facts import Facts, Found
from mlops_toolkit.init.propose import configuration
from mlops_toolkit.init.workflow import workflow


def read(text: str) -> Config:
    return parse(text, where="mlops.yaml", path=Path("/r/mlops.yaml"), root=Path("/r")).config


FOUND = Facts(
    train=Found("python train.py", "train.py"),
    output=Found("model/", "train.py"),
    evaluate=Found("python evaluate.py", "evaluate.py"),
    params="params.yaml",
    train_data=("data/train.csv",),
    evaluate_data=("data/test.csv",),
    task="classification",
    slice_columns=("language",),
)


def test_what_was_found_stands_there() -> None:
    config = read(configuration("spam-filter", FOUND))
    assert config.name == "spam-filter"
    assert config.train is not None
    assert config.evaluate is not None
    assert (config.train.run, config.train.output, config.train.params) == ("python train.py", "model/", "params.yaml")
    assert [m.name for m in config.evaluate.metrics] == ["accuracy", "f1-macro"]
    assert config.evaluate.data == ("data/test.csv",)
    assert config.evaluate.slices[0].column == "language"
    assert config.gate == {}


def test_what_was_not_found_is_a_comment_that_becomes_right_by_removing_the_hash() -> None:
    text = configuration("m", Facts())
    assert read(text) == Config("m")
    lines = text.split("\n")
    sections = [
        line.removeprefix("# ")
        for line in lines
        if line.startswith(
            ("# train:", "# evaluate:", "# gate:", "#   run", "#   output", "#   task", "#   metrics", "#   accuracy", "#   f1-macro")
        )
    ]
    config = read("name: m\n" + "\n".join(sections))
    assert config.train is not None
    assert config.evaluate is not None
    assert config.gate["accuracy"].max_drop == Margin("1pp", 0.01)


def test_the_margins_of_an_earlier_result_are_taken_as_they_are() -> None:
    config = read(configuration("m", FOUND, gate="gate:\n  accuracy: {max-drop: 1.5pp}\n", metrics=["accuracy", "recall:spam"]))
    assert config.gate["accuracy"].max_drop == Margin("1.5pp", 0.015)
    assert config.evaluate is not None
    assert [m.name for m in config.evaluate.metrics] == ["accuracy", "recall:spam"]


def test_numbers_without_predictions_are_gated_by_their_own_names() -> None:
    text = configuration(
        "m",
        Facts(evaluate=Found("e", "dvc.yaml"), metrics_file=Found("metrics.json", "dvc.yaml"), metric_names=("acc", "val/loss", "widgets")),
    )
    assert "#   acc: {max-drop: 2%}\n#   val/loss: {max-rise: 2%}\n" in text
    assert "widgets" not in text
    config = read(text)
    assert config.evaluate is not None
    assert config.evaluate.metrics_file == "metrics.json"


WORDS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn", "Co", "Cf", "Zl", "Zp", "Zs"]), min_size=1, max_size=12
) | st.sampled_from(["no", "a: b", "# x", "[a", "'", '"', "${{ x }}", "*a", "1", "null", "a,b", "{x}"])
FOUNDS = st.none() | st.builds(Found, WORDS, WORDS)


@settings(deadline=None, max_examples=150)
@given(
    st.builds(
        Facts,
        train=FOUNDS,
        evaluate=FOUNDS,
        metric_names=st.lists(WORDS, max_size=3).map(tuple),
        task=st.sampled_from([None, "classification", "regression"]),
        slice_columns=st.lists(WORDS, max_size=3, unique=True).map(tuple),
        deep=st.booleans(),
    )
)
def test_every_proposal_can_be_read_and_means_what_was_found(facts: Facts) -> None:
    config = read(configuration("m", facts))
    assert (config.train.run if config.train else None) == (facts.train.value if facts.train else None)
    if facts.evaluate:
        assert config.evaluate is not None
        assert config.evaluate.run == facts.evaluate.value
        assert [s.column for s in config.evaluate.slices] == list(facts.slice_columns)


@pytest.mark.parametrize("config", ["mlops.yaml", "models/spam filter/mlops.yaml"])
def test_the_workflow_keeps_write_permissions_away_from_the_users_code(config: str) -> None:
    document = yaml.safe_load(workflow(config=config, branch="main", install=("pip install x",)))
    assert document["permissions"] == {}
    train, model = document["jobs"]["train"], document["jobs"]["model"]
    assert train["permissions"] == {"contents": "read"}
    assert set(model["permissions"].values()) == {"write"}
    assert not any("run" in step for step in model["steps"])
    ours = [step for job in (train, model) for step in job["steps"] if step.get("uses", "").startswith("org/")]
    assert [step["uses"] for step in ours] == [
        "org/mlops-actions/train@v1",
        "org/mlops-actions/evaluate@v1",
        "org/mlops-actions/compare-to-main@v1",
        "org/mlops-actions/report@v1",
    ]
    assert [step.get("with", {}).get("config", "mlops.yaml") for step in ours] == [config] * 4
    handed, taken = (next(s for s in job["steps"] if "artifact@" in s.get("uses", "")) for job in (train, model))
    folder = taken["with"]["path"]
    assert handed["with"]["path"] == f"{folder}/run.json\n{folder}/runs/\n"
    assert handed["with"]["name"] == taken["with"]["name"]


def test_actions_of_others_are_pinned_by_full_sha() -> None:
    uses = re.findall(r"^ +uses: (\S+)", workflow(), flags=re.M)
    assert len(uses) == 9
    assert all(re.search(r"@[0-9a-f]{40}$", name) for name in uses if not name.startswith("org/mlops-actions/"))


def test_what_init_writes_is_the_template_with_this_repository_s_names() -> None:
    """Steps, rights, conditions and artifacts are those of workflows-templates/pull-request.yml; only names and the installing step differ."""
    template = Path(__file__).parents[3] / "workflows-templates" / "pull-request.yml"
    ours, theirs = yaml.safe_load(workflow()), yaml.safe_load(template.read_text())
    for document in (ours, theirs):
        for job in document["jobs"].values():
            del job["name"]
            job["steps"] = [{key: value for key, value in step.items() if key != "name"} for step in job["steps"] if "run" not in step]
    assert ours == theirs
