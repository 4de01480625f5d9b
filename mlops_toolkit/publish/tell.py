"""What a publish tells: lines for people, one JSON document, the action's outputs, the job's summary."""

from __future__ import annotations

import json
from typing import Any

from mlops_toolkit.announce import annotated, say
from mlops_toolkit.errors import MlopsError
from mlops_toolkit.forge.base import Annotation
from mlops_toolkit.publish.perform import STATE, Done, Plan
from mlops_toolkit.report import words
from mlops_toolkit.report.escape import plain
from mlops_toolkit.system.files import write_atomic
from mlops_toolkit.world import World


def document(plan: Plan, done: Done | None) -> dict[str, Any]:
    """For --json. Of a dry run what would be done: `state` says which."""
    run, ruling = plan.found.run, plan.facts.ruling
    state = "dry-run" if done is None else "published" if done.made else "promoted" if any(step.put for step in done.steps) else "already"
    return {
        "schema": 1,
        "state": state,
        "model": run.model,
        "run": run.id,
        "commit": plan.target.at.commit,
        "as": plan.options.as_,
        "image": plan.reference.name,
        "digest": done.image.digest if done else plan.digest,
        "tags": list(done.image.tags if done else plan.names.all),
        "verdict": ruling.word,
        "undecided": list(ruling.undecided),
        "accepted": list(ruling.accepted),
        "override": {"by": ruling.override.by, "reason": ruling.override.reason, "against": list(ruling.overridden)}
        if ruling.override
        else None,
        "notes": list(ruling.notes),
        "platforms": dict(done.platforms) if done else {},
        "sent": {"blobs": done.sent_blobs, "bytes": done.sent_bytes} if done else None,
        "release": done.release if done else None,
    }


def found(plan: Plan, world: World) -> None:
    """What was found, before anything is sent."""
    ruling = plan.facts.ruling

    def line(text: str, indent: str = "") -> None:
        print(f"{indent}{plain(text, 600)}", file=world.err)

    line(f"{plan.found.run.model}: {plan.found.choice.note}")
    for text in filter(None, [ruling.sentence, *(f"undecided: {one}" for one in ruling.undecided), *ruling.notes, plan.target.note]):
        line(text, "  ")
    if ruling.override:
        line(f"⚠️ published by {ruling.override.by} ({ruling.override.reason}) although {'; '.join(ruling.overridden)}", "  ")
    if plan.there.same:
        tag, digest = plan.there.same
        line(f"its image is there already: {plan.reference.name}:{tag} is {digest}; none is made", "  ")


def done(plan: Plan, what: Done | None, world: World, *, as_json: bool) -> None:
    """The end: standard output gets the image's address, or the document and nothing else."""
    if as_json:
        print(json.dumps(document(plan, what), ensure_ascii=True, allow_nan=False), file=world.out)
    elif what is None:
        print(f"would publish {plan.reference.name} as {', '.join(plan.names.all)}", file=world.out)
    else:
        print(what.image.pinned, file=world.out)
    if what is None:
        return
    sent = f"{words.count(what.sent_blobs, 'blob')}, {words.size(what.sent_bytes)} sent" if what.sent_blobs else "no blob sent"
    print(f"{what.image.shown}: {sent}, {words.seconds(what.seconds)}", file=world.err)
    write_atomic(plan.found.loaded.folder / STATE / "release.md", what.notes)
    say(what.troubles, "publish", world)
    if not world.context.ci:
        print(f"notes: {plan.found.loaded.folder / STATE / 'release.md'}", file=world.err)
        return
    world.forge.annotate(tuple(Annotation("warning", text, "mlops publish") for text, _ in what.troubles))
    if plan.facts.ruling.override:
        against = "; ".join(plan.facts.ruling.overridden)
        world.forge.annotate(
            (Annotation("warning", f"published against its gate by {plan.facts.ruling.override.by}: {against}", "mlops publish"),)
        )
    world.forge.output(
        {
            "image": what.image.name,
            "digest": what.image.digest,
            "tags": "\n".join(what.image.tags),
            "run": plan.found.run.id,
            "run-id": plan.found.run.id,
            "release-url": what.release or "",
            "exit": "0",
        }
    )
    world.forge.summary(what.notes)


def failed(error: MlopsError, world: World) -> None:
    """An error where the CI's next steps and people look for the outcome; no check of the commit changes by it."""
    if world.context.ci:
        world.forge.annotate(annotated(error))
        world.forge.output({"image": "", "digest": "", "tags": "", "exit": str(error.code)})
        world.forge.summary(f"❌ not published: {plain(error.message, 600)}")
