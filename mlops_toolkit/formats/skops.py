"""skops: scikit-learn's models as a zip of JSON and arrays; nothing but known types is ever made from it."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mlops_toolkit.errors import InvalidFile, UsageError
from mlops_toolkit.formats.base import Answer, Wanted, kind_of, ordered, package
from mlops_toolkit.formats.manifest import Part
from mlops_toolkit.formats.signature import Arrays, Signature

FILE = "model.skops"
# Types of scikit-learn that skops leaves to whoever loads them: they run no code, but their arrays hold places in one another, and one that
# points outside would read foreign memory. `_inside` looks at these before anything is predicted.
TREES = ("sklearn.tree._tree.Tree", "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor")


class Skops:
    """Estimators and pipelines of scikit-learn. Classifiers answer `label` and, where they have them, `probabilities`; others `prediction`."""

    name, framework = "skops", "scikit-learn"
    words: tuple[str, ...] = ()
    packages = ("skops", "scikit-learn", "numpy")

    def takes(self, model: Any) -> bool:
        return kind_of(model, "sklearn") and callable(getattr(model, "predict", None))

    def write(self, model: Any, folder: Path, wanted: Wanted) -> Part:
        io = package("skops", "skops.io")
        io.dump(model, folder / FILE)
        unknown = set(io.get_untrusted_types(file=folder / FILE)) - set(TREES)
        if unknown:
            raise UsageError(
                "executing-format",
                f"the model holds types of its own that only code can bring back: {', '.join(sorted(unknown)[:5])}",
                hint='keep them out of the pipeline, or write predict.py with a class Model: mlops.save("predict.py", FOLDER, example=x, files=[…])',
            )
        return Part(self.name, FILE)

    def read(self, folder: Path, part: Part) -> Any:
        io = package("skops", "skops.io")
        try:
            model = io.load(folder / part.file, trusted=[name for name in io.get_untrusted_types(file=folder / part.file) if name in TREES])
        except (zipfile.BadZipFile, KeyError, ValueError, TypeError, AttributeError) as error:
            raise InvalidFile("bad-model", f"skops cannot load it: {str(error)[:300]}", where=str(folder / part.file)) from error
        except io.exceptions.UntrustedTypesFoundException as error:
            raise InvalidFile("executing-format", f"it would run code: {str(error)[:300]}", where=str(folder / part.file)) from error
        for tree in _trees(model):
            if not _inside(tree):
                raise InvalidFile("bad-model", "a decision tree points outside of itself", where=str(folder / part.file))
        return model

    def answers(self, model: Any, signature: Signature, part: Part) -> Answer:
        proba = hasattr(model, "predict_proba")
        classifier = hasattr(model, "classes_")

        def answer(arrays: Arrays) -> dict[str, Any]:
            given = as_rows(arrays)
            found: dict[str, Any] = {"label" if classifier else "prediction": model.predict(given)}
            if proba:
                found["probabilities"] = model.predict_proba(given)
            return ordered(found, signature)

        return answer


def _trees(model: Any) -> Iterator[Any]:
    """Every tree that an estimator holds, wherever."""
    import numpy as np

    seen, waiting = set(), [model]
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, str | bytes | int | float | type(None)):
            continue
        seen.add(id(one))
        if f"{type(one).__module__}.{type(one).__qualname__}" in TREES:
            yield one
        elif isinstance(one, Mapping):
            waiting.extend(one.values())
        elif isinstance(one, list | tuple | set | frozenset) or (isinstance(one, np.ndarray) and one.dtype == object):
            waiting.extend(one.flat if isinstance(one, np.ndarray) else one)
        elif type(one).__module__.partition(".")[0] == "sklearn":
            waiting.extend(vars(one).values() if hasattr(one, "__dict__") else ())


def _inside(tree: Any) -> bool:
    """Whether every node's children are nodes after it, and its feature is one of the model's."""
    import numpy as np

    if hasattr(tree, "children_left"):
        left, right, feature, values = tree.children_left, tree.children_right, tree.feature, tree.value
        nodes, leaf, features = tree.node_count, left == -1, tree.n_features
        if len(values) < nodes:
            return False
    else:
        left, right, feature = (tree.nodes[name].astype(np.int64) for name in ("left", "right", "feature_idx"))
        nodes, leaf, features = len(tree.nodes), tree.nodes["is_leaf"].astype(bool), np.iinfo(np.int32).max
        if bool((tree.nodes["is_categorical"].astype(bool) & (tree.nodes["bitset_idx"] >= max(len(tree.raw_left_cat_bitsets), 1))).any()):
            return False
    inner, place = ~leaf, np.arange(nodes)
    good = (left > place) & (left < nodes) & (right > place) & (right < nodes) & (feature >= 0) & (feature < features)
    return bool(nodes > 0 and (good | ~inner).all())


def as_rows(arrays: Mapping[str, Any]) -> Any:
    """What an estimator is fitted on: one array, one list of texts, or a frame of the named columns."""
    if len(arrays) == 1:
        [(name, array)] = arrays.items()
        if array.ndim == 1 and array.dtype.kind in "OUS":
            return [str(text) for text in array]
        if array.ndim > 1 or name == "input":
            return array
    return package("pandas", "pandas").DataFrame({name: array.reshape(len(array)) for name, array in arrays.items()})


FORMAT = Skops()
