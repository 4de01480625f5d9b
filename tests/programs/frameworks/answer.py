"""Load saved models in a process that knows nothing of their training; print how their answers differ from those of the training process.

python answer.py native:FOLDER served:FOLDER …
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

import mlops_toolkit as mlops


def answered(folder: Path, *, served: bool) -> dict[str, Any]:
    loaded = mlops.load(folder / "model", served=served)
    asked, answers = dict(np.load(folder / "asked.npz")), dict(np.load(folder / "answers.npz"))
    given: Any = asked["rows"] if list(asked) == ["rows"] else asked
    if isinstance(given, np.ndarray) and given.dtype.kind == "U":
        given = [str(text) for text in given]
    found = loaded.predict(given)
    found = found if isinstance(found, dict) else dict.fromkeys(answers, found)
    types = {one.name: one.dtype for one in loaded.signature.outputs}
    differing: dict[str, float] = {}
    for name, wanted in answers.items():
        assert found[name].shape == wanted.shape, (name, found[name].shape, wanted.shape)
        assert types[name] in ("BYTES", mlops_name(found[name])), (name, types[name], found[name].dtype)
        if wanted.dtype.kind == "f":
            differing[name] = float(np.abs(found[name] - wanted).max())
        else:
            differing[name] = int((found[name].astype(wanted.dtype) != wanted).sum())
    rows = len(next(iter(answers.values())))
    return {"rows": rows, "differing": differing, "golden": loaded.golden(), "kind": type(loaded.model).__name__}


def mlops_name(array: Any) -> str:
    """The protocol's name of a NumPy type, written here once more so that the test does not ask the code it tests."""
    return {"f": "FP", "i": "INT", "u": "UINT"}.get(array.dtype.kind, "?") + str(array.dtype.itemsize * 8)


for asked in sys.argv[1:]:
    form, _, name = asked.partition(":")
    said = answered(Path(name), served=form == "served")
    print(
        json.dumps(
            {"model": Path(name).name, "form": form, **said, "imported": sorted({module.partition(".")[0] for module in sys.modules})}
        )
    )
