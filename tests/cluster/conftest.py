"""A cluster, the images that it pulls, and a place in it that nothing was ever deployed to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.models import Models
from tests.cluster.site import Site, opened
from tests.world.cluster import Kubernetes, kubernetes
from tests.world.registry import Running

__all__ = ["kubernetes"]


@pytest.fixture(scope="module")
def image(kubernetes: Kubernetes, open_registry: Running, tmp_path_factory: pytest.TempPathFactory) -> Models:
    """Images of the model's versions, by digest."""
    return Models(open_registry, tmp_path_factory.mktemp("models"))


@pytest.fixture
def site(kubernetes: Kubernetes, image: Models) -> Iterator[Site]:
    """Where nothing was ever deployed."""
    with opened(kubernetes, image) as found:
        yield found
