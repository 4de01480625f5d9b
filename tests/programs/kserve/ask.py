"""KServe's own client, over REST and gRPC, as its users call it: what it gets from a server, as JSON. `ask.py HTTP-PORT GRPC-PORT`"""

import asyncio
import json
import sys

import grpc
import httpx
import kserve
import numpy as np
from kserve.protocol.infer_type import RequestedOutput

ROWS = np.arange(12, dtype=np.float32).reshape(3, 4)


def numbers(rows, *, binary=True, outputs=None):
    given = kserve.InferInput("x", list(rows.shape), "FP32")
    given.set_data_from_numpy(rows, binary_data=binary)
    wanted = [RequestedOutput(name, {"binary_data": binary}) for name in outputs or ()]
    return kserve.InferRequest("numbers", [given], request_id="seven", request_outputs=wanted or None)


def words(*texts):
    given = kserve.InferInput("text", [len(texts)], "BYTES")
    given.set_data_from_numpy(np.array([text.encode() for text in texts], dtype=object))
    return kserve.InferRequest("text", [given])


def plain(answer):
    found = {one.name: one.as_numpy().tolist() for one in answer.outputs}
    return {
        "id": answer.id,
        "model": answer.model_name,
        **{name: [one.decode() if isinstance(one, bytes) else one for one in values] for name, values in found.items()},
    }


async def over_rest(address):
    client = kserve.InferenceRESTClient(kserve.inference_client.RESTConfig(protocol="v2", timeout=30))
    found = {
        "live": await client.is_server_live(address),
        "ready": await client.is_server_ready(address),
        "model": await client.is_model_ready(address, "text"),
        "no-model": await client.is_model_ready(address, "nothing"),
        "answers": [
            plain(await client.infer(address, numbers(ROWS, binary=binary, outputs=outputs), model_name="numbers"))
            for binary in (True, False)
            for outputs in (None, ["score", "label"])
        ],
        "text": plain(await client.infer(address, words("cheap pills", "grüße"), model_name="text"))["echo"],
        "errors": [],
    }
    for name, request in (("nothing", numbers(ROWS)), ("numbers", numbers(ROWS[:, :3])), ("numbers", numbers(ROWS * np.nan))):
        try:
            await client.infer(address, request, model_name=name)
        except httpx.HTTPStatusError as error:  # noqa: PERF203
            found["errors"].append([error.response.status_code, str(error)])
    await client.close()
    return found


async def over_grpc(address):
    async with kserve.InferenceGRPCClient(address, timeout=30) as client:
        found = {
            "live": await client.is_server_live(),
            "ready": await client.is_server_ready(),
            "model": await client.is_model_ready("text"),
            "answer": plain(await client.infer(numbers(ROWS))),
            "text": plain(await client.infer(words("cheap pills", "grüße")))["echo"],
        }
        try:
            await client.infer(numbers(ROWS[:, :3]))
        except grpc.RpcError as error:
            found["error"] = [str(error.code()), error.details()]
    return found


async def main():
    http, rpc = sys.argv[1:]
    print(json.dumps({"rest": await over_rest(f"http://127.0.0.1:{http}"), "grpc": await over_grpc(f"127.0.0.1:{rpc}")}))


asyncio.run(main())
