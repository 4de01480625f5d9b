"""Which direction is better, as far as a name tells."""

from __future__ import annotations

import pytest

from mlops_toolkit.config.measures import bounded_fraction, direction, metric_direction, noisy
from mlops_toolkit.config.metrics_known import FAMILIES
from mlops_toolkit.config.schema import Config
from tests.unit.config.examples import FULL, read


def words(text: str) -> list[str]:
    return text.split()


@pytest.mark.parametrize(
    "name",
    words(
        "latency latency-ms val_latency_p95_ms p95-latency load-seconds seconds-per-token cost-per-request cost_usd model_size_mb parameters"
        " peak-memory-gb eval/loss train.loss val_loss error-rate word-error-rate WER cer perplexity mse accuracy-loss log-loss cross_entropy"
        " energy_joules flops rmse mae brier fid duration"
    ),
)
def test_less_of_these_is_better(name: str) -> None:
    assert direction(name) == "lower"


@pytest.mark.parametrize(
    "name",
    words(
        "accuracy val_acc top-5-accuracy accuracy_top_5 f1 f1-macro F1_score precision@10 recall:spam roc-auc roc_auc PR-AUC mAP@50 bleu"
        " ROUGE_L rouge1 tokens-per-second images_per_sec throughput hit-rate success_rate exact_match eval/exact-match r2 kappa ndcg@10 mrr"
    ),
)
def test_more_of_these_is_better(name: str) -> None:
    assert direction(name) == "higher"


@pytest.mark.parametrize(
    "name", words("widgets loss-scale refusal-rate learning_rate judge_score map50 epochs step things-per-second a-per-b rate")
)
def test_of_these_nobody_can_know(name: str) -> None:
    assert direction(name) is None


def test_the_configuration_comes_first() -> None:
    config = read(FULL).config
    assert direction("widgets", config) == "higher"
    assert direction("safety/refusal-rate", config) == "higher"
    assert direction("quality/helpfulness", config) == "higher"
    assert direction("quality/p95:latency", config) == "lower"
    assert direction("latency", Config("m", measures={"latency": "higher"})) == "higher"


def test_one_number_of_a_time_shows_no_change_one_of_a_size_does() -> None:
    assert all(noisy(name) for name in ("latency-ms", "tokens-per-second", "train_seconds", "energy", "throughput", "p95-latency"))
    assert not any(noisy(name) for name in ("size", "parameters", "flops", "model_size_mb", "accuracy", "widgets"))


def test_shares_are_known_to_be_shares() -> None:
    assert all(bounded_fraction(name) for name in ("accuracy", "recall:spam", "f1-macro", "q/mcc", "val_acc", "r2"))
    assert not any(bounded_fraction(name) for name in ("mae", "latency", "bleu", "log-loss", "pinball:0.9"))


def test_every_family_states_its_direction_but_those_of_a_column() -> None:
    for name, row in FAMILIES.items():
        assert row.name == name
        assert (metric_direction(name) is None) == (row.argument == "column")
        assert direction(name) == row.better
        assert row.doc.endswith(".")
    assert metric_direction("nothing") is None
