"""A repository whose model is really trained, in plain Python: logistic regression by stochastic gradient descent on a drawn data set.

What the seed decides is where the descent starts and in which order it sees the examples; it stops early, so that this matters.
`quality` in params.json is how many steps it takes; `flip` is a share of the answers that is turned round, for a model that is worse.
"""

from __future__ import annotations

import json
from pathlib import Path

from tests.world.repository import Repository, make

TRAIN = """\
import json, math, os, pathlib, random, sys, time

params, seed = json.loads(pathlib.Path("params.json").read_text()), int(os.environ["MLOPS_SEED"])
place = pathlib.Path(os.environ["MLOPS_MODEL"] if params.get("knows", True) else "model.json")
draw = random.Random(seed)


def example(i):
    row = random.Random(i)
    x = [row.gauss(0, 1) for _ in range(4)]
    return x, int(x[0] + 0.7 * x[1] - 0.5 * x[2] + row.gauss(0, 0.7) > 0)


with open("count", "a") as count:
    count.write(f"{seed} ")
if str(seed) in os.environ.get("HANG", "").split():
    time.sleep(60)
weights = [draw.gauss(0, 1) for _ in range(4)]
for _ in range(params["steps"]):
    x, y = example(draw.randrange(10**6, 10**6 + 500))
    p = 1 / (1 + math.exp(-sum(w * v for w, v in zip(weights, x))))
    weights = [w + 0.1 * (y - p) * v for w, v in zip(weights, x)]
place.write_text(json.dumps({"weights": weights, "flip": params["flip"]}))
pathlib.Path(os.environ["MLOPS_MEASURES"]).write_text(json.dumps({"parameters": 4}))
print("trained with seed", seed)
"""
EVALUATE = """\
import json, math, os, pathlib, random

model = json.loads(pathlib.Path("model.json").read_text())  # where it always is: it knows nothing of seeds
rows = ["id,target,prediction,prob:0,prob:1,half"]
for i in range(int(os.environ.get("EXAMPLES", "1500"))):
    row = random.Random(i)
    x = [row.gauss(0, 1) for _ in range(4)]
    y = int(x[0] + 0.7 * x[1] - 0.5 * x[2] + row.gauss(0, 0.7) > 0)
    p = 1 / (1 + math.exp(-sum(w * v for w, v in zip(model["weights"], x))))
    p = 1 - p if random.Random(-1 - i).random() < model["flip"] else p
    rows.append(f"row-{i},{y},{int(p > 0.5)},{1 - p!r},{p!r},{'left' if x[3] < 0 else 'right'}")
pathlib.Path(os.environ["MLOPS_PREDICTIONS"]).write_text("\\n".join(rows) + "\\n")
print("evaluated with seed", os.environ["MLOPS_SEED"])
"""
CONFIG = """\
name: separator
train: {run: python3 train.py, output: model.json, inputs: [train.py, params.json], params: params.json, seeds: [0, 1, 2, 3]}
evaluate:
  run: python3 evaluate.py
  inputs: [evaluate.py]
  task: classification
  metrics: [accuracy, roc-auc, log-loss]
  slices: [half]
gate:
  accuracy: {max-drop: 9pp, slices: {max-drop: 9pp}}
"""


def seeded(folder: Path, *, config: str = CONFIG) -> Repository:
    """A new one on branch main, with one commit."""
    made = make(folder, config=config)
    made.write(train_py=TRAIN, evaluate_py=EVALUATE)
    (made.root / ".gitignore").write_text("model.json\ncount\n")
    params(made)
    return made


def params(repository: Repository, *, steps: int = 400, flip: float = 0.0, **more: object) -> str:
    """A commit with these parameters."""
    repository.write(params_json=json.dumps({"steps": steps, "flip": flip, **more}))
    return repository.commit(f"{steps} steps, {flip} turned round")


def trained(repository: Repository) -> list[str]:
    """The seeds that were trained so far, in order."""
    path = repository.root / "count"
    return path.read_text().split() if path.exists() else []
