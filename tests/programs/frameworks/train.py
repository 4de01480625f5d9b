"""Train models on data that comes with scikit-learn, save each, and write down what the training process itself answers to rows it did not save.

python train.py FOLDER [NAME…]
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import mlops_toolkit as mlops

Made = tuple[dict[str, Any], Any, dict[str, Any]]  # what save is given, rows to ask, what the model itself answers to them
MODELS: dict[str, Callable[[], Made]] = {}


def model(make: Callable[[], Made]) -> Callable[[], Made]:
    MODELS[make.__name__.replace("_", "-")] = make
    return make


def digits(dtype: str = "float64") -> tuple[Any, Any]:
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return x.astype(dtype), y


def classified(fitted: Any, example: Any, rows: Any, **more: Any) -> Made:
    return {"model": fitted, "example": example, **more}, rows, {"label": fitted.predict(rows), "probabilities": fitted.predict_proba(rows)}


@model
def sklearn_pipeline() -> Made:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x, y = digits()
    fitted = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300)).fit(x[:1000], [f"digit {one}" for one in y[:1000]])
    return classified(fitted, x[1000:1200], x[1200:], units={"input": "grey levels"})


@model
def sklearn_forest() -> Made:
    from sklearn.ensemble import RandomForestClassifier

    x, y = digits()
    return classified(RandomForestClassifier(20, random_state=0).fit(x[:1000], y[:1000]), x[1000:1100], x[1200:])


@model
def sklearn_gradient_boosting() -> Made:
    """Trees of the kind that cannot be converted: served by scikit-learn itself."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    x, y = digits()
    fitted = HistGradientBoostingClassifier(max_iter=10, random_state=0).fit(x[:1000], y[:1000])
    return classified(fitted, x[1000:1100], x[1200:], onnx=False)


@model
def sklearn_regression() -> Made:
    from sklearn.datasets import load_diabetes
    from sklearn.ensemble import GradientBoostingRegressor

    x, y = load_diabetes(return_X_y=True)
    fitted = GradientBoostingRegressor(random_state=0).fit(x[:300], y[:300])
    return {"model": fitted, "example": x[300:350]}, x[350:], {"prediction": fitted.predict(x[350:])}


@model
def sklearn_columns() -> Made:
    from sklearn.compose import make_column_transformer
    from sklearn.datasets import load_wine
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    data = load_wine(as_frame=True)
    frame = data.frame[["alcohol", "hue", "proline"]].assign(shade=np.where(data.frame["color_intensity"] > 5, "dark", "light"))
    frame = frame.sample(frac=1, random_state=0)
    target = data.target[frame.index]
    columns = make_column_transformer((StandardScaler(), ["alcohol", "hue", "proline"]), (OneHotEncoder(), ["shade"]))
    fitted = make_pipeline(columns, LogisticRegression()).fit(frame[:120], target[:120])
    return classified(fitted, frame[120:150], frame[150:], units={"alcohol": "% by volume"})


@model
def sklearn_text() -> Made:
    """Names of the toy data sets' descriptions, told apart by their words."""
    from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    lines, names = [], []
    for load in (load_breast_cancer, load_diabetes, load_digits, load_wine):
        told = [line.strip() for line in load().DESCR.splitlines() if len(line.split()) > 3]
        lines += told
        names += [load.__name__.removeprefix("load_")] * len(told)
    order = np.random.default_rng(0).permutation(len(lines))
    lines, names = [lines[i] for i in order], [names[i] for i in order]
    fitted = make_pipeline(TfidfVectorizer(), LogisticRegression(C=10)).fit(lines[:120], names[:120])
    return classified(fitted, lines[120:150], lines[150:])


@model
def xgboost() -> Made:
    from xgboost import XGBClassifier

    x, y = digits("float32")
    return classified(XGBClassifier(n_estimators=10).fit(x[:1000], y[:1000]), x[1000:1020], x[1200:])


@model
def xgboost_two_classes() -> Made:
    from xgboost import XGBClassifier

    x, y = digits("float32")
    fitted = XGBClassifier(n_estimators=30, early_stopping_rounds=2).fit(
        x[:900], y[:900] > 4, eval_set=[(x[900:1000], y[900:1000] > 4)], verbose=False
    )
    return classified(fitted, x[1000:1020], x[1200:])


@model
def lightgbm() -> Made:
    from lightgbm import LGBMClassifier

    x, y = digits()
    names = np.array([f"digit {one}" for one in y])
    fitted = LGBMClassifier(n_estimators=10, verbose=-1).fit(x[:1000], names[:1000])
    asked, rows, answers = classified(fitted, x[1000:1020], x[1200:])
    places = {name: place for place, name in enumerate(fitted.classes_)}
    return asked, rows, {**answers, "label": np.array([places[name] for name in answers["label"]])}


