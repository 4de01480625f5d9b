"""The models of a server: brought, proven, swapped for newer ones while they answer, and let go when nobody waits for them."""

from __future__ import annotations

import asyncio
import functools
import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_toolkit.errors import MlopsError
from mlops_toolkit.formats.load import Loaded
from mlops_toolkit.plug import did_you_mean
from mlops_toolkit.serve import bring, places
from mlops_toolkit.serve.batching import Batcher
from mlops_toolkit.serve.places import Place, Print
from mlops_toolkit.serve.refusals import Refused
from mlops_toolkit.serve.settings import Settings

if TYPE_CHECKING:
    from mlops_toolkit.serve.logs import Log
    from mlops_toolkit.serve.watched import Watch

AGAIN = 60.0  # seconds, at most, until what failed is tried again


@dataclass(eq=False)
class Served:
    """A version of a model that answers."""

    place: Place
    batcher: Batcher
    loaded: Loaded

    @property
    def name(self) -> str:
        return self.place.name

    @property
    def version(self) -> str:
        return self.place.version


@dataclass
class Failure:
    """A version that could not be loaded, or does not answer its golden examples."""

    place: Place
    reason: str
    tries: int
    again: float


@dataclass
class Model:
    """All of one name: what answers, by version, and what failed."""

    name: str
    ready: dict[str, Served] = field(default_factory=dict)
    failed: dict[Print, Failure] = field(default_factory=dict)
    loading: str | None = None
    off: bool = False  # unloaded by the repository API, until it is loaded again
    missed: int = 0  # looks in a row that did not find it
    newest: Served | None = None  # of what answers

    def put(self, served: Served) -> None:
        """It answers from now on."""
        self.ready[served.version] = served
        self._order()

    def take(self, version: str) -> Served:
        """It answers nothing new from now on."""
        gone = self.ready.pop(version)
        self._order()
        return gone

    def _order(self) -> None:
        self.newest = self.ready[max(self.ready, key=places.order)] if self.ready else None

    @property
    def reason(self) -> str:
        """Why it does not answer."""
        if self.off:
            return "it was unloaded"
        if self.loading:
            return f"version {self.loading} is being loaded"
        if self.failed:
            last = max(self.failed.values(), key=lambda one: places.order(one.place.version))
            return f"version {last.place.version}: {last.reason}"
        return "it is not loaded yet"


