"""NVIDIA's client for the Open Inference Protocol, as its users call it: what it gets from a server, as JSON. `over_http.py HOST:PORT`"""

import json
import sys

import numpy as np
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

client = triton.InferenceServerClient(sys.argv[1], concurrency=4)
found = {
    "live": client.is_server_live(),
    "ready": client.is_server_ready(),
    "model": client.is_model_ready("text"),
    "no-model": client.is_model_ready("nothing"),
    "server": client.get_server_metadata(),
    "metadata": client.get_model_metadata("numbers"),
    "index": client.get_model_repository_index(),
    "answers": [],
}


def numbers(rows, binary):
    given = triton.InferInput("x", list(rows.shape), "FP32")
    given.set_data_from_numpy(rows, binary_data=binary)
    return [given]


rows = np.arange(12, dtype=np.float32).reshape(3, 4)
for binary_in in (True, False):
    for binary_out in (True, False):
        wanted = [triton.InferRequestedOutput(name, binary_data=binary_out) for name in ("score", "label")]
        answer = client.infer("numbers", numbers(rows, binary_in), outputs=wanted, request_id="seven")
        label = [one.decode() if isinstance(one, bytes) else one for one in answer.as_numpy("label").tolist()]
        found["answers"].append([answer.get_response()["id"], answer.as_numpy("score").tolist(), label])
found["defaults"] = client.infer("numbers", numbers(rows, True)).as_numpy("score").tolist()

text = triton.InferInput("text", [2], "BYTES")
text.set_data_from_numpy(np.array(["cheap pills", "grüße"], dtype=object))
found["text"] = [one.decode() for one in client.infer("text", [text]).as_numpy("echo").tolist()]

several = [client.async_infer("numbers", numbers(rows[:1] + place, True)) for place in range(20)]
found["several"] = [one.get_result().as_numpy("score").tolist() for one in several]

found["errors"] = []
for name, given in (("nothing", numbers(rows, True)), ("numbers", numbers(rows[:, :3], True)), ("numbers", [])):
    try:
        client.infer(name, given)
    except InferenceServerException as error:  # noqa: PERF203
        found["errors"].append([error.status(), error.message()])
client.unload_model("text")
found["unloaded"] = client.is_model_ready("text")
client.load_model("text")
found["loaded"] = client.is_model_ready("text")
print(json.dumps(found))
