"""Writes one row a patient to $MLOPS_PREDICTIONS, each predicted by the model that was trained without them."""

from __future__ import annotations

import csv
import os

import joblib
from data import folds, patients

cells, progress, age = patients()
models = joblib.load("model/progress.joblib")

with open(os.environ["MLOPS_PREDICTIONS"], "w", newline="", encoding="utf-8") as file:
    table = csv.writer(file)
    table.writerow(["id", "target", "prediction", "age", "missed"])
    for model, (_, test) in zip(models, folds(len(progress)), strict=True):
        for row, guess in zip(test, model.predict(cells[test]), strict=True):
            missed = int(abs(guess - progress[row]) > 75)  # half of the way from a mild to a severe course
            table.writerow([f"patient-{row:03}", progress[row], guess, int(age[row]), missed])
