"""XGBoost's own UBJSON: trees as data. It is loaded as a Booster, so that serving needs no scikit-learn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlops_toolkit.errors import InvalidFile
from mlops_toolkit.formats.base import Answer, Wanted, kind_of, ordered, package
from mlops_toolkit.formats.manifest import Part
from mlops_toolkit.formats.signature import Arrays, Signature
from mlops_toolkit.formats.skops import as_rows

FILE = "model.ubj"


class XGBoost:
    """Boosters and the estimators around them. Classifiers answer `label` and `probabilities`, others `prediction`."""

    name, framework = "xgboost", "xgboost"
    words: tuple[str, ...] = ()
    packages = ("xgboost", "numpy")

    def takes(self, model: Any) -> bool:
        return kind_of(model, "xgboost")

    def write(self, model: Any, folder: Path, wanted: Wanted) -> Part:
        booster = model.get_booster() if hasattr(model, "get_booster") else model
        booster.save_model(folder / FILE)
        classifier = hasattr(model, "classes_")
        best = getattr(model, "best_iteration", None) if hasattr(model, "get_booster") and booster.attr("best_iteration") else None
        options: dict[str, Any] = {"classifier": classifier}
        if best is not None:
            options["trees-until"] = int(best) + 1
        return Part(self.name, FILE, options)

    def read(self, folder: Path, part: Part) -> Any:
        xgboost = package("xgboost", "xgboost")
        booster = xgboost.Booster()
        try:
            booster.load_model(folder / part.file)
        except xgboost.core.XGBoostError as error:
            raise InvalidFile("bad-model", f"XGBoost cannot load it: {str(error)[:300]}", where=str(folder / part.file)) from error
        return booster

    def answers(self, model: Any, signature: Signature, part: Part) -> Answer:
        xgboost = package("xgboost", "xgboost")
        booster = model.get_booster() if hasattr(model, "get_booster") else model
        until = (0, int(part.options.get("trees-until", 0)))

        def answer(arrays: Arrays) -> dict[str, Any]:
            found = booster.predict(xgboost.DMatrix(as_rows(arrays)), iteration_range=until, validate_features=False)
            return ordered(of_trees(found, classifier=bool(part.options.get("classifier"))), signature)

        return answer


def of_trees(found: Any, *, classifier: bool) -> dict[str, Any]:
    """What boosted trees say: of a classifier one probability (two classes) or one a class, else numbers."""
    import numpy as np

    if not classifier:
        return {"prediction": found}
    probabilities = np.stack([1 - found, found], axis=1) if found.ndim == 1 else found
    return {"label": probabilities.argmax(axis=1).astype(np.int64), "probabilities": probabilities}


FORMAT = XGBoost()
