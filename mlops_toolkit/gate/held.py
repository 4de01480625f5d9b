"""What a configuration asks of every check at once, held to the base branch's where the head's asks less. Pure.

The rules of single checks are held by `work.held`, where a baseline's value is known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from mlops_toolkit.config.schema import Config
from mlops_toolkit.gate.request import Request
from mlops_toolkit.gate.work import Work

_POLICIES = ("warn", "ask", "fail")  # from the one that lets the most pass
Kept = tuple[str, Any] | None  # what is loosened, in words; and the key's value that counts instead


def held(work: Work, request: Request) -> Request:
    """The request at what the base branch asks. A looser one counts once `accepted:` names `gate`; of a fork it never does."""
    base = request.base_config
    if base is None:
        return request
    if request.forks_gate:
        return replace(request, config=replace(request.config, **{**{key: getattr(base, key) for key in LOOSER}, "scope": scope(base)}))
    kept = {key: found for key, looser in LOOSER.items() if (found := looser(base, request.config)) is not None}
    for said, _ in kept.values():
        work.loosen(said)
    if (fewer := _fewer_seeds(base, request.config)) is not None:
        work.loosen(fewer)
    if not kept or request.lets_go:
        return request
    return replace(request, config=replace(request.config, **{key: value for key, (_, value) in kept.items()}))


def scope(config: Config) -> str:
    """What is judged, where it is not said: the way a model is made if it is made several times, else this very model."""
    return config.scope or ("recipe" if seeds(config) > 1 else "artifact")


def seeds(config: Config) -> int:
    """How many trainings make a run."""
    return max(1, len(config.train.seeds)) if config.train is not None else 1


def _fewer_seeds(base: Config, head: Config) -> str | None:
    """Fewer trainings say less of the training's luck, and other seeds may be the lucky ones.

    They are not trained here: what is kept is that their luck counts (`scope`), and that it is said.
    """
    if seeds(head) < seeds(base):
        return f"train.seeds {seeds(base)} → {seeds(head)}"
    mine, theirs = (config.train.seeds if config.train is not None else () for config in (head, base))
    if len(theirs) < 2 or set(theirs) <= set(mine):
        return None
    return f"train.seeds {', '.join(map(str, theirs))} → {', '.join(map(str, mine))}"


def _confidence(base: Config, head: Config) -> Kept:
    """It decides what passes and what fails as the margins do, one up and the other down: any other one is not the base branch's."""
    return None if base.confidence == head.confidence else (f"confidence {base.confidence:g} → {head.confidence:g}", base.confidence)


def _policy(base: Config, head: Config) -> Kept:
    if _POLICIES.index(head.when_uncertain) >= _POLICIES.index(base.when_uncertain):
        return None
    return f"when-uncertain {base.when_uncertain} → {head.when_uncertain}", base.when_uncertain


def _against(base: Config, head: Config) -> Kept:
    gone = tuple(name for name in base.against if name not in head.against)
    return (f"against {', '.join(gone)} → not held against", (*head.against, *gone)) if gone else None


def _scope(base: Config, head: Config) -> Kept:
    if base.scope == "artifact" and scope(head) == "recipe":  # a mean over trainings may be good where the model that ships is not
        return "scope artifact → recipe", "artifact"
    if (scope(base), scope(head)) != ("recipe", "artifact"):
        return None
    return ("scope recipe → artifact" if head.scope else f"train.seeds {seeds(base)} → {seeds(head)}"), "recipe"


def _looks(base: Config, head: Config) -> Kept:
    loose = []
    if base.looks.spend == "each" and head.looks.spend == "none":
        loose.append("looks.spend each → none")
    if head.looks.warn_after > base.looks.warn_after:
        loose.append(f"looks.warn-after {base.looks.warn_after} → {head.looks.warn_after}")
    if not loose:
        return None
    spend = base.looks.spend if base.looks.spend == "each" else head.looks.spend
    return "; ".join(loose), replace(head.looks, spend=spend, warn_after=min(base.looks.warn_after, head.looks.warn_after))


# key of mlops.yaml -> what of it the head's asks less, and the value that counts instead; None where it asks no less
LOOSER: Mapping[str, Callable[[Config, Config], Kept]] = {
    "confidence": _confidence,
    "when_uncertain": _policy,
    "against": _against,
    "scope": _scope,
    "looks": _looks,
}
