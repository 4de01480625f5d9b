"""Learn from the descriptions that come with scikit-learn's data which of them a line is from; save it, and what it answers to other lines.

python train.py FOLDER
"""

import json
import sys
from collections import Counter
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine

import mlops_toolkit as mlops

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from predict import WORDS, Model  # noqa: E402 -- the code that is saved

folder = Path(sys.argv[1])
folder.mkdir(parents=True)
topics = {"cancer": load_breast_cancer, "diabetes": load_diabetes, "digits": load_digits, "wine": load_wine}
lines = {name: [line.strip() for line in load().DESCR.splitlines() if len(line.split()) > 3] for name, load in topics.items()}
counts = {name: Counter(word for line in said[::2] for word in WORDS.findall(line.lower())) for name, said in lines.items()}
words = sorted(set().union(*counts.values()))
table = np.array([[1 + counts[name][word] for word in words] for name in topics], float)
np.save(folder / "weights.npy", np.log(table / table.sum(axis=1, keepdims=True)))
(folder / "words.json").write_text(json.dumps({"topics": list(topics), "words": words}))
example = [line for said in lines.values() for line in said[::2]][:100]
mlops.save(
    str(HERE / "predict.py"),
    folder / "model",
    example={"text": np.array(example, object)},
    files=[folder / "weights.npy", folder / "words.json"],
    packages=["jinja2"],
)
model = Model()
model.load(folder)
asked = [line for said in lines.values() for line in said[1::2]]
np.savez(folder / "asked.npz", text=np.array(asked, str))
np.savez(folder / "answers.npz", **{name: np.array(value) for name, value in model.predict({"text": asked}).items()})
