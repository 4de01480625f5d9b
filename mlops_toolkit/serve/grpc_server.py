"""The Open Inference Protocol over gRPC, beside HTTP: the same models, the same batches, the same refusals as status codes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.formats.manifest import Manifest
from mlops_toolkit.serve import grpc_tensors, tensors
from mlops_toolkit.serve.grpc_messages import HEALTH, NOT_SERVING, SERVICE, SERVICE_UNKNOWN, SERVING, messages
from mlops_toolkit.serve.refusals import Refused
from mlops_toolkit.serve.values import DEFAULT, Limits

if TYPE_CHECKING:
    from numpy.typing import NDArray

NEEDS = "pip install 'mlops-toolkit[grpc]'"
# https://grpc.io/docs/guides/status-codes/: which of them a client may try again (UNAVAILABLE), and which would only fail again
CODES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    413: "RESOURCE_EXHAUSTED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
DETAILS = 2000  # bytes of a status message: it travels in a header


@dataclass(frozen=True)
class Model:
    """A model that answers. key: what `Door.infer` knows it by."""

    key: Any
    name: str
    version: str
    versions: tuple[str, ...]
    manifest: Manifest


@dataclass
class Call:
    """A call, for whoever watches. work, token: the server's own."""

    method: str
    id: str
    begun: float
    metadata: Mapping[str, str | bytes]
    model: Model | None = None
    rows: int = 0
    status: int = 200
    refusal: Refused | None = None
    work: Any = None
    token: Any = None


