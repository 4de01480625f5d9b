"""Publishing one run, step by step: its model brought here, made into an image, looked at, proven, tagged, recorded and told."""

from __future__ import annotations

import argparse
import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_toolkit import plug
from mlops_toolkit.config.publishing import Publish
from mlops_toolkit.errors import EnvironmentFailure, InvalidFile, MlopsError, UsageError
from mlops_toolkit.forge.base import Posted, Release
from mlops_toolkit.formats import manifest as manifests
from mlops_toolkit.formats.refused import SAVE, refuse
from mlops_toolkit.history import upkeep
from mlops_toolkit.history.base import Entry
from mlops_toolkit.history.local import LocalHistory
from mlops_toolkit.models.base import short
from mlops_toolkit.models.open import fetch
from mlops_toolkit.oci.reference import Reference
from mlops_toolkit.publish import card, marks, notes, policy, proof, search, send, tags
from mlops_toolkit.publish.card import Facts
from mlops_toolkit.publish.notes import Image
from mlops_toolkit.publish.search import Found
from mlops_toolkit.publish.send import Registries, Say, There
from mlops_toolkit.publish.tags import Names, Step
from mlops_toolkit.publish.target import Target
from mlops_toolkit.records.run import Publication
from mlops_toolkit.report import words
from mlops_toolkit.system.clock import iso
from mlops_toolkit.system.files import cache
from mlops_toolkit.world import World

if TYPE_CHECKING:
    from mlops_toolkit.image.wanted import Pushed

STATE = ".mlops"
# `publish.as` -> what makes it and sends it by digest: (Wanted, registries, say) -> Pushed
FORMS = {"image": "mlops_toolkit.image.push:push", "artifact": "mlops_toolkit.image.artifact:push"}
CARD = "usr/share/mlops/{name}/" + card.FILE


@dataclass(frozen=True)
class Plan:
    """What is to be done, with nothing done yet. reference: the repository; there: what it holds of it already."""

    target: Target
    found: Found
    facts: Facts
    reference: Reference
    names: Names
    there: There
    name: str
    epoch: int

    @property
    def options(self) -> Publish:
        return self.found.loaded.config.publish

    @property
    def digest(self) -> str | None:
        """Of the image that is there already; None where it has to be made."""
        return self.there.same[1] if self.there.same else None


@dataclass(frozen=True)
class Done:
    """What was done. made: an image was sent; notes: Markdown of the release; troubles: (what could not be told or recorded, the way out)."""

    image: Image
    steps: tuple[Step, ...]
    made: bool
    sent_bytes: int = 0
    sent_blobs: int = 0
    seconds: float = 0.0
    platforms: Mapping[str, str] = field(default_factory=dict)
    notes: str = ""
    release: str | None = None
    troubles: tuple[tuple[str, str | None], ...] = ()


def plan(target: Target, found: Found, ruling: policy.Ruling, registries: Registries, world: World) -> Plan:
    """Decide everything that can be decided before anything is sent. UsageErrors `tag-taken`, `no-image-name`, `bad-tag`, `bad-reference`."""
    run, options = found.run, found.loaded.config.publish
    if run.trained is None:
        hint = "a model of a vendor's, or one that is only code, is nothing that could be put into an image"
        raise UsageError("no-model", f"run {run.id} has no model on record", hint=hint)
    context, where = world.context, found.loaded.at("publish.image")
    remote = world.git.remote_url() if world.git else None
    reference = send.repository(
        options.image, server=context.server_url, slug=context.repository, remote=remote, name=run.model, where=where
    )
    reference = send.own(reference, run.matrix)
    page = f"{context.server_url}/{context.repository}" if context.server_url and context.repository else None
    names = tags.names(options.tags, tag=target.tag, model=run.model, commit=target.at.commit)
    if not names.all:
        hint = "push a tag like v1.2.3, or add `sha` to `publish.tags`"
        raise UsageError(
            "no-tag",
            f"nothing would point at the image: no tag of git is published, and publish.tags is {', '.join(options.tags)}",
            hint=hint,
        )
    facts = Facts(found.judged, ruling, None, search.previous(found, target, world, page), page)
    there = send.look(registries(reference), names, facts)
    name = reference.repository.rpartition("/")[2] if run.matrix else run.model
    return Plan(target, found, facts, reference, names, there, name, _epoch(target, found, world))


