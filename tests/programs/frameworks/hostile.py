"""Try to save what carries code of its own; print the name of each refusal.

python hostile.py KIND…
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

import mlops_toolkit as mlops
from mlops_toolkit.errors import MlopsError

X = np.ones((4, 3), np.float32)


def sklearn() -> Any:
    from sklearn.dummy import DummyClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    return make_pipeline(FunctionTransformer(np.negative), FunctionTransformer(tripled), DummyClassifier()).fit(X, [0, 1, 0, 1])


def tripled(x: Any) -> Any:
    return 3 * x


def torch() -> Any:
    import torch as t

    class Undecided(t.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.out = t.nn.Linear(3, 2)

        def forward(self, x: Any) -> Any:  # a branch on a value: no graph of it holds both ways, and nothing says how to build it
            return self.out(x) if float(x.sum()) > 0 else -self.out(x)

    return Undecided()


def keras() -> Any:
    import keras as k

    return k.Sequential([k.Input((3,)), k.layers.Lambda(lambda x: x * 2), k.layers.Dense(2)])


def keras_of_torch() -> Any:
    """A module of torch in a layer of Keras: its file holds a pickle."""
    import keras as k
    import torch as t

    return k.Sequential([k.Input((3,)), k.layers.TorchModuleWrapper(t.nn.Linear(3, 2))])


def tensorflow() -> Any:
    import tensorflow as tf

    class Writing(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, name="input")])
        def __call__(self, input: Any) -> Any:  # noqa: A002
            tf.io.write_file("written", "x")
            return {"scores": input}

    return Writing()


def said(kind: str) -> dict[str, str | None]:
    try:
        mlops.save(globals()[kind](), Path("model"), example={"input": X} if kind == "tensorflow" else X)
    except MlopsError as error:
        return {"kind": kind, "error": error.name, "message": str(error)}
    return {"kind": kind, "error": None}


for name in sys.argv[1:]:
    print(json.dumps(said(name)))