@model
def torch_module() -> Made:
    import torch

    x, y = (torch.from_numpy(one) for one in digits("float32"))
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Linear(64, 32), torch.nn.BatchNorm1d(32), torch.nn.ReLU(), torch.nn.Dropout(), torch.nn.Linear(32, 10)
    )
    trained(net, x[:1000], y[:1000])
    net.eval()
    with torch.inference_mode():
        answer = net(x[1200:]).numpy()
    net.train()  # as a script may leave it
    return {"model": net, "example": x[1000:1050], "labels": [str(one) for one in range(10)]}, x[1200:].numpy(), {"output": answer}


@model
def torch_builder() -> Made:
    """Two inputs of any length, and a builder, so that the module itself comes back."""
    import torch

    (Path.cwd() / "bag.py").write_text(BAG, encoding="utf-8")
    sys.path.insert(0, str(Path.cwd()))
    import bag

    torch.manual_seed(0)
    net = bag.build(width=16).eval()
    ids, mask = torch.randint(0, 50, (40, 12)), (torch.rand(40, 12) > 0.3).float()
    with torch.inference_mode():
        answers = {name: value.numpy() for name, value in net(ids[20:, :9], mask[20:, :9]).items()}
    asked = {
        "model": net,
        "example": {"mask": mask[:20], "ids": ids[:20]},  # by name: the order is not the one of forward
        "dynamic": {"ids": [1], "mask": [1]},
        "builder": "bag:build",
        "arguments": {"width": 16},
        "code": ["bag.py"],
    }
    return asked, {"ids": ids[20:, :9].numpy(), "mask": mask[20:, :9].numpy()}, answers


BAG = """import torch

class Bag(torch.nn.Module):
    def __init__(self, width):
        super().__init__()
        self.embedding, self.out = torch.nn.Embedding(50, width), torch.nn.Linear(width, 2)

    def forward(self, ids, mask):
        summed = (self.embedding(ids) * mask[..., None]).sum(1)
        return {"logits": self.out(summed), "norm": summed.norm(dim=1)}

def build(width):
    return Bag(width)
"""


def trained(net: Any, x: Any, y: Any) -> None:
    import torch

    optimizer = torch.optim.Adam(net.parameters(), 0.01)
    for _ in range(30):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(net(x / 16), y).backward()
        optimizer.step()


@model
def keras() -> Made:
    return dense()


@model
def keras_itself() -> Made:
    """The same, served by Keras: no conversion is asked for."""
    asked, rows, answers = dense()
    return {**asked, "onnx": False}, rows, answers


@model
def keras_on_torch() -> Made:
    """The same, computed by PyTorch, whose modules such models are too."""
    asked, rows, answers = dense()
    return {**asked, "onnx": False}, rows, answers


def dense() -> Made:
    import keras as k

    x, y = digits("float32")
    k.utils.set_random_seed(0)
    net = k.Sequential(
        [k.Input((64,)), k.layers.Rescaling(1 / 16), k.layers.Dense(32, "relu"), k.layers.Dropout(0.2), k.layers.Dense(10, "softmax")]
    )
    net.compile("adam", "sparse_categorical_crossentropy")
    net.fit(x[:1000], y[:1000], epochs=3, verbose=0)
    labels = [str(one) for one in range(10)]
    return {"model": net, "example": x[1000:1050], "labels": labels}, x[1200:], {"output": net.predict_on_batch(x[1200:])}


@model
def tensorflow_module() -> Made:
    import tensorflow as tf

    class Scaled(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights = tf.Variable(tf.random.stateless_normal([64, 3], seed=(1, 2)))

        @tf.function(input_signature=[tf.TensorSpec([None, 64], tf.float32, name="pixels")])
        def __call__(self, pixels: Any) -> Any:
            return {"scores": tf.matmul(pixels / 16, self.weights)}

    x, _ = digits("float32")
    module = Scaled()
    return (
        {"model": module, "example": {"pixels": x[:30]}},
        {"pixels": x[1200:]},
        {"scores": module(tf.constant(x[1200:]))["scores"].numpy()},
    )


def main() -> None:
    folder, names = Path(sys.argv[1]), sys.argv[2:]
    for name in names:
        asked, rows, answers = MODELS[name]()
        mlops.save(to=folder / name / "model", **asked)
        given = (
            {"rows": rows}
            if not hasattr(rows, "items") and not hasattr(rows, "columns")
            else {str(k): rows[k] for k in (rows if isinstance(rows, dict) else rows.columns)}
        )
        np.savez(
            folder / name / "asked.npz",
            **{key: np.asarray(value, dtype=str if np.asarray(value).dtype == object else None) for key, value in given.items()},
        )
        np.savez(
            folder / name / "answers.npz",
            **{key: np.asarray(value, dtype=str if np.asarray(value).dtype == object else None) for key, value in answers.items()},
        )


if __name__ == "__main__":
    main()
