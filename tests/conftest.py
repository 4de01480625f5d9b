"""For all tests: what hypothesis draws is judged by what comes out, never by how long a loaded machine took for it."""

from __future__ import annotations

import pytest
from hypothesis import settings

from tests.world.registry import locked_registry, open_registry

__all__ = ["locked_registry", "open_registry"]  # started once, where a test asks for one

settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that share the one cluster of this machine stand apart, so that no worker waits for another's turn with it."""
    files: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("cluster"):
            files.setdefault(item.nodeid.partition("::")[0], []).append(item)
    rest = [item for item in items if item.nodeid.partition("::")[0] not in files]
    if not rest:
        return
    for number, file in enumerate(reversed(files.values())):
        place = len(rest) * (len(files) - 1 - number) // (2 * len(files))
        while 0 < place < len(rest) and rest[place - 1].nodeid.partition("::")[0] == rest[place].nodeid.partition("::")[0]:
            place += 1
        rest[place:place] = file
    items[:] = rest
