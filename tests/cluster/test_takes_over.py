"""On a real cluster, under load: a good release takes over without one failed request, a bad one gets none, and any can be gone back from."""

from __future__ import annotations

import time

import pytest

from tests.cluster.site import Site, versions

pytestmark = pytest.mark.cluster


def test_good_and_bad_releases_and_the_way_back(site: Site) -> None:
    """A canary of a half, then all; then one that answers wrong and one that ends by itself: none fails a request,
    each says why it did not start; then the way back, without registry, old Deployment and CI.
    """
    one, two = site.release("1"), site.release("2")
    first = site.run(site.order(one))
    assert (first.result, first.live and first.live.id) == ("deployed", one.id), first
    with site.load() as load:
        assert site.run(site.order(two, 0.5)).result == "deployed"
        site.is_one(two)
        for bad, name, words in (
            (site.release("3", "wrong"), "wrong-answers", "golden examples"),
            (site.release("4", "crash"), "does-not-start", "no kernel image is available"),
        ):
            outcome = site.run(site.order(bad, 0.5))
            assert (outcome.result, outcome.name, outcome.live and outcome.live.id) == ("rolled-back", name, two.id), outcome
            assert words in outcome.reason, outcome
            site.is_one(two)
        begun = time.monotonic()
        back = site.run(site.order(None, reason="a test", watch=0.0, drain=0.0))
        took = time.monotonic() - begun
        assert (back.result, back.live and back.live.id) == ("deployed", one.id), back
        assert took < 60, took  # 8 s to the switch and 15 s in all on a busy machine; a test leaves room for a busier one
        site.is_one(one)
    assert load.requests > 100
    assert not load.failed, load.failed
    assert set(versions(load)) == {"1", "2"}
