"""Boosted trees for the progress of a disease, with the parameters of params.json."""

from __future__ import annotations

import json
from pathlib import Path

from catboost import CatBoost, Pool

settings = json.loads(Path("params.json").read_text(encoding="utf-8"))
model = CatBoost({**settings, "random_seed": 0, "allow_writing_files": False, "verbose": 100})
model.fit(Pool("data/train.tsv", column_description="data/columns.cd"))
Path("model").mkdir(exist_ok=True)
model.save_model("model/disease.cbm")
