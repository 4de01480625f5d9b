"""The stop words that spaCy ships for eight languages, as a corpus: which language are these three words from?"""

from __future__ import annotations

import random
from importlib import import_module
from pathlib import Path

import spacy
from spacy.tokens import DocBin

LANGUAGES = ("de", "en", "es", "fi", "fr", "hu", "it", "pl")
PER_LANGUAGE = {"train": 150, "dev": 30, "test": 100}

blank, chance = spacy.blank("xx"), random.Random(0)
words = {language: sorted(import_module(f"spacy.lang.{language}.stop_words").STOP_WORDS) for language in LANGUAGES}
Path("data").mkdir(exist_ok=True)
for name, count in PER_LANGUAGE.items():
    part = DocBin()
    for language in LANGUAGES:
        for _ in range(count):
            doc = blank.make_doc(" ".join(chance.sample(words[language], 3)))
            doc.cats = {other: float(other == language) for other in LANGUAGES}
            part.add(doc)
    part.to_disk(f"data/{name}.spacy")
