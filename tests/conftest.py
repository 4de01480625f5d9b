"""For all tests: what hypothesis draws is judged by what comes out, never by how long a loaded machine took for it."""

from __future__ import annotations

from hypothesis import settings

from tests.world.registry import locked_registry, open_registry

__all__ = ["locked_registry", "open_registry"]  # started once, where a test asks for one

settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")