class Models:
    """Everything that is served. All of it happens on the loop's thread but for reading folders and for what models do in their own."""

    def __init__(self, roots: Sequence[Path], settings: Settings, watch: Watch, log: Log) -> None:
        self.roots, self.settings, self.watch, self.log = list(roots), settings, watch, log
        self.changed: Callable[[], None] = lambda: None
        self.known: dict[str, Model] = {}
        self.wrong: list[str] = ["nothing was looked for yet"]
        self._looking = asyncio.Lock()
        self._ending: set[asyncio.Task[None]] = set()
        self._leaving: set[Served] = set()

    # asking

    def pick(self, name: str, version: str | None = None) -> Served:
        """What answers a request. Refused `unknown-model`, `unknown-version`, `not-ready`."""
        model = self.known.get(name)
        if model is None:
            hint = did_you_mean(name[:200], self.known) if self.known else "there is none"
            raise Refused("unknown-model", f'there is no model "{name}"', hint=hint)
        served = model.newest if version is None else model.ready.get(version)
        if served is not None:
            return served
        if version is None or not model.ready:
            raise Refused("not-ready", f'the model "{name}" does not answer: {model.reason}', retry_after=5)
        raise Refused(
            "unknown-version", f'of the model "{name}" there is no version "{version}"', hint=f"there are {', '.join(model.ready)}"
        )

    def only(self) -> str:
        """The name of the one model there is. Refused `unknown-path` where there are more, or none."""
        if len(self.known) == 1:
            return next(iter(self.known))
        if not self.known:
            raise Refused("not-ready", f"there is no model: {'; '.join(self.wrong)}", retry_after=5)
        raise Refused("unknown-path", "there are several models", hint=f"POST /predict/MODEL: {', '.join(sorted(self.known))}")

    def troubles(self) -> list[str]:
        """Why not everything is ready, a sentence each; empty where it is. An unloaded model is not missed."""
        found = [f"{model.name}: {model.reason}" for model in self.known.values() if not model.ready and not model.off]
        return found or ([] if self.known else list(self.wrong) or ["there is no model"])

    def all(self) -> list[Served]:
        """Every version that answers."""
        return [served for model in self.known.values() for served in model.ready.values()]

    def working(self) -> list[Served]:
        """Every version that answers, or still has to."""
        return [*self.all(), *self._leaving]

    def index(self) -> list[dict[str, Any]]:
        """As the model repository extension lists them."""
        listed: list[dict[str, Any]] = []
        for model in self.known.values():
            listed += [{"name": model.name, "version": one, "state": "READY", "reason": ""} for one in model.ready]
            listed += [
                {"name": model.name, "version": one.place.version, "state": "UNAVAILABLE", "reason": one.reason}
                for one in model.failed.values()
            ]
            if model.loading:
                listed.append({"name": model.name, "version": model.loading, "state": "LOADING", "reason": ""})
            if not model.ready and not model.failed and not model.loading:
                listed.append({"name": model.name, "version": "", "state": "UNAVAILABLE", "reason": model.reason})
        return listed

    # looking

    async def look(self, only: str | None = None) -> None:
        """Look at the folders, and load and let go what that asks for. only: the one model, tried again even if it failed before."""
        async with self._looking:
            found, wrong = await asyncio.get_running_loop().run_in_executor(None, places.search, self.roots, self.settings.name)
            for sentence in wrong:
                if sentence not in self.wrong:
                    self.log.say("warning", sentence)
            self.wrong = wrong
            by_name: dict[str, list[Place]] = {}
            for place in found:
                by_name.setdefault(place.name, []).append(place)
            for name in by_name:
                self.known.setdefault(name, Model(name))
            if not found and not self.known:
                self.wrong = wrong or [f"there is no model below {', '.join(map(str, self.roots))}"]
            names = [name for name in self.known if only in (None, name)]
            await asyncio.gather(*(self._update(self.known[name], by_name.get(name, []), forced=only is not None) for name in names))
            self.changed()

    async def _update(self, model: Model, found: Sequence[Place], *, forced: bool = False) -> None:
        """One model: load what is new; swap; let go what is old."""
        if model.off:
            return
        model.missed = 0 if found else model.missed + 1
        if not found:
            # A folder that is swapped for another may be missed once.
            if model.missed > 1:
                for version in list(model.ready):
                    self._let_go(model, version)
                del self.known[model.name]
            return
        prints = {place.print for place in found}
        model.failed = {mark: failure for mark, failure in model.failed.items() if mark in prints}
        tried: set[Print] = set()
        while True:
            now = time.monotonic()
            broken = {mark for mark, one in model.failed.items() if mark in tried or (one.again > now and not forced)}
            have = {version: one.place.print for version, one in model.ready.items()}
            load, leave = places.wanted(found, have, broken, every=self.settings.versions == "all")
            if not load:
                break
            for place in load:
                tried.add(place.print)
                await self._load(model, place)
                if model.off:
                    return
        for version in leave:
            self._let_go(model, version)

    async def _load(self, model: Model, place: Place) -> None:
        """Bring a version in a thread of its own; once it is proven it takes the place of the one of that name, never before."""
        begun = time.perf_counter()
        model.loading = place.version
        self.changed()
        batcher = self._batcher(place)
        try:
            loaded = await bring.bring(place, batcher, self.settings)
        except Exception as error:  # noqa: BLE001  # whatever a model's own code raises is why it is not served
            batcher.stop()
            reason = " ".join((error.message if isinstance(error, MlopsError) else f"{type(error).__name__}: {error}").split())[:500]
            before = model.failed.get(place.print)
            tries = before.tries + 1 if before else 1
            again = min(AGAIN, max(1.0, self.settings.poll) * 2 ** (tries - 1))
            model.failed[place.print] = Failure(place, reason, tries, time.monotonic() + again)
            self.watch.loaded(place.name, place.version, time.perf_counter() - begun, False, reason)
        else:
            if model.off:  # unloaded meanwhile
                batcher.stop()
                return
            model.failed.pop(place.print, None)
            old = model.ready.get(place.version)
            model.put(Served(place, batcher, loaded))
            if old is not None:
                self._leave(old)
            seconds = time.perf_counter() - begun
            self.watch.loaded(place.name, place.version, seconds, True, None, folder=place.folder, manifest=loaded.manifest)
        finally:
            model.loading = None
            self.changed()

    def _batcher(self, place: Place) -> Batcher:
        settings = self.settings
        return Batcher(
            place.name,
            loop=asyncio.get_running_loop(),
            max_batch=settings.max_batch,
            latency_target=settings.latency_target,
            max_wait=settings.max_wait,
            batched=functools.partial(self.watch.batch, place.name, place.version),
        )

    def _let_go(self, model: Model, version: str) -> None:
        self._leave(model.take(version))
        self.changed()

    def _leave(self, served: Served) -> None:
        """Let a version go once what it was asked is answered."""
        self._leaving.add(served)
        task = asyncio.get_running_loop().create_task(self._emptied(served))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _emptied(self, served: Served) -> None:
        while not served.batcher.empty():
            await asyncio.sleep(0.02)
        served.batcher.stop()
        self._leaving.discard(served)
        model = self.known.get(served.name)
        if model is None or served.version not in model.ready:
            self.watch.unloaded(served.name, served.version)
        del served
        await asyncio.sleep(0.1)
        await asyncio.get_running_loop().run_in_executor(None, gc.collect)

    # the repository API

    async def load(self, name: str) -> None:
        """Load a model that lies in the folders, or its newer version. Refused `unknown-model`, `not-ready` with the reason."""
        model = self.known.get(name)
        before = model.newest if model is not None else None
        if model is not None:
            model.off = False
        await self.look(name)
        if self.pick(name) is before and (failed := self.known[name].failed):
            raise Refused("not-ready", f'the newer version of "{name}" does not answer: {next(iter(failed.values())).reason}', status=400)

    def unload(self, name: str) -> None:
        """Let a model go, until it is loaded again. Refused `unknown-model`."""
        model = self.known.get(name)
        if model is None:
            self.pick(name)
            return
        model.off = True
        for version in list(model.ready):
            self._let_go(model, version)
        self.changed()

    def expire(self, now: float) -> None:
        """Give up requests whose time is over, and say how many rows wait."""
        limit = self.settings.time_limit
        waiting: dict[str, int] = {}
        for served in self.working():
            if not served.batcher.empty():
                served.batcher.expire(now, Refused("too-slow", f"there was no answer within {limit:g} s", retry_after=1))
            waiting[served.name] = waiting.get(served.name, 0) + served.batcher.waiting
        for name, rows in waiting.items():
            self.watch.queue(name, rows)

    def stuck(self, longer: float) -> str | None:
        """The name of a model whose thread has been at one batch for longer than so many seconds."""
        return next((served.name for served in self.working() if served.batcher.stuck() > longer), None)


def versions(model: Model) -> Mapping[str, Served]:
    """What answers of a model, newest first."""
    return {version: model.ready[version] for version in sorted(model.ready, key=places.order, reverse=True)}
