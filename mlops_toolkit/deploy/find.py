"""From a tag, a commit or an image's digest to a release: asked of the history, waited for while it is being published, trusted by the registry."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from mlops_toolkit.deploy import pick, policy
from mlops_toolkit.deploy.pick import Asked, Choice
from mlops_toolkit.deploy.where import STATE, Where
from mlops_toolkit.errors import EnvironmentFailure, UsageError
from mlops_toolkit.history import lineage
from mlops_toolkit.history.base import Entry, History, key_of
from mlops_toolkit.history.baseline import Step
from mlops_toolkit.layered import Reader
from mlops_toolkit.oci.reference import Reference
from mlops_toolkit.records.run import Run
from mlops_toolkit.report import words
from mlops_toolkit.rollout.order import Release
from mlops_toolkit.supply import decide
from mlops_toolkit.supply.gather import gather
from mlops_toolkit.supply.keys import checking_key
from mlops_toolkit.system.clock import looks
from mlops_toolkit.system.git import Commit
from mlops_toolkit.world import World

Spec = Callable[[str], Mapping[str, Any]]


@dataclass(frozen=True)
class Found:
    """A release that may be deployed, with where it comes from. entry, run: None where only its image is known."""

    release: Release
    entry: Entry | None
    run: Run | None
    note: str


def find(where: Where, ref: str, image: str, history: History | None, spec: Spec, world: World, say: Callable[[str], None]) -> Found:
    """What is to be deployed: an image by its digest, or what was published of a tag or commit. spec: how the target would run an image.

    Errors as of `pick`; of the image as `mlops verify` has them.
    """
    if image:
        return _trusted(where, by_digest(image), Choice("found", "as asked for"), None, spec, world)
    if history is None:
        raise UsageError("no-history", "there is no history here that says what was published", hint="--image NAME@sha256:… names it")
    asked = ask(ref, history, world)
    choice = _wait(where, asked, history, world, say)
    if choice.publication is None:
        for note in history.notes:  # why the remote could not be asked, where it could not
            say(note)
        raise pick.refusal(choice, asked)
    reference = by_digest(f"{choice.publication.image}@{choice.publication.digest}")
    return _trusted(where, reference, choice, pick.version_of(choice, asked), spec, world)


def by_digest(image: str) -> Reference:
    """UsageErrors `bad-reference`, `not-by-digest`."""
    reference = Reference.parse(image, where="--image")
    if reference.digest is None:
        hint = "a tag may mean another image tomorrow; `mlops publish` prints it by digest, and `docker buildx imagetools inspect` shows it"
        raise UsageError("not-by-digest", f"{str(reference)[:200]} is no digest: NAME@sha256:… is deployed", where="--image", hint=hint)
    return reference.at(digest=reference.digest)


def ask(ref: str, history: History, world: World) -> Asked:
    """What a reference means: a tag, a commit, a branch; "" what the event is about, else HEAD. UsageErrors `unknown-ref`, `not-to-deploy`."""
    context = world.context
    if context.ci and (context.event == "pull_request" or context.stranger):
        hint = "deploy on a tag, or by workflow_dispatch: on: {push: {tags: ['v*']}}"
        raise UsageError("not-to-deploy", "a pull request is not deployed: it may change, or never be merged", hint=hint)
    name = ref.strip().removeprefix("refs/tags/")
    if name:
        found = lineage.named(world.git, history.ancestry, name)
        # A tag that is nowhere any more may have been released all the same: the history knows.
        return Asked(name, found.tag, _step(found.commit)) if found else Asked(name, name)
    tag = context.tag if context.event == "tag" else None
    at = _commit((context.head if tag else None) or "HEAD", history, world)
    if tag:
        return Asked(tag, tag, _step(at) if at else None)
    if at is None:
        raise UsageError("unknown-ref", "there is no commit here", hint="name a release: mlops deploy v1.2.3, or --image NAME@sha256:…")
    return Asked(f"HEAD ({at.sha[:7]})", None, _step(at))


def _commit(name: str, history: History, world: World) -> Commit | None:
    found = world.git.commit(name) if world.git else None
    return found if found or name == "HEAD" else next(iter(history.ancestry(name, 1)), None)


def _step(commit: Commit) -> Step:
    return Step(commit.sha, commit.tree, commit.subject)


def _wait(where: Where, asked: Asked, history: History, world: World, say: Callable[[str], None]) -> Choice:
    """The choice; in a CI one that is still being made is waited for: both workflows of a tag begin at once."""
    key, wait = key_of(where.loaded.where, where.model, world.context.matrix), where.options.wait
    for waited in looks(world.clock, wait.seconds):
        if waited:
            history = world.history(where.loaded.folder / STATE, where.loaded.config.history.at)
        choice = pick.pick(asked, [entry for entry in history.entries() if entry.key == key], history.run)
        coming = choice.state == "running" or (choice.state == "unpublished" and asked.tag is not None)
        if not (coming and world.context.ci):
            return choice
        if not waited:
            say(f"{choice.note}: waiting for it, {wait.text} at most")
    raise pick.refusal(choice, asked, waited=words.seconds(waited))


def _trusted(where: Where, reference: Reference, choice: Choice, version: str | None, spec: Spec, world: World) -> Found:
    """The release of an image that holds what it says, and whose verdict lets it run; else the first refusal, an InvalidFile."""
    options = where.options
    key = checking_key(options.key, world.env, where.loaded.folder) if options.key else None
    with contextlib.closing(world.registry(reference)) as registry:
        facts = gather(registry, reference, key=key, deep=False, reader=Reader)
    if facts.form != "image":
        raise UsageError(
            "not-an-image", f"{reference} is an artifact, which nothing here can run", hint="deploy what was published `as: image`"
        )
    refused = decide.refused(decide.decide(facts, decide.required(options.require)))
    if refused:
        error = refused[0]
        error.where = error.where or str(reference)
        raise error
    how = spec(f"{reference.name}@{reference.digest}")
    release = policy.release(reference, choice.run, facts.annotations, decide.told(facts), version, model=where.model, spec=how)
    if choice.run is None and release.model != where.model:
        message = f"the image holds the model {release.model[:80]}, and {where.environment} runs {where.model}"
        raise UsageError("other-model", message, where="--image", hint="name the environment of that model")
    return Found(_merged(release, world), choice.entry, choice.run, choice.note)


def _merged(release: Release, world: World) -> Release:
    """With the pull request that its commit came with, where the run was one of main's own."""
    numbers = world.forge.merged_by(release.commit) if release.pull_request is None and release.commit else None
    return replace(release, pull_request=numbers[-1]) if numbers else release


def entry_of(release: Release, history: History | None) -> Entry | None:
    """The recorded run that a release was made of."""
    if history is None or release.run is None:
        return None
    with contextlib.suppress(EnvironmentFailure):
        return next((entry for entry in history.entries() if entry.id == release.run), None)
    return None
