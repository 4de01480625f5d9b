"""Fits one kernel ridge classifier a fold and leaves them in model/: plain arrays, nothing that runs when it is loaded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from digits import FOLDS, fold, params, scans, seen
from sklearn.kernel_ridge import KernelRidge

settings = params()
images, target = scans()
pixels = seen(images, settings).reshape(len(images), -1)
one_hot = np.eye(10)[target]

weights = np.zeros((FOLDS, len(target), 10))
for number in range(FOLDS):
    train = fold(len(target)) != number
    model = KernelRidge(kernel="rbf", gamma=settings["gamma"], alpha=settings["alpha"]).fit(pixels[train], one_hot[train])
    weights[number, train] = model.dual_coef_
    right = (model.predict(pixels[~train]).argmax(axis=1) == target[~train]).mean()
    print(f"fold {number + 1} of {FOLDS}: trained on {train.sum()} scans, {right:.1%} of the other {(~train).sum()} right", flush=True)

Path("model").mkdir(exist_ok=True)
np.savez_compressed("model/digits.npz", pixels=pixels, weights=weights)
