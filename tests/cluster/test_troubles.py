"""Each trouble of the list on a real cluster under load: it ends in one known release, clients see what is promised, and the reason is told."""

from __future__ import annotations

import pytest

from tests.cluster.site import Site
from tests.cluster.troubles import TROUBLES

pytestmark = [pytest.mark.cluster, pytest.mark.long]
BACK_SECONDS = 60.0  # ten on a machine that does nothing else, which the benchmark asks for


@pytest.mark.parametrize("name", TROUBLES)
def test_it_ends_as_promised(site: Site, name: str) -> None:
    told = TROUBLES[name](site)
    assert not told.broken, told
    assert told.requests > 30
    if name == "rollback":
        assert told.seconds is not None
        assert told.seconds < BACK_SECONDS, told
