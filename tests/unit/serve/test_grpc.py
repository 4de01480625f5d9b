"""The protocol over gRPC: its messages on the wire, the same arrays and refusals as over HTTP, health as Kubernetes asks for it."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import numpy as np
import pytest
from google.protobuf import descriptor_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.formats.load import Loaded, load
from mlops_toolkit.serve import grpc_tensors
from mlops_toolkit.serve.grpc_messages import CONTENTS, HEALTH, SERVICE, messages
from mlops_toolkit.serve.grpc_server import Call, Model, Server, Tls, call_of
from mlops_toolkit.serve.raw import to_bytes
from mlops_toolkit.serve.refusals import Refused
from mlops_toolkit.serve.values import Limits
from tests.unit.formats.saved import EXAMPLE, save
from tests.unit.serve.models import ALL, values

M = messages()


class Door:
    """One model, as a server has it behind both protocols."""

    def __init__(self, loaded: Loaded, token: str = "", slow: float = 0) -> None:
        self.loaded, self.token, self.slow = loaded, token, slow
        self.ended_: list[Call] = []

    def begun(self, metadata: Mapping[str, str | bytes], method: str) -> Call:
        return call_of(method, str(metadata.get("x-request-id", "1")), metadata)

    def admit(self, call: Call, kind: str) -> None:
        if self.token and kind != "health" and call.metadata.get("authorization") != f"Bearer {self.token}":
            raise Refused("unauthorized", "a token is wanted")

    def live(self) -> bool:
        return True

    def ready(self) -> bool:
        return True

    def pick(self, name: str, version: str | None) -> Model:
        if name == "late":
            raise Refused("not-ready", "it is being loaded", retry_after=5)
        if name != "m":
            raise Refused("unknown-model", f'there is no model "{name}"')
        return Model(None, "m", version or "1", ("1",), self.loaded.manifest)

    async def infer(self, call: Call, model: Model, inputs: dict[str, Any]) -> Mapping[str, Any]:
        if self.slow:
            await asyncio.sleep(self.slow)
        return self.loaded.answer(inputs)

    def ended(self, call: Call, inputs: Any, answer: Any) -> None:
        self.ended_.append(call)


def talk(door: Door, talking: Callable[[Any], Awaitable[None]], *, tls: Tls | None = None, credentials: Any = None, **more: Any) -> None:
    """Have a real client of gRPC's own talk to a server on a real socket."""

    async def run() -> None:
        server = Server(door, name="mlops", version="1.0", **more)
        port = await server.start("127.0.0.1", 0, tls)
        where = f"localhost:{port}"
        channel = grpc.aio.secure_channel(where, credentials) if credentials else grpc.aio.insecure_channel(where)
        try:
            async with channel:
                await asyncio.wait_for(talking(channel), 60)
        finally:
            await server.stop(1)

    asyncio.run(run())


async def ask(channel: Any, method: str, message: Any, service: str = SERVICE, **more: Any) -> Any:
    told = "HealthCheckResponse" if method == "Check" else f"{method}Response"
    call = channel.unary_unary(
        f"/{service}/{method}", request_serializer=type(message).SerializeToString, response_deserializer=getattr(M, told).FromString
    )
    return await call(message, timeout=10, **more)


def infer(*, raw: bool, x: Any = EXAMPLE["x"][:2], name: str = "m") -> Any:
    message = M.ModelInferRequest(model_name=name, id="7")
    tensor = message.inputs.add(name="x", datatype="FP32", shape=x.shape)
    if raw:
        message.raw_input_contents.append(x.tobytes())
    else:
        tensor.contents.fp32_contents.extend(x.reshape(-1).tolist())
    return message


def test_a_client_asks_everything(tmp_path: Path) -> None:
    door = Door(load(save(tmp_path)))
    expected = door.loaded.answer({"x": EXAMPLE["x"][:2]})

    async def talking(channel: Any) -> None:
        assert (await ask(channel, "ServerLive", M.ServerLiveRequest())).live
        assert (await ask(channel, "ServerReady", M.ServerReadyRequest())).ready
        assert (await ask(channel, "ModelReady", M.ModelReadyRequest(name="m"))).ready
        assert not (await ask(channel, "ModelReady", M.ModelReadyRequest(name="late"))).ready
        about = await ask(channel, "ServerMetadata", M.ServerMetadataRequest())
        assert (about.name, about.version) == ("mlops", "1.0")
        model = await ask(channel, "ModelMetadata", M.ModelMetadataRequest(name="m"))
        assert [(one.name, one.datatype, list(one.shape)) for one in model.inputs] == [("x", "FP32", [-1, 4])]
        assert list(model.versions) == ["1"]
        for service, status in (("", 1), ("m", 1), ("late", 2), ("none", 3)):
            assert (await ask(channel, "Check", M.HealthCheckRequest(service=service), HEALTH)).status == status
        answer = await ask(channel, "ModelInfer", infer(raw=True))
        assert (answer.id, answer.model_name, [one.name for one in answer.outputs]) == ("7", "m", ["label", "score"])
        assert answer.raw_output_contents[1] == expected["score"].tobytes()
        assert answer.raw_output_contents[0] == to_bytes(expected["label"])
        typed = await ask(channel, "ModelInfer", infer(raw=False))
        assert list(typed.outputs[0].contents.bytes_contents) == [one.encode() for one in expected["label"]]
        field = CONTENTS[typed.outputs[1].datatype]
        assert list(getattr(typed.outputs[1].contents, field)) == expected["score"].tolist()

    talk(door, talking)
    asked = [call for call in door.ended_ if call.method == "ModelInfer"]
    assert [(call.status, call.rows, call.model and call.model.name) for call in asked] == [(200, 2, "m")] * 2


