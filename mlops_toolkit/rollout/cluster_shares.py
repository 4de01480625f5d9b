"""How a share of the traffic is had from whole pods behind one Service. Pure."""

from __future__ import annotations

import math


def divided(share: float, old: int, most_new: int, most: int) -> tuple[int, int]:
    """How many pods of the old and of the new release give the new one the largest part that is not more than `share`; (old, 0) where none does.

    old: pods of the old one now, which do not become fewer: it must be able to take all traffic back. most_new: of the new one, at most.
    most: of both together, where the old ones alone are not more already. A Service hands connections to its ready pods evenly.
    """
    best = (old, 0)
    for new in range(1, most_new + 1):
        beside = max(old, math.ceil(new * (1 - share) / share - 1e-9)) if share > 0 else most
        if beside + new > max(most, old + 1) or new / (beside + new) > share + 1e-9:
            continue
        if _part(beside, new) > _part(*best) + 1e-9:
            best = (beside, new)
    return best


def _part(old: int, new: int) -> float:
    return new / (old + new) if new else 0.0
