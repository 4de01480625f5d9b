"""Scores the texts of data/test.spacy with the trained pipeline."""

from __future__ import annotations

import csv
import os

import spacy
from spacy.tokens import DocBin

pipeline = spacy.load("model/model-last")
truths = list(DocBin().from_disk("data/test.spacy").get_docs(pipeline.vocab))
labels = pipeline.get_pipe("textcat").labels

with open(os.environ["MLOPS_PREDICTIONS"], "w", newline="", encoding="utf-8") as file:
    table = csv.writer(file)
    table.writerow(["id", "target", "prediction", *(f"prob:{label}" for label in labels)])
    for row, (truth, guess) in enumerate(zip(truths, pipeline.pipe(doc.text for doc in truths), strict=True)):
        target, prediction = max(truth.cats, key=truth.cats.get), max(guess.cats, key=guess.cats.get)
        table.writerow([row, target, prediction, *(guess.cats[label] for label in labels)])
