"""How often models of one pull request were judged, and what that costs. Pure.

Whoever pushes until a check passes has found, in the end, an attempt that was lucky. At the margin one look passes
2.5 % of the time, one of ten independent ones 22 %. With `spend: each` the k-th look has α/(k(k + 1)) of the two-sided error α = 1 −
confidence: 1/2, 1/6, 1/12, …, of which no number of looks adds up to more than α (the union bound, whatever they have in common).
"""

from __future__ import annotations

from dataclasses import replace

from mlops_toolkit.gate.request import Request
from mlops_toolkit.report import words


def confidence(whole: float, look: int) -> float:
    """Of the intervals of the look-th look, where all looks together are to have the confidence `whole`."""
    return 1 - (1 - whole) / (look * (look + 1))


def spent(request: Request) -> Request:
    """The request at the confidence that this look has. It is one that is `held` to the base branch's `looks`."""
    if request.config.looks.spend == "none":
        return request
    return replace(request, config=replace(request.config, confidence=confidence(request.config.confidence, request.look)))


def notes(request: Request) -> tuple[str, ...]:
    """What the reader must know, from `looks.warn-after` looks on; and of every look that has an interval of its own."""
    asked, said = request.config.looks, []
    if request.looks >= asked.warn_after:
        said.append(f"{request.looks} models of this pull request were judged: trying until one passes finds one by luck")
    if asked.spend == "each":
        interval = words.percent(request.config.confidence)
        said.append(
            f"look {request.look} of this pull request: its intervals are {interval} ones, so that all looks together stay as sure as one (looks.spend: each)"
        )
    return tuple(said)
