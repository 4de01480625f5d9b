"""NVIDIA's client for the Open Inference Protocol over gRPC, as its users call it: what it gets, as JSON. `over_grpc.py HOST:PORT`"""

import json
import sys

import numpy as np
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

client = triton.InferenceServerClient(sys.argv[1])
model = client.get_model_metadata("numbers")
found = {
    "live": client.is_server_live(),
    "ready": client.is_server_ready(),
    "model": client.is_model_ready("text"),
    "server": client.get_server_metadata().name,
    "metadata": [[one.name, one.datatype, list(one.shape)] for one in [*model.inputs, *model.outputs]],
}


def numbers(rows):
    given = triton.InferInput("x", list(rows.shape), "FP32")
    given.set_data_from_numpy(rows)
    return [given]


rows = np.arange(12, dtype=np.float32).reshape(3, 4)
answer = client.infer("numbers", numbers(rows), outputs=[triton.InferRequestedOutput("score")], request_id="seven", client_timeout=30)
found["answer"] = [answer.get_response().id, answer.as_numpy("score").tolist(), answer.as_numpy("label") is None]
answer = client.infer("numbers", numbers(rows), compression_algorithm="gzip")
found["compressed"] = [[one.decode() for one in answer.as_numpy("label").tolist()], answer.as_numpy("score").dtype.name]

text = triton.InferInput("text", [2], "BYTES")
text.set_data_from_numpy(np.array(["cheap pills", "grüße"], dtype=object))
found["text"] = [one.decode() for one in client.infer("text", [text]).as_numpy("echo").tolist()]

large = np.arange(400_000, dtype=np.float32).reshape(-1, 4) % 7
found["large"] = client.infer("numbers", numbers(large)).as_numpy("score").sum().item()

found["errors"] = []
for name, given in (("nothing", numbers(rows)), ("numbers", numbers(rows[:, :3])), ("numbers", numbers(rows * np.nan)), ("numbers", [])):
    try:
        client.infer(name, given)
    except InferenceServerException as error:  # noqa: PERF203
        found["errors"].append([error.status(), error.message()])
print(json.dumps(found))
