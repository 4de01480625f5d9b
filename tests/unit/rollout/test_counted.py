"""Prometheus' text becomes a rollout's counters."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from mlops_toolkit.rollout.counted import in_flight, parsed, sample
from mlops_toolkit.rollout.windows import Counter

ONE = """# HELP mlops_requests_total Requests that were answered.
# TYPE mlops_requests_total counter
mlops_requests_total{model="m",version="1",route="infer",status="200"} 90.0
mlops_requests_total{model="m",version="1",route="predict",status="503"} 10.0
mlops_requests_total{model="",version="",route="health",status="503"} 1000.0
mlops_request_seconds_bucket{model="m",version="1",route="infer",le="0.1"} 80.0
mlops_request_seconds_bucket{model="m",version="1",route="infer",le="+Inf"} 90.0
mlops_request_seconds_bucket{model="m",version="1",route="metrics",le="0.1"} 5.0
mlops_predictions_total{model="m",version="1",output="label",label="a \\"b\\"\\n{x} 1"} 7.0
mlops_prediction_value_bucket{model="m",version="1",output="sure",label="",le="1.0"} 3.0
mlops_prediction_value_bucket{model="m",version="1",output="sure",label="",le="+Inf"} 5.0
mlops_requests_in_flight 4.0
process_resident_memory_bytes 1.5e+07
not a line
"""


def test_instances_are_counted_together_and_only_what_asks_the_model() -> None:
    found = sample(5.0, {"y": ONE, "x": ONE.replace("1.5e+07", "2.5e+07")})
    assert (found.requests, found.failed, found.memory, found.at, found.since) == (200, 20, 25_000_000, 5.0, "x y")
    assert found.latency == {0.1: 160, math.inf: 180}
    assert found.answers == {"label": {'a "b"\n{x} 1': 14}, "sure value": {"≤ 1": 6, "≤ inf": 4}}
    assert in_flight([ONE, ONE, "mlops_requests_in_flight 0"]) == 6


def test_what_an_instance_counted_is_not_counted_again_where_it_did_not_answer_once() -> None:
    """Nor where another one did not, the next time."""
    counter = Counter()
    for answered in ("ab", "a", "ab", "b", "a", "ab"):
        counter.add(sample(1.0, dict.fromkeys(answered, ONE)))
    assert counter.counted.requests == 0
    counter.add(sample(2.0, {"a": ONE, "b": ONE.replace(" 90.0", " 95.0", 1)}))
    assert counter.counted.requests == 5


@given(st.text(max_size=200))
def test_no_text_of_an_instance_breaks_it(text: str) -> None:
    """An instance runs the model's code: it may say anything."""
    list(parsed(text))
    for one in ("mlops_requests_total" + text, 'mlops_requests_total{route="infer",status="' + text, text):
        sample(0.0, {"": one})


def test_numbers_that_are_none_are_left_out() -> None:
    line = 'mlops_requests_total{route="infer",status="200"} '
    assert sample(0, {"": line + "NaN\n" + line + "+Inf\n" + line + "-3\n" + line + "2"}).requests == 2
