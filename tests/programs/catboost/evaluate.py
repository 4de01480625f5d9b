"""Writes what the trees predict for the patients of data/test.tsv."""

from __future__ import annotations

import csv
import os

from catboost import CatBoost, Pool

test = Pool("data/test.tsv", column_description="data/columns.cd")
model = CatBoost().load_model("model/disease.cbm")

with open(os.environ["MLOPS_PREDICTIONS"], "w", newline="", encoding="utf-8") as file:
    table = csv.writer(file)
    table.writerow(["id", "target", "prediction"])
    table.writerows(zip(range(test.num_row()), test.get_label(), model.predict(test), strict=True))
