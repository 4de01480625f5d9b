"""Configurations that are right, from the smallest to the fullest: what the reader and the published schema must both accept."""

from __future__ import annotations

from pathlib import Path

from mlops_toolkit.config.read import Loaded, parse

SMALLEST = "name: m\n"
USUAL = """\
name: spam-filter
train:
  run: python train.py
  output: model/
  inputs: [src/, train.py]
  data: [s3://bucket/train/]
  params: params.yaml
  gpus: 1
  timeout: 6h
evaluate:
  run: python evaluate.py
  data: [data/test.parquet]
  task: classification
  metrics: [accuracy, f1-macro, recall:spam]
  slices: [language, {long: "length > 512"}]
  positive: no
gate:
  accuracy:   {max-drop: 1pp, slices: {max-drop: 3pp}}
  f1-macro:   {max-drop: 2%, min: 0.80}
  latency-ms: {max-rise: 10%, max: 50}
"""
FULL = """\
# every key there is
name: spam-filter
train:
  run: |
    set -e
    python train.py
  output: model/
  inputs: [src/, train.py]
  data: [s3://bucket/train/, /mnt/data/train, "data/*.csv"]
  params: params.yaml
  gpus: 0
  timeout: 1.5h
  seed: 7
  launcher: local
evaluate:
  suites:
    quality:
      run: python evaluate.py
      data: [data/test.parquet]
      inputs: [evaluate.py]
      task: regression
      metrics: [mae, "pinball:0.9", {mean: judge_score, better: higher, name: helpfulness}, {quantile: latency, q: 0.95, unit: ms}]
      slices: [country]
      predictions: out/preds.csv
      measures: out/measures.json
      timeout: 30m
    safety:
      run: python safety.py
      metrics-file: out/safety.json
      positive: 1
gate:
  quality/mae: {max-rise: 2%, severity: warn}
  quality/helpfulness: {max-drop: 0.5, slices: {max-drop: 1, must: pass, min: 1e-3}}
  quality/p95:latency: {max: 200}
  safety/refusal-rate: {max-drop: 1pp, better: higher}
accepted:
  - {check: quality/mae, up-to: 0.5, reason: new sensors, until: 2026-12-31}
  - {check: gate, reason: looser for the pilot}
confidence: 0.9
when-uncertain: fail
measures: {widgets: higher}
models: {store: "oci://ghcr.io/org/repo/mlops-models", keep: {pull-request: 3d, main: 10, release: forever}}
history: {at: runs, predictions: none, ids: plain}
comment: {charts: false, examples: 3}
allow-forks: true
"""
POINTER = "name: m\nmodel: models/spam.lock\nevaluate: {run: python evaluate.py}\n"
ALIASES = "name: m\nevaluate: {run: e, data: &d [a.csv], inputs: *d}\n"
NOTHING_GIVEN = "name: m\ntrain:\nevaluate: ~\ngate: null\naccepted: \n"
VALID = {"smallest": SMALLEST, "usual": USUAL, "full": FULL, "pointer": POINTER, "aliases": ALIASES, "nothing given": NOTHING_GIVEN}


def read(text: str | bytes) -> Loaded:
    """A text read as the file models/spam/mlops.yaml of a repository."""
    return parse(text, where="mlops.yaml", path=Path("/r/models/mlops.yaml"), root=Path("/r"))
