"""What is found in a repository, and what is left alone."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_toolkit.init.facts import Facts, Found, look


def facts(files: Mapping[str, str], **more: object) -> Facts:
    return look(list(files), lambda name: files.get(name, ""), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("files", "command"),
    [
        ({"train.py": ""}, "python train.py"),
        ({"src/train.py": "", "train_model.py": ""}, "python train_model.py"),
        ({"src/pkg/training.py": ""}, "python src/pkg/training.py"),
        ({"scripts/run_train.sh": ""}, "bash scripts/run_train.sh"),
        ({"fit.R": ""}, "Rscript fit.R"),
        ({"my code/train.py": ""}, "python 'my code/train.py'"),
        ({"train.py": "", "uv.lock": ""}, "uv run python train.py"),
        ({"train.py": "", "poetry.lock": ""}, "poetry run python train.py"),
        ({"Makefile": "all: train\ntrain: data\n\tpython x.py\n"}, "make train"),
        ({"dvc.yaml": "stages:\n  prepare: {cmd: p}\n  train: {cmd: python -m pkg.fit}\n", "train.py": ""}, "python -m pkg.fit"),
    ],
)
def test_the_training_command_is_found(files: dict[str, str], command: str) -> None:
    found = facts(files).train
    assert found is not None
    assert found.value == command


@pytest.mark.parametrize(
    "files",
    [
        {"tests/train.py": ""},
        {"docs/train.py": ""},
        {"constraint.py": "", "retrain_notes.md": "", "trainer.pyc": ""},
        {".venv/lib/train.py": ""},
        {"Makefile": "train := yes\n"},
        {"dvc.yaml": "stages:\n  train: {cmd: 'python ${script}'}\n"},
        {"dvc.yaml": "stages: [a\n"},
        {"dvc.yaml": "stages: x\n"},
        {},
    ],
)
def test_what_does_not_train_is_not_taken_for_it(files: dict[str, str]) -> None:
    assert facts(files).train is None


@pytest.mark.parametrize(
    ("code", "output"),
    [
        ("joblib.dump(model, 'model/model.joblib')", "model/model.joblib"),
        ('torch.save(net.state_dict(), "out/net.pt")', "out/net.pt"),
        ("model.save_pretrained('checkpoint/final')", "checkpoint/final"),
        ("booster.save_model('model.ubj')", "model.ubj"),
        ("with open('model.pkl', 'wb') as out:\n    pickle.dump(m, out)", "model.pkl"),
        ("parser.add_argument('--output-dir', type=str, default='runs/last')", "runs/last"),
        ("fig.save('plot.png'); joblib.dump(m, f'{folder}/m.pkl')", None),
        ("joblib.dump(m, '/abs/m.pkl'); joblib.dump(m, '../m.pkl')", None),
        ("np.savez_compressed('model/weights.npz', w=w)", "model/weights.npz"),
        ("print('no model')", None),
    ],
)
def test_the_model_is_found_where_the_script_saves_it(code: str, output: str | None) -> None:
    found = facts({"train.py": code}).output
    assert (found.value if found else None) == output


def test_a_dvc_pipeline_tells_everything() -> None:
    found = facts(
        {
            "dvc.yaml": "stages:\n  train:\n    cmd: python src/fit.py\n    outs: [data/features.csv, model.pkl]\n  evaluate:\n    cmd: python src/eval.py\n    metrics:\n      - eval/metrics.json: {cache: false}\n",
            "src/fit.py": "from sklearn.ensemble import RandomForestRegressor",
            "src/eval.py": "",
            "params.yaml": "",
        }
    )
    assert found.output == Found("model.pkl", "dvc.yaml")
    assert found.evaluate == Found("python src/eval.py", "dvc.yaml")
    assert found.metrics_file == Found("eval/metrics.json", "dvc.yaml")
    assert found.params == "params.yaml"
    assert found.task == "regression"


def test_predictions_are_found_with_the_columns_that_may_be_slices() -> None:
    found = facts({"out/predictions.csv": "id,target,prediction,prob:a,language,preview,country\n1,a,a,0.9,de,x,y\n"})
    assert found.predictions == Found("out/predictions.csv", "out/predictions.csv")
    assert found.slice_columns == ("language", "country")


def test_an_evaluation_that_knows_where_to_write_needs_no_path() -> None:
    found = facts({"evaluate.py": "df.to_csv(os.environ['MLOPS_PREDICTIONS'])", "out/predictions.csv": "id\n"})
    assert found.predictions is None
    assert found.writes


def test_modules_of_the_repository_that_a_script_imports_are_looked_into() -> None:
    files = {
        "src/train.py": "import os\nfrom net import make\nimport pkg.data\n",
        "src/net.py": "SVC()",
        "pkg/data.py": "accuracy_score",
        "other.py": "LinearRegression",
    }
    assert facts(files).task == "classification"


def test_numbers_alone_are_found_too() -> None:
    found = facts(
        {
            "evaluate.py": "json.dump(m, open('out/metrics.json', 'w'))",
            "out/metrics.json": '{"metrics": {"acc": 0.9, "val": {"loss": 1, "ok": true}}}',
        }
    )
    assert found.metrics_file == Found("out/metrics.json", "evaluate.py")
    assert found.metric_names == ("acc", "val/loss")


@pytest.mark.parametrize(
    ("code", "task"),
    [
        ("LogisticRegression()", "classification"),
        ("RandomForestClassifier", "classification"),
        ("LinearRegression; mean_squared_error", "regression"),
        ("XGBRegressor", "regression"),
        ("accuracy_score; mean_squared_error", None),
        ("", None),
    ],
)
def test_the_task_is_told_only_where_the_scripts_agree(code: str, task: str | None) -> None:
    assert facts({"train.py": code}).task == task


def test_data_is_found_by_what_it_is_called() -> None:
    found = facts(
        {"data/train.csv": "", "data/raw/test/a.png": "", "data/raw/test/b.png": "", "data/val.parquet.dvc": "", "data/latest.csv": ""}
    )
    assert found.train_data == ("data/train.csv",)
    assert found.evaluate_data == ("data/val.parquet", "data/raw/test/")


def test_the_environment_is_made_as_the_repository_says() -> None:
    assert facts({"requirements.txt": ""}).install[1] == '"$RUNNER_TEMP/environment/bin/pip" install -r requirements.txt'
    assert facts({"pyproject.toml": ""}).install[1] == '"$RUNNER_TEMP/environment/bin/pip" install ./'
    assert facts({"uv.lock": "", "pyproject.toml": ""}).install[-1] == '"$RUNNER_TEMP/uv/bin/uv" sync --frozen'
    assert facts({"requirements.txt": ""}, folder="models/a").install[1].endswith("install -r models/a/requirements.txt")
    assert facts({"train.py": ""}, folder="models/a", above=["uv.lock"]).install[-1] == '"$RUNNER_TEMP/uv/bin/uv" sync --frozen'
    assert facts({}).install == ()


def test_a_deep_learning_script_asks_for_a_gpu() -> None:
    assert facts({"train.py": "import torch\n"}).deep
    assert not facts({"train.py": "# import torch is not needed\nimport numpy\n"}).deep


@settings(deadline=None, max_examples=80)
@given(
    st.dictionaries(
        st.sampled_from(
            [
                "train.py",
                "evaluate.py",
                "dvc.yaml",
                "metrics.json",
                "predictions.csv",
                "predictions.jsonl",
                "params.yaml",
                "Makefile",
                "a\nb/train.py",
                "'/train.py",
                "data/test\x1b.csv",
            ]
        ),
        st.one_of(
            st.text(max_size=60),
            st.sampled_from(
                [
                    "stages:\n  train: [x]\n",
                    "stages: {train: {cmd: {a: b}, outs: 3}}",
                    '{"a": NaN, "b": 1e999}',
                    "[" * 500,
                    "{",
                    "id,\x00\n",
                    "joblib.dump(m, 'a\x1bb.pkl')",
                ]
            ),
        ),
    )
)
def test_no_repository_is_too_strange(files: dict[str, str]) -> None:
    assert isinstance(facts(files), Facts)