def test_refusals_are_status_codes_with_our_name_and_retry_after(tmp_path: Path) -> None:
    door = Door(load(save(tmp_path)))
    short = infer(raw=True)
    short.raw_input_contents[0] = b"\0" * 31
    nan = infer(raw=True, x=np.full((1, 4), np.nan, np.float32))
    both = infer(raw=True)
    both.inputs[0].contents.fp32_contents.append(1)
    other = infer(raw=False)
    other.inputs[0].contents.ClearField("fp32_contents")
    other.inputs[0].contents.fp64_contents.extend([1.0] * 8)
    typed = infer(raw=True)
    typed.inputs[0].datatype = "FP64" + "ü" * 3000
    shared = infer(raw=True)
    shared.inputs[0].parameters["shared_memory_region"].string_param = "r"
    huge = infer(raw=True)
    huge.inputs[0].shape[:] = [2**62, 4]

    async def talking(channel: Any) -> None:
        for message, code, name, sentence in (
            (infer(raw=True, name="n"), "NOT_FOUND", "unknown-model", 'there is no model "n"'),
            (infer(raw=True, name="late"), "UNAVAILABLE", "not-ready", "it is being loaded"),
            (short, "INVALID_ARGUMENT", "bad-tensor", 'the input "x" has 31 bytes; FP32 [2, 4] has 32'),
            (nan, "INVALID_ARGUMENT", "not-a-number", "holds NaN"),
            (both, "INVALID_ARGUMENT", "bad-request", "has contents, and there are raw_input_contents"),
            (other, "INVALID_ARGUMENT", "wrong-shape", "FP32 belongs into fp32_contents, not fp64_contents"),
            (typed, "INVALID_ARGUMENT", "wrong-type", 'the input "x" is FP32, not FP64'),
            (shared, "INVALID_ARGUMENT", "unsupported-parameter", "shared_memory_region"),
            (huge, "INVALID_ARGUMENT", "bad-tensor", "has 32 bytes"),
            (M.ModelInferRequest(model_name="m"), "INVALID_ARGUMENT", "missing-input", 'the input "x" is missing'),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await ask(channel, "ModelInfer", message)
            trailing = dict(caught.value.trailing_metadata())
            assert (caught.value.code().name, trailing["mlops-error"]) == (code, name)
            assert sentence in caught.value.details()
            assert ("retry-after" in trailing) is (name == "not-ready")
        with pytest.raises(grpc.aio.AioRpcError) as caught:  # no message at all
            await channel.unary_unary(f"/{SERVICE}/ModelInfer")(b"\xff\xff\xff", timeout=10)
        assert caught.value.code().name == "INVALID_ARGUMENT"
        assert (await ask(channel, "ModelInfer", infer(raw=True))).id == "7"

    talk(door, talking)


def test_tokens_size_and_clients_that_leave(tmp_path: Path) -> None:
    door = Door(load(save(tmp_path)), token="secret", slow=0.2)

    async def talking(channel: Any) -> None:
        assert (await ask(channel, "ServerReady", M.ServerReadyRequest())).ready
        with pytest.raises(grpc.aio.AioRpcError, match="UNAUTHENTICATED"):
            await ask(channel, "ModelMetadata", M.ModelMetadataRequest(name="m"))
        allowed = (("authorization", "Bearer secret"), ("x-request-id", "abc"))
        with pytest.raises(grpc.aio.AioRpcError, match="RESOURCE_EXHAUSTED"):
            await ask(channel, "ModelInfer", infer(raw=True, x=np.zeros((100, 4), np.float32)), metadata=allowed)
        leaving = asyncio.create_task(ask(channel, "ModelInfer", infer(raw=True), metadata=allowed))
        await asyncio.sleep(0.05)
        leaving.cancel()
        assert (await ask(channel, "ModelInfer", infer(raw=True), metadata=allowed)).id == "7"

    talk(door, talking, largest=1000)
    assert sorted(call.status for call in door.ended_ if call.method == "ModelInfer") == [200, 499]
    assert door.ended_[-1].id == "abc"


def test_a_port_that_is_taken_is_an_error(tmp_path: Path) -> None:
    door = Door(load(save(tmp_path)))

    async def run() -> None:
        first, second = (Server(door, name="m", version="1") for _ in range(2))
        port = await first.start("127.0.0.1", 0)
        with pytest.raises(EnvironmentFailure, match="cannot listen for gRPC") as caught:
            await second.start("127.0.0.1", port)
        assert caught.value.name == "port-taken"
        await first.stop(0)

    asyncio.run(run())


def test_both_sides_show_certificates(tmp_path: Path) -> None:
    key, cert = tmp_path / "key", tmp_path / "cert"
    made = [
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=DNS:localhost",
    ]
    subprocess.run(["openssl", *made, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True, timeout=60)
    door, tls = Door(load(save(tmp_path))), Tls(str(cert), str(key), str(cert))

    async def talking(channel: Any) -> None:
        assert (await ask(channel, "ModelInfer", infer(raw=True))).id == "7"

    async def refused(channel: Any) -> None:
        with pytest.raises(grpc.aio.AioRpcError, match="UNAVAILABLE"):
            await ask(channel, "ServerLive", M.ServerLiveRequest())

    talk(door, talking, tls=tls, credentials=grpc.ssl_channel_credentials(cert.read_bytes(), key.read_bytes(), cert.read_bytes()))
    talk(door, refused, tls=tls, credentials=grpc.ssl_channel_credentials(cert.read_bytes()))


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_every_type_goes_both_ways_raw_and_typed(data: Any) -> None:
    signature = data.draw(st.sampled_from(list(ALL.values())))
    arrays = data.draw(values(signature))
    raw = data.draw(st.booleans())
    message = M.ModelInferRequest(model_name="m")
    for tensor in signature.inputs:
        array = arrays[tensor.name]
        said = message.inputs.add(name=tensor.name, datatype=tensor.dtype, shape=array.shape)
        if raw:
            message.raw_input_contents.append(to_bytes(array))
        else:
            flat = array.reshape(-1).tolist()
            getattr(said.contents, CONTENTS[tensor.dtype]).extend(
                [one.encode() if isinstance(one, str) else one for one in flat] if tensor.dtype == "BYTES" else flat
            )
    message = M.ModelInferRequest.FromString(message.SerializeToString())
    request, came = grpc_tensors.read(message, signature)
    assert came is raw
    for name, array in arrays.items():
        assert request.inputs[name].dtype == array.dtype
        assert np.array_equal(request.inputs[name], array, equal_nan=array.dtype.kind == "f")
    told = grpc_tensors.write(request, request.inputs, model="m", version="1", raw=raw)
    assert len(told.raw_output_contents) == (len(arrays) if raw else 0)
    for place, (output, array) in enumerate(zip(told.outputs, arrays.values(), strict=True)):
        assert list(output.shape) == list(array.shape)
        if raw:
            assert told.raw_output_contents[place] == to_bytes(array)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(sorted(ALL)),
    st.lists(st.tuples(st.sampled_from(["ids", "mask", "x", "text", "age", ""]), st.sampled_from(["INT64", "BYTES", "FP32", "BOOL", ""]))),
    st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(0, 3), max_size=3),
    st.lists(st.binary(max_size=30), max_size=3),
)
def test_any_message_is_taken_or_refused(name: str, inputs: list[tuple[str, str]], shape: list[int], raw: list[bytes]) -> None:
    """Whatever it says of names, types, shapes and bytes: never another error."""
    message = M.ModelInferRequest(raw_input_contents=raw)
    for called, kind in inputs:
        message.inputs.add(name=called, datatype=kind, shape=shape)
    status = 200
    try:
        grpc_tensors.read(message, ALL[name], limits=Limits(nan="allow"))
    except Refused as refusal:
        status = refusal.status
    assert status in (200, 400)


def test_the_messages_are_the_protocols_own(tmp_path: Path) -> None:
    """Field by field as protoc would have it: names, numbers, types, nesting, maps and the one choice."""
    file = descriptor_pb2.FileDescriptorProto()
    M.ModelInferRequest.DESCRIPTOR.file.CopyToProto(file)
    by_name = {message.name: message for message in file.message_type}
    request = by_name["ModelInferRequest"]
    assert [(field.name, field.number) for field in request.field] == [
        ("model_name", 1), ("model_version", 2), ("id", 3), ("parameters", 4), ("inputs", 5), ("outputs", 6), ("raw_input_contents", 7),
    ]  # fmt: skip
    assert {one.name for one in request.nested_type} == {"InferInputTensor", "InferRequestedOutputTensor", "ParametersEntry"}
    assert next(one for one in request.nested_type if one.name == "ParametersEntry").options.map_entry
    assert [field.oneof_index for field in by_name["InferParameter"].field] == [0] * 5
    assert all(field.HasField("oneof_index") for field in by_name["InferParameter"].field)
