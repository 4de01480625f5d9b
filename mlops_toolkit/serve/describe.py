"""What the server says of itself and its models: metadata, the repository's index, the OpenAPI description, the page."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

import orjson

from mlops_toolkit._version import __version__
from mlops_toolkit.serve import openapi, page, tensors
from mlops_toolkit.serve.calls import lines
from mlops_toolkit.serve.models import Model, Models, Served, versions
from mlops_toolkit.serve.page import Shown
from mlops_toolkit.serve.refusals import Refused

if TYPE_CHECKING:
    from mlops_toolkit.serve.app import App
    from mlops_toolkit.serve.calls import Call
    from mlops_toolkit.serve.settings import Settings

JSON = lines(tensors.JSON)


class Described:
    """Bodies that change only when models come or go; each is made when it is asked for, and kept until then."""

    def __init__(self, models: Models, settings: Settings) -> None:
        self._models, self._settings = models, settings
        self._kept: dict[str, bytes] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def changed(self) -> None:
        """Models came or went."""
        self._kept = {}

    def server(self) -> bytes:
        """GET /v2."""
        return orjson.dumps(tensors.server_metadata("mlops", __version__, ["model_repository"]))

    def names(self) -> bytes:
        """GET /v2/models."""
        return orjson.dumps({"models": sorted(self._models.known)})

    def ready(self, served: Served) -> bytes:
        """GET /v2/models/MODEL/ready."""
        return orjson.dumps({"name": served.name, "version": served.version, "ready": True})

    def model(self, served: Served, version: str | None) -> bytes:
        """GET /v2/models/MODEL[/versions/VERSION]."""
        listed = list(versions(self._models.known[served.name])) if version is None else [version]
        return orjson.dumps(tensors.metadata(served.name, listed, served.loaded.manifest))

    def index(self, body: bytes) -> bytes:
        """POST /v2/repository/index, with {"ready": true} of what is ready alone."""
        try:
            asked = orjson.loads(body) if body.strip() else {}
        except orjson.JSONDecodeError as error:
            raise Refused("bad-json", f"the request is no JSON: {error.msg}") from error
        if not isinstance(asked, dict):
            raise Refused("bad-request", "the request is no object", hint='{"ready": true}, or nothing')
        alone = asked.get("ready") is True
        return orjson.dumps([one for one in self._models.index() if not alone or one["state"] == "READY"])

    def openapi(self) -> bytes:
        """GET /openapi.json."""
        made = self._kept.get("openapi")
        if made is None:
            listed = [(model.name, list(versions(model)), model.newest) for model in self._models.known.values()]
            shown = [openapi.shown(name, answering, newest.loaded) for name, answering, newest in sorted(listed) if newest is not None]
            token = bool(self._settings.token or self._settings.token_file)
            settings = self._settings
            told = openapi.description(shown, version=__version__, token=token, repository=settings.repository, opened=settings.open)
            made = self._kept["openapi"] = orjson.dumps(told)
        return made

    def page(self) -> tuple[bytes, bytes]:
        """GET /: headers and body."""
        if "page" not in self._kept:
            token = bool(self._settings.token or self._settings.token_file)
            listed = [self._shown(model) for _, model in sorted(self._models.known.items())]
            self._kept["page"], headers = page.page(listed, version=__version__, token=token)
            self._kept["page headers"] = lines([(name.encode(), text.encode()) for name, text in headers.items()])
        return self._kept["page headers"], self._kept["page"]

    def _shown(self, model: Model) -> Shown:
        newest = model.newest
        if newest is None:
            return page.shown(model.name, None, (), _trouble(model))
        return page.shown(
            model.name, newest.loaded, [*versions(model)], _trouble(model), self._models.watch.about(model.name, newest.version)
        )

    def later(self, call: Call, app: App, doing: Coroutine[Any, Any, None]) -> None:
        """Answer {} once it is done, or with its refusal."""

        async def run() -> None:
            try:
                await doing
            except Refused as refusal:
                app.refused(call, refusal)
            except Exception as error:  # noqa: BLE001  # whatever it is, the client gets an answer
                app.failed(call, error, "defect")
            else:
                app.answer(call, 200, JSON, b"{}")

        task = asyncio.get_running_loop().create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _trouble(model: Model) -> str | None:
    """Why a model does not answer, or not with a version that lies there."""
    if not model.ready or model.failed:
        return model.reason
    return None
