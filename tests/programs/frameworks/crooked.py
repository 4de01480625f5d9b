"""Change a stored forest so that one of its trees leads out of itself, with its digests made right again; print what loading it says.

python crooked.py MODEL
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from pathlib import Path

import skops.io
from sklearn.tree._tree import Tree

import mlops_toolkit as mlops
from mlops_toolkit.errors import MlopsError

folder = Path("model")
shutil.copytree(sys.argv[1], folder)
place = folder / "model.skops"
forest = skops.io.load(place, trusted=skops.io.get_untrusted_types(file=place))
tree = forest.estimators_[3].tree_
assert isinstance(tree, Tree)
state = tree.__getstate__()
state["nodes"]["left_child"][0] = 10_000_000
tree.__setstate__(state)
skops.io.dump(forest, place)
manifest = json.loads((folder / "mlops-model.json").read_text())
manifest["files"]["model.skops"] = {"sha256": hashlib.sha256(place.read_bytes()).hexdigest(), "size": place.stat().st_size}
(folder / "mlops-model.json").write_text(json.dumps(manifest))
try:
    mlops.load(folder)
    print(json.dumps({"error": None}))
except MlopsError as error:
    print(json.dumps({"error": error.name, "message": error.message}))
