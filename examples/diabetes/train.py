"""Fits boosted trees once a fold and leaves the models in model/."""

from __future__ import annotations

from pathlib import Path

import joblib
from data import folds, params, patients
from sklearn.ensemble import GradientBoostingRegressor

settings = params()
cells, progress, _ = patients()
models = []
for train, _ in folds(len(progress)):
    model = GradientBoostingRegressor(
        n_estimators=settings["trees"],
        max_depth=settings["depth"],
        learning_rate=settings["learning-rate"],
        loss=settings["loss"],
        random_state=0,
    )
    models.append(model.fit(cells[train], progress[train]))

Path("model").mkdir(exist_ok=True)
joblib.dump(models, "model/progress.joblib")
print(f"{len(models)} models of {settings['trees']} trees")
