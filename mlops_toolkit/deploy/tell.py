"""What a deployment tells: lines for people, one JSON document, the action's outputs, the job's summary."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mlops_toolkit.announce import annotated, say
from mlops_toolkit.deploy import policy
from mlops_toolkit.deploy.follow import BY_ITSELF, Story
from mlops_toolkit.deploy.recorded import Trouble
from mlops_toolkit.deploy.targets import Outcome
from mlops_toolkit.deploy.where import Where
from mlops_toolkit.errors import PASSED, MlopsError
from mlops_toolkit.forge.base import Annotation
from mlops_toolkit.report.escape import address, inline, plain
from mlops_toolkit.rollout.accept import called
from mlops_toolkit.rollout.order import Order
from mlops_toolkit.world import World

ICONS = {"deployed": "✅", "same": "✅", "proposed": "ℹ️", "rolled-back": "❌", "refused": "❌"}
LONGEST = 600


@dataclass(frozen=True)
class Done:
    """An order and what became of it. outcome None: a dry run."""

    where: Where
    order: Order
    outcome: Outcome | None
    story: Story
    troubles: Sequence[Trouble] = ()

    @property
    def code(self) -> int:
        return self.outcome.code if self.outcome else PASSED


def sentence(done: Done) -> str:
    """What became of it, as a sentence that reads well alone."""
    outcome, order = done.outcome, done.order
    model, place = done.where.model, done.where.environment
    wanted = called(order.release) if order.release else "the last good release"
    if outcome is None:
        return f"would {'go back to' if order.kind == 'rollback' else 'deploy'} {wanted} in {place}"
    live = called(outcome.live)
    if outcome.result == "same":
        return f"{model}: {outcome.reason or f'{live} is live in {place} already'}"
    if outcome.result == "proposed":
        return f"{model}: {wanted} is proposed for {place}: {outcome.url or outcome.reason}"
    if outcome.result == "refused":
        return f"{model}: {place} is as it was, {live} is live: {outcome.reason}"
    if outcome.result == "rolled-back":
        state = f"{live} is live again" if outcome.live else "nothing is live"
        return f"{model}: {wanted} was taken back from {place}, {state}: {outcome.reason}"
    came = "is live again" if order.kind == "rollback" else "is live"
    return f"{model}: {live} {came} in {place}"


def document(done: Done) -> dict[str, Any]:
    """For --json."""
    outcome = done.outcome
    failed = outcome is not None and done.code != PASSED
    return {
        "schema": 1,
        "environment": done.where.environment,
        "model": done.where.model,
        "name": done.where.name,
        "target": done.where.options.target,
        "result": outcome.result if outcome else "dry-run",
        "sentence": plain(sentence(done), LONGEST),
        "order": policy.document(done.order),
        "live": policy.told(outcome.live) if outcome else None,
        "before": policy.told(outcome.before) if outcome else None,
        "url": (outcome.url if outcome else None) or done.where.options.url,
        "error": {"name": outcome.name or outcome.result, "message": plain(outcome.reason, LONGEST), "hint": outcome.hint}
        if outcome and failed
        else None,
        "steps": [text for _, text in done.story.lines],
        "log": list(done.story.log),
        "not-told": [reason for reason, _ in done.troubles],
    }


def end(done: Done, world: World, *, as_json: bool, verb: str) -> int:
    """The end: standard output gets the sentence, or the document and nothing else. The exit code."""
    outcome = done.outcome
    if as_json:
        print(json.dumps(document(done), ensure_ascii=True, allow_nan=False), file=world.out)
    elif done.code == PASSED:
        print(plain(sentence(done), LONGEST), file=world.out)
    if outcome is not None and done.code != PASSED:
        hint = "\n  " + outcome.hint.replace("\n", "\n  ") if outcome.hint else ""
        print(f"mlops {verb}: {plain(sentence(done), LONGEST)}{hint}", file=world.err)
    say(done.troubles, verb, world)
    if world.context.ci and outcome is not None:
        _ci(done, outcome, world, verb)
    return done.code


def _ci(done: Done, outcome: Outcome, world: World, verb: str) -> None:
    notes = [Annotation("warning", text, f"mlops {verb}") for text, _ in done.troubles]
    if done.code != PASSED:
        notes.append(Annotation("error", f"{plain(sentence(done), LONGEST)}\n{outcome.hint or ''}".strip(), f"mlops {verb}"))
    world.forge.annotate(tuple(notes))
    release = done.order.release or outcome.live
    image, _, digest = release.image.partition("@") if release else ("", "", "")
    world.forge.output(
        {
            "result": outcome.result,
            "environment": done.where.environment,
            "release": called(outcome.live) if outcome.live else "",
            "previous": called(outcome.before) if outcome.before else "",
            "image": image,
            "digest": digest,
            "url": outcome.url or done.where.options.url or "",
            "exit": str(done.code),
        }
    )
    world.forge.summary(summary(done))


def summary(done: Done) -> str:
    """Markdown of the job's page."""
    outcome = done.outcome
    icon = ICONS[outcome.result] if outcome else "ℹ️"
    parts = [f"### {icon} {inline(sentence(done), LONGEST)}"]
    if outcome and outcome.hint and done.code != PASSED:
        parts.append(inline(outcome.hint, LONGEST))
    release = done.order.release
    facts = [
        ("release", f"{called(release)}, {release.image}" if release else ""),
        ("run", release.run or "" if release else ""),
        ("verdict", ": ".join(filter(None, [release.verdict, release.sentence])) if release else ""),
        ("before", called(outcome.before) if outcome and outcome.before else ""),
        ("by", ": ".join(filter(None, [done.order.by, done.order.reason]))),
    ]
    rows = [f"| {name} | {inline(text, 300)} |" for name, text in facts if text]
    parts.append("\n".join(["| | |", "| --- | --- |", *rows]))
    if url := address((outcome.url if outcome else None) or done.where.options.url or ""):
        parts.append(f"[{inline(done.where.environment)}]({url})")
    if done.story.lines:
        steps = "\n".join(f"- {sign} {inline(text, 300)}" for sign, text in done.story.lines)
        parts.append(f"<details><summary>What happened</summary>\n\n{steps}\n</details>")
    if done.story.log:
        said = "\n".join(f"- {inline(line, 300)}" for line in done.story.log)
        parts.append(f"<details><summary>The last that it said</summary>\n\n{said}\n</details>")
    return "\n\n".join(parts) + "\n"


def failed(error: MlopsError, world: World) -> None:
    """An error where the CI's next steps and people look for the outcome."""
    if world.context.ci:
        world.forge.annotate(annotated(error))
        names = ("result", "environment", "release", "previous", "image", "digest", "url")
        world.forge.output({**dict.fromkeys(names, ""), "exit": str(error.code)})
        left = BY_ITSELF in (error.hint or "")
        text = (
            f"⚠️ left before its end: {inline(error.message, LONGEST)}; {BY_ITSELF}"
            if left
            else f"❌ not deployed: {inline(error.message, LONGEST)}"
        )
        world.forge.summary(f"{text}\n")
