"""Which data set a line of text describes, by naive Bayes over its words; the answer is written with a template."""

import json
import re
from pathlib import Path

import numpy as np
from jinja2 import Template

WORDS = re.compile(r"[a-z]+")
SENTENCE = Template("{{ topic | e }} ({{ '%.0f' | format(100 * sure) }} %)")


class Model:
    def load(self, folder: Path) -> None:
        told = json.loads((folder / "words.json").read_text())
        self.topics, self.words = told["topics"], {word: place for place, word in enumerate(told["words"])}
        self.weights = np.load(folder / "weights.npy")

    def predict(self, inputs):
        scores = np.zeros((len(inputs["text"]), len(self.topics)))
        for row, text in enumerate(inputs["text"]):
            for word in WORDS.findall(text.lower()):
                if word in self.words:
                    scores[row] += self.weights[:, self.words[word]]
        sure = np.exp(scores - scores.max(axis=1, keepdims=True))
        sure /= sure.sum(axis=1, keepdims=True)
        best = sure.argmax(axis=1)
        said = [SENTENCE.render(topic=self.topics[one], sure=row[one]) for one, row in zip(best, sure, strict=True)]
        return {"topic": [self.topics[one] for one in best], "sure": sure, "said": said}
