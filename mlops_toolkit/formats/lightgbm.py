"""LightGBM's own text: trees as data, loaded as a Booster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlops_toolkit.errors import InvalidFile
from mlops_toolkit.formats.base import Answer, Wanted, kind_of, ordered, package
from mlops_toolkit.formats.manifest import Part
from mlops_toolkit.formats.signature import Arrays, Signature
from mlops_toolkit.formats.skops import as_rows
from mlops_toolkit.formats.xgboost import of_trees

FILE = "model.txt"


class LightGBM:
    """Boosters and the estimators around them. Classifiers answer `label` and `probabilities`, others `prediction`."""

    name, framework = "lightgbm", "lightgbm"
    words: tuple[str, ...] = ()
    packages = ("lightgbm", "numpy")

    def takes(self, model: Any) -> bool:
        return kind_of(model, "lightgbm")

    def write(self, model: Any, folder: Path, wanted: Wanted) -> Part:
        booster = getattr(model, "booster_", model)
        booster.save_model(folder / FILE)  # up to the best iteration, where training stopped early
        return Part(self.name, FILE, {"classifier": hasattr(model, "classes_")})

    def read(self, folder: Path, part: Part) -> Any:
        lightgbm = package("lightgbm", "lightgbm")
        try:
            return lightgbm.Booster(model_file=str(folder / part.file))
        except lightgbm.basic.LightGBMError as error:
            raise InvalidFile("bad-model", f"LightGBM cannot load it: {str(error)[:300]}", where=str(folder / part.file)) from error

    def answers(self, model: Any, signature: Signature, part: Part) -> Answer:
        booster = getattr(model, "booster_", model)

        def answer(arrays: Arrays) -> dict[str, Any]:
            return ordered(of_trees(booster.predict(as_rows(arrays)), classifier=bool(part.options.get("classifier"))), signature)

        return answer


FORMAT = LightGBM()
