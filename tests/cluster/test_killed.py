"""Whoever carries an order out is killed: the next one goes on with it, one release is left, whole, and clients noticed nothing."""

from __future__ import annotations

import pytest

from tests.cluster.deaths import MOMENTS, dies
from tests.cluster.site import Site, versions

pytestmark = pytest.mark.cluster


def test_killed_at_half_the_traffic(site: Site) -> None:
    """The next one goes on with the same order, once the Lease of the dead one is over."""
    one, two = site.release("1"), site.release("2")
    assert site.run(site.order(one)).result == "deployed"
    order = site.order(two, 0.5)
    with site.load() as load:
        dies(site, order, "share:0", "did")
        assert site.run(order).result == "deployed"
        site.is_one(two)
        assert site.run(order).result == "deployed"  # given again: what became of it
    assert not load.failed, load.failed
    assert set(versions(load)) == {"1", "2"}


@pytest.mark.long
@pytest.mark.parametrize(("step", "moment"), MOMENTS)
def test_killed_at_every_step(site: Site, step: str, moment: str) -> None:
    """Before and after each effect."""
    one, two = site.release("1"), site.release("2")
    assert site.run(site.order(one)).result == "deployed"
    order = site.order(two, 0.5)
    with site.load() as load:
        dies(site, order, step, moment)
        assert site.run(order).result == "deployed"
        site.is_one(two)
    assert not load.failed, load.failed