def _epoch(target: Target, found: Found, world: World) -> int:
    """Seconds since 1970 that stand for "made": SOURCE_DATE_EPOCH, the commit's time, else the run's."""
    told = world.env.get("SOURCE_DATE_EPOCH", "")
    if told.isascii() and told.isdigit():
        return int(told)
    lines = world.git.lines("show", "--no-patch", "--format=%ct", target.at.commit) if world.git else []
    if lines and lines[0].isdigit():
        return int(lines[0])
    from datetime import datetime

    return int(datetime.fromisoformat(found.run.started.replace("Z", "+00:00")).timestamp()) if found.run.started else 0


def perform(made: Plan, registries: Registries, world: World, say: Say) -> Done:
    """Do it. Whatever fails before the tags leaves them as they were."""
    begun, started = world.clock.monotonic(), iso(world.clock.now())
    registry = registries(made.reference)
    signer = proof.key(made.options.sign, world.env, made.found.loaded.folder)
    with _model(made, world, say) as (folder, facts):
        made = replace(made, facts=facts)
        digest, pushed = made.digest, None
        if digest is None:
            pushed = _made(made, folder, registries, world, say)
            digest = pushed.digest
        # One that has another tag is looked at again: what is known against it may be new.
        if made.there.pointing.get(made.names.all[0]) != digest:
            _scan(made, digest, world, say)
        if pushed is not None:
            sent = proof.prove(
                registry,
                pushed,
                facts,
                made.names,
                form=made.options.as_,
                epoch=made.epoch,
                started=started,
                signer=signer,
                context=world.context,
                env=world.env,
                clock=world.clock,
                kept=_statements(made),
            )
            say(f"attached bill of materials, provenance and verdict{', signed' if signer else ''} ({words.count(sent, 'document')} sent)")
    steps = send.put(registry, made.names, digest, made.there, say)
    _statements(made).unlink(missing_ok=True)
    image = Image(made.reference.name, digest, _pointing(made, steps), made.options.as_, made.options.sign)
    done = Done(
        image,
        steps,
        pushed is not None,
        registry.sent_bytes,
        registry.sent_blobs,
        world.clock.monotonic() - begun,
        pushed.platforms if pushed else {},
        notes.notes(made.facts, image),
    )
    send.still(registry, made.names, digest)
    done = _tell(made, _record(made, done, world), world)
    try:
        send.still(registry, made.names, digest)
    except UsageError:
        with contextlib.suppress(MlopsError, OSError):  # the other one's record says whose it is
            upkeep.take_back(_history(made.found), made.found.entry)
        raise
    return done


def _statements(made: Plan) -> Path:
    """Where what is to be attached is kept until the tags are put."""
    return made.found.loaded.folder / STATE / "cache" / f"attach-{made.found.run.id}.jsonl"


def _history(found: Found) -> LocalHistory:
    assert isinstance(found.history, LocalHistory)  # noqa: S101 -- open_history makes no other
    return found.history


def _pointing(made: Plan, steps: tuple[Step, ...]) -> tuple[str, ...]:
    """The tags that point at it now, the release's own first."""
    return tuple(step.tag for step in steps if step.put or step.why == tags.THERE)


@contextlib.contextmanager
def _model(made: Plan, world: World, say: Say) -> Iterator[tuple[Path, Facts]]:
    """The run's very model on this disk, by its digest, and what its manifest says. EnvironmentFailure `model-unreachable`."""
    run = made.found.run
    trained = run.trained
    assert trained is not None  # noqa: S101 -- `plan` looked
    folder = made.found.loaded.folder / STATE / "cache"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="publish-", dir=folder) as temporary:
        place = Path(temporary) / (Path(trained.path).name or "model")
        try:
            fetch(trained, place, world.models, env=world.env)
        except EnvironmentFailure:
            if made.digest is None:
                raise
            yield place, made.facts  # its image is there already: it is wanted for what the card says of it alone
            return
        say(f"model {short(trained.digest)}, {words.size(trained.size)}")
        served = _served(place, made.options.as_)
        yield place, replace(made.facts, served=served)


def _served(place: Path, form: str) -> manifests.Manifest | None:
    """The manifest of the model's folder. UsageError `not-served` for one that no image can serve, `executing-format` for one that only runs."""
    if not place.is_dir() or not (place / manifests.NAME).exists():
        refuse(place)
        if form == "artifact":
            return None
        hint = f"{SAVE}; or publish the model alone, for another server: publish: {{as: artifact}}"
        raise UsageError(
            "not-served", "the model is not a folder that mlops.save wrote: nothing says what goes in and what answers", hint=hint
        )
    try:
        found = manifests.read(place)
        manifests.verify(place, found)
    except InvalidFile as error:  # its place is a temporary one, which nobody knows
        raise InvalidFile(error.name, error.message, where="the recorded model", hint=error.hint) from error
    return found


