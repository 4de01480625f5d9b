"""Writes one row per scan to $MLOPS_PREDICTIONS, each predicted by the model that did not see it in training."""

from __future__ import annotations

import csv
import json
import os
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
from digits import FOLDS, fold, kernel, scans, seen


def png(image: np.ndarray, side: int = 64) -> bytes:
    """The scan as the model sees it, dark ink on white paper, enlarged to 64 × 64."""
    grey = np.kron(255 - image * (255 / 16), np.ones((side // len(image),) * 2)).astype(np.uint8)
    lines = b"".join(b"\0" + line.tobytes() for line in grey)

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


(arrays,) = Path("model").rglob("digits.npz")
model = np.load(arrays)
settings = json.loads(str(model["settings"]))
images, target = scans()
view = seen(images, settings)
pixels = view.reshape(len(images), -1)

scores = np.empty((len(target), 10))
for number in range(FOLDS):
    test = fold(len(target)) == number
    scores[test] = kernel(pixels[test], model["pixels"], settings["gamma"]) @ model["weights"][number]
prediction = scores.argmax(axis=1)
print(f"{(prediction == target).sum():,} of {len(target):,} scans right")

shutil.rmtree("previews", ignore_errors=True)
Path("previews").mkdir()
with open(os.environ["MLOPS_PREDICTIONS"], "w", newline="", encoding="utf-8") as file:
    table = csv.writer(file)
    table.writerow(["id", "target", "prediction", "digit", "ink", "preview"])
    for row, (truth, guess) in enumerate(zip(target, prediction, strict=True)):
        name, preview = f"scan-{row:04}", Path(f"previews/scan-{row:04}.png")
        preview.write_bytes(png(view[row]))
        table.writerow([name, truth, guess, truth, int(images[row].sum()), preview])

bits = int(np.ceil(np.log2(settings["grey-levels"])))
with open(os.environ["MLOPS_MEASURES"], "w", encoding="utf-8") as file:
    json.dump({"bytes-per-image": pixels.shape[1] * bits / 8}, file)