class Door(Protocol):
    """What the server gives: one set of models behind both protocols. Everything is called on the loop's thread."""

    def begun(self, metadata: Mapping[str, str | bytes], method: str) -> Call:
        """A call came."""
        ...

    def admit(self, call: Call, kind: str) -> None:
        """Whether it may ask; kind: `infer`, `metadata`, `health`. Refused `unauthorized`, `too-many`."""
        ...

    def live(self) -> bool: ...

    def ready(self) -> bool: ...

    def pick(self, name: str, version: str | None) -> Model:
        """Refused `unknown-model`, `unknown-version`, `not-ready`."""
        ...

    async def infer(self, call: Call, model: Model, inputs: dict[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        """What the model answers, in the same batches as over HTTP. Refused, also for a model that fails."""
        ...

    def ended(self, call: Call, inputs: Mapping[str, NDArray[Any]] | None, answer: Mapping[str, NDArray[Any]] | None) -> None:
        """It was answered with `call.status` (as over HTTP)."""
        ...


@dataclass(frozen=True)
class Tls:
    """PEM files; client_ca: clients must show a certificate of it."""

    cert: str
    key: str
    client_ca: str = ""


class Server:
    """Listens while it is there: `start`, then `stop`."""

    def __init__(
        self, door: Door, *, name: str, version: str, limits: Limits = DEFAULT, largest: int = 64 * 2**20, most: int = 1000
    ) -> None:
        """name, version: of the server. largest: bytes of a message; most: calls at once, more are refused by gRPC itself, so that `largest`
        times `most` bounds what they hold."""
        try:
            import grpc
            import grpc.aio
        except ImportError as error:
            raise EnvironmentFailure("package-missing", f"gRPC needs the package grpcio: {error}", hint=NEEDS) from error
        self._grpc, self._door, self._limits, self._about = grpc, door, limits, (name, version)
        options = [
            ("grpc.max_receive_message_length", largest),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", 0),  # two servers on one port would share its calls unnoticed
        ]
        self._server: Any = grpc.aio.server(options=options, maximum_concurrent_rpcs=most)
        self._server.add_generic_rpc_handlers((self._handlers(SERVICE, self._methods()), self._handlers(HEALTH, {"Check": self._check})))

    def _methods(self) -> dict[str, Any]:
        return {
            "ServerLive": self._live,
            "ServerReady": self._ready,
            "ModelReady": self._model_ready,
            "ServerMetadata": self._metadata,
            "ModelMetadata": self._model,
            "ModelInfer": self._infer,
        }

    async def start(self, host: str, port: int, tls: Tls | None = None) -> int:
        """Listen; the port. EnvironmentFailure `port-taken`, `package-missing`."""
        where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            made = self._server.add_secure_port(where, self._credentials(tls)) if tls else self._server.add_insecure_port(where)
        except RuntimeError as error:
            raise EnvironmentFailure(
                "port-taken",
                f"cannot listen for gRPC: {error}",
                where=where,
                hint="end what listens there, or name another one: --grpc-port",
            ) from error
        await self._server.start()
        return int(made)

    async def stop(self, grace: float) -> None:
        """Take no more calls; finish those that are here, for at most so many seconds."""
        await self._server.stop(grace)

    def _credentials(self, tls: Tls) -> Any:
        pair = (Path(tls.key).read_bytes(), Path(tls.cert).read_bytes())
        root = Path(tls.client_ca).read_bytes() if tls.client_ca else None
        return self._grpc.ssl_server_credentials([pair], root_certificates=root, require_client_auth=bool(root))

    def _handlers(self, service: str, methods: Mapping[str, Any]) -> Any:
        made = {}
        for name, method in methods.items():
            asked = getattr(messages(), "HealthCheckRequest" if name == "Check" else f"{name}Request")
            told = getattr(messages(), "HealthCheckResponse" if name == "Check" else f"{name}Response")
            made[name] = self._grpc.unary_unary_rpc_method_handler(
                self._guarded(name, method, asked), request_deserializer=None, response_serializer=told.SerializeToString
            )
        return self._grpc.method_handlers_generic_handler(service, made)

    def _guarded(self, name: str, method: Any, asked: Any) -> Any:
        """The method with what every call has: who asks, refusals as status codes, and a word to whoever watches.

        Messages are read here, of class `asked`: gRPC would log a stack trace of each that is none.
        """
        from google.protobuf.message import DecodeError

        kind = "infer" if name == "ModelInfer" else "metadata" if name.endswith("Metadata") else "health"

        async def run(raw: bytes, context: Any) -> Any:
            call = self._door.begun(dict(context.invocation_metadata() or ()), name)
            arrays: dict[str, Any] = {"inputs": None, "answer": None}
            try:
                self._door.admit(call, kind)
                return await method(asked.FromString(raw), call, context, arrays)
            except DecodeError as error:
                call.refusal = Refused("bad-request", f"the message is no {asked.DESCRIPTOR.name}: {error}")
                call.status = call.refusal.status
            except Refused as refusal:
                call.status, call.refusal = refusal.status, refusal
            except BaseException:
                call.status = 499  # the client is gone, or a defect of ours, which gRPC says to it as UNKNOWN
                raise
            finally:
                self._door.ended(call, arrays["inputs"], arrays["answer"])
            code = getattr(self._grpc.StatusCode, CODES.get(call.status, "UNKNOWN"))
            said = call.refusal.sentence.encode()[:DETAILS].decode(errors="ignore")
            after = call.refusal.retry_after
            trailing = [("mlops-error", call.refusal.name), *([("retry-after", str(max(1, round(after))))] if after is not None else [])]
            await context.abort(code, said, tuple(trailing))
            raise AssertionError  # abort raises

        return run

    async def _live(self, message: Any, call: Call, context: Any, arrays: dict[str, Any]) -> Any:
        return messages().ServerLiveResponse(live=self._door.live())

    async def _ready(self, message: Any, call: Call, context: Any, arrays: dict[str, Any]) -> Any:
        return messages().ServerReadyResponse(ready=self._door.ready())

    async def _model_ready(self, message: Any, call: Call, context: Any, arrays: dict[str, Any]) -> Any:
        try:
            call.model = self._door.pick(message.name, message.version or None)
        except Refused as refusal:
            if refusal.status == 404:
                raise
            return messages().ModelReadyResponse(ready=False)
        return messages().ModelReadyResponse(ready=True)

    async def _check(self, message: Any, call: Call, context: Any, arrays: dict[str, Any]) -> Any:
        """gRPC's own health check, for Kubernetes: of the whole server, or of a model."""
        if not message.service or message.service == SERVICE:
            return messages().HealthCheckResponse(status=SERVING if self._door.ready() else NOT_SERVING)
        try:
            self._door.pick(message.service, None)
        except Refused as refusal:
            return messages().HealthCheckResponse(status=SERVICE_UNKNOWN if refusal.status == 404 else NOT_SERVING)
        return messages().HealthCheckResponse(status=SERVING)

    async def _metadata(self, message: Any, call: Call, context: Any, arrays: dict[str, Any]) -> Any:
        name, version = self._about
        return messages().ServerMetadataResponse(name=name, version=version)

    async def _model(self, message: Any, call: Call, context: Any, arrays: dict[str, Any]) -> Any:
        call.model = model = self._door.pick(message.name, message.version or None)
        said = tensors.metadata(model.name, model.versions, model.manifest)
        made = messages().ModelMetadataResponse(name=model.name, versions=model.versions, platform=said["platform"])
        for side in ("inputs", "outputs"):
            for tensor in said[side]:
                getattr(made, side).add(name=tensor["name"], datatype=tensor["datatype"], shape=tensor["shape"])
        return made

    async def _infer(self, message: Any, call: Call, context: Any, arrays: dict[str, Any]) -> Any:
        call.model = model = self._door.pick(message.model_name, message.model_version or None)
        request, raw = grpc_tensors.read(message, model.manifest.signature, limits=self._limits)
        call.rows, arrays["inputs"] = request.rows, request.inputs
        arrays["answer"] = answer = await self._door.infer(call, model, request.inputs)
        return grpc_tensors.write(request, answer, model=model.name, version=model.version, raw=raw)


def call_of(method: str, id_: str, metadata: Mapping[str, str | bytes]) -> Call:
    """A call that begins now."""
    return Call(method, id_, time.perf_counter(), metadata)