def _made(made: Plan, model: Path, registries: Registries, world: World, say: Say) -> Pushed:
    """The image, sent by digest."""
    from mlops_toolkit.image import wanted as images

    options, written = made.options, card.card(made.facts).encode()
    wanted = images.Wanted(
        model=model,
        name=made.name,
        repository=made.reference,
        base=Reference.parse(options.base or images.default_base(_python(made)), where=made.found.loaded.at("publish.base")),
        cache=cache(world.env) / "images",  # built and brought layers
        platforms=options.platforms,
        packages=options.packages,
        annotations=marks.marks(made.facts),
        documents={CARD.format(name=made.name): written},
        epoch=made.epoch,
        python=options.python,
        mirrors=options.mirrors,
    )
    if options.dockerfile or options.system_packages:
        from mlops_toolkit.image.docker import Recipe, build

        folder = made.found.loaded.folder
        recipe = Recipe(folder / options.dockerfile if options.dockerfile else None, folder, options.system_packages)
        pushed: Pushed = build(wanted, recipe, registries, say, env=world.env)
    else:
        pushed = plug.load("form", FORMS, options.as_)(wanted, registries, say)
    for layer in pushed.layers:
        if not layer.sent:
            say(f"{layer.what}, {words.size(layer.size)}: there already")
    say(f"{made.reference.name}@{pushed.digest}: {words.size(pushed.sent_bytes)} sent")
    return pushed


def _python(made: Plan) -> str:
    """The version of Python that saved the model, "" where nothing says it."""
    return made.facts.served.python if made.facts.served else ""


def _scan(made: Plan, digest: str, world: World, say: Say) -> None:
    if made.options.scan is None:
        return
    from mlops_toolkit.supply.scan import scan

    log = made.found.loaded.folder / STATE / "scan.log"
    found = scan(made.options.scan, f"{made.reference.name}@{digest}", env=world.env, cwd=made.found.loaded.folder, log=log)
    say(f"the scanner let it pass in {words.seconds(found.seconds)}")


# ── afterwards ────────────────────────────────────────────────────────


def _record(made: Plan, done: Done, world: World) -> Done:
    """Say in the history where the run was published, and what it was released as; a name is one run's alone. A refusal is a trouble, not an error:
    the image is out, and the next run of the same tag mends it."""
    found, ruling, target = made.found, made.facts.ruling, made.target
    override = ruling.override
    publication = Publication(
        done.image.name,
        done.image.digest,
        done.image.tags,
        made.options.as_,
        iso(world.clock.now()),
        override.by if override else None,
        override.reason if override else None,
        ruling.overridden,
    )
    history = _history(found)
    version = made.names.version
    name = target.tag if target.tag and (version is None or not version.pre) else None
    troubles = []
    try:
        kept = upkeep.published(history, found.entry, publication, name)
        if not kept.pushed:
            raise EnvironmentFailure("history-not-written", kept.reason or "the remote did not take it", hint=kept.hint)
        for other in _named_so(found, name):
            upkeep.take_back(history, other)
    except (MlopsError, OSError) as error:
        hint = error.hint if isinstance(error, MlopsError) else None
        troubles.append(
            (f"the history does not say that run {found.run.id} was published: {error}", hint or "publish again: nothing is sent twice")
        )
    return replace(done, troubles=(*done.troubles, *troubles))


def _named_so(found: Found, name: str | None) -> Iterator[Entry]:
    """Other runs of the model that are released under the name: the registry says whose it is."""
    for entry in found.history.entries():
        if name is not None and entry.released and entry.key == found.entry.key and entry.id != found.entry.id:
            run = found.history.run(entry.id)
            if run is not None and run.released == name:
                yield entry


def _tell(made: Plan, done: Done, world: World) -> Done:
    """The release of the tag, where there is a forge and a tag; on a laptop a file."""
    if made.target.tag is None:
        return done
    version = made.names.version
    release = Release(made.target.tag, made.found.entry.key, done.notes, bool(version and version.pre))
    posted = world.forge.release(release) if world.context.ci else Posted()
    troubles = ((posted.reason, posted.hint),) if posted.reason else ()
    return replace(done, release=posted.url, troubles=(*done.troubles, *troubles))


def override(args: argparse.Namespace, world: World) -> policy.Override | None:
    """Who overrides, and why. In a CI it is whoever started the run, beside the name that is given."""
    actor, by, reason = world.context.actor or "", args.by, args.override
    if world.context.ci and reason:
        by = f"{by} (run by {actor})" if by and actor and by != actor else by or actor
    return policy.override(reason, by)
