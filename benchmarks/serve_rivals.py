"""Other servers with the same ONNX model, each as its own documentation has it: how it is written, started and asked.

All run as one process with one thread for ONNX Runtime, on one processor, without a line of log for a request.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Rows = "list[list[float]]"
NATIVE = """
import numpy as np, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
options.log_severity_level = 3
session = onnxruntime.InferenceSession(MODEL, options, providers=["CPUExecutionProvider"])
names, given = [one.name for one in session.get_outputs()], session.get_inputs()[0].name
"""


def plain(rows: Any) -> bytes:
    """`{"inputs": [[…]]}`."""
    return json.dumps({"inputs": rows}).encode()


def protocol(rows: Any) -> bytes:
    """The Open Inference Protocol's JSON."""
    flat = [value for row in rows for value in row]
    return json.dumps({"inputs": [{"name": "input", "shape": [len(rows), len(rows[0])], "datatype": "FP32", "data": flat}]}).encode()


def of_plain(body: bytes) -> list[list[float]]:
    """Probabilities of `{"probabilities": [[…]]}`."""
    found: list[list[float]] = json.loads(body)["probabilities"]
    return found


def of_protocol(body: bytes) -> list[list[float]]:
    """Probabilities of the protocol's answer, flat or nested."""
    [one] = [output for output in json.loads(body)["outputs"] if output["name"] == "probabilities"]
    width = one["shape"][-1]
    data = one["data"]
    return data if data and isinstance(data[0], list) else [data[at : at + width] for at in range(0, len(data), width)]


@dataclass(frozen=True)
class Rival:
    """A server.

    packages  pinned; what its environment holds beside
    files     name -> text, written into a folder that it is started in; MODEL and PORT are filled in
    command   words after its environment's Python
    path      what is asked; body and answer: from rows and to probabilities
    """

    packages: tuple[str, ...]
    files: Mapping[str, str]
    command: tuple[str, ...]
    path: str
    body: Callable[[Any], bytes] = plain
    answer: Callable[[bytes], list[list[float]]] = of_plain
    env: Mapping[str, str] = field(default_factory=dict)


# What makes the models that all of them serve.
MAKE = ("scikit-learn==1.9.1", "skops==0.16.0", "skl2onnx==1.20.0", "onnx==1.23.2", "onnxruntime==1.32.0", "numpy<3")
MODELS = """
import sys, warnings
warnings.simplefilter("ignore")
from pathlib import Path
import numpy as np, onnx
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
import mlops_toolkit as mlops
to = Path(sys.argv[1])
x, y = load_digits(return_X_y=True)
x = x.astype(np.float32)
mlops.save(LogisticRegression(max_iter=300).fit(x, y), to / "digits", example=x[:300])
rng = np.random.default_rng(0)
nodes, kept, last = [], [], "input"
for place, (a, b) in enumerate(((64, 512), (512, 512), (512, 10))):
    kept.append(numpy_helper.from_array(rng.normal(0, a ** -0.5, (a, b)).astype(np.float32), f"w{place}"))
    nodes.append(helper.make_node("MatMul", [last, f"w{place}"], [f"m{place}"]))
    last = f"m{place}"
    if place < 2:
        nodes.append(helper.make_node("Relu", [last], [f"r{place}"]))
        last = f"r{place}"
nodes[-1].output[0] = "output"
graph = helper.make_graph(nodes, "dense", [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["n", 64])],
                          [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["n", 10])], kept)
made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
mlops.save(made, to / "dense", example={"input": x[:300] / 16})

# The graph of ResNet-50 (He et al. 2016, table 1; its normalisations folded into the convolutions), with weights by chance.
nodes, kept = [], []
def conv(last, a, b, kernel, stride, relu=True):
    name = f"c{len(nodes)}"
    kept.append(numpy_helper.from_array(rng.normal(0, (2 / (a * kernel * kernel)) ** 0.5, (b, a, kernel, kernel)).astype(np.float32), name + "w"))
    nodes.append(helper.make_node("Conv", [last, name + "w"], [name], kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[kernel // 2] * 4))
    if not relu:
        return name
    nodes.append(helper.make_node("Relu", [name], [name + "r"]))
    return name + "r"
last, width = conv("image", 3, 64, 7, 2), 64
nodes.append(helper.make_node("MaxPool", [last], ["pooled"], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4))
last = "pooled"
for stage, blocks in enumerate((3, 4, 6, 3)):
    inner = 64 << stage
    for block in range(blocks):
        stride = 2 if stage and not block else 1
        straight = last if block else conv(last, width, 4 * inner, 1, stride, relu=False)
        bent = conv(conv(conv(last, width, inner, 1, 1), inner, inner, 3, stride), inner, 4 * inner, 1, 1, relu=False)
        width = 4 * inner
        nodes.append(helper.make_node("Add", [straight, bent], [f"a{len(nodes)}"]))
        nodes.append(helper.make_node("Relu", [nodes[-1].output[0]], [last := f"s{len(nodes)}"]))
nodes.append(helper.make_node("GlobalAveragePool", [last], ["mean"]))
nodes.append(helper.make_node("Flatten", ["mean"], ["flat"]))
kept.append(numpy_helper.from_array(rng.normal(0, 0.001, (2048, 1000)).astype(np.float32), "w"))
nodes.append(helper.make_node("MatMul", ["flat", "w"], ["output"]))
graph = helper.make_graph(nodes, "vision", [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, 224, 224])],
                          [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["n", 1000])], kept)
made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
mlops.save(made, to / "vision", example={"image": rng.normal(size=(4, 3, 224, 224)).astype(np.float32)})
"""
RUNTIME = ("onnxruntime==1.32.0", "numpy<3")
FASTAPI = """
from fastapi import FastAPI
from pydantic import BaseModel

class Asked(BaseModel):
    inputs: list[list[float]]

app = FastAPI()

@app.post("/predict")
async def predict(asked: Asked):
    label, probabilities = session.run(names, {given: np.asarray(asked.inputs, dtype=np.float32)})
    return {"label": label.tolist(), "probabilities": probabilities.tolist()}
"""
LITSERVE = """
import litserve

class Api(litserve.LitAPI):
    def setup(self, device):
        pass
    def decode_request(self, request):
        return np.asarray(request["inputs"], dtype=np.float32)
    def batch(self, inputs):
        self.sizes = [len(one) for one in inputs]
        return np.concatenate(inputs)
    def predict(self, x):
        return session.run(names, {given: x})[1]
    def unbatch(self, output):
        ends = np.cumsum(self.sizes)
        return [output[end - size:end] for size, end in zip(self.sizes, ends)]
    def encode_response(self, output):
        return {"probabilities": output.tolist()}

if __name__ == "__main__":
    api = Api(max_batch_size=64, batch_timeout=0.0005)
    server = litserve.LitServer(api, accelerator="cpu")
    server.run(port=PORT, host="127.0.0.1", num_api_servers=1, generate_client_file=False, log_level="error")
"""
BENTOML = """
import bentoml

@bentoml.service(workers=1, logging={"access": {"enabled": False}}, metrics={"enabled": False})
class Served:
    @bentoml.api
    def predict(self, inputs: list[list[float]]) -> dict:
        label, probabilities = session.run(names, {given: np.asarray(inputs, dtype=np.float32)})
        return {"label": label.tolist(), "probabilities": probabilities.tolist()}
"""
MLSERVER = """
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse

class Served(MLModel):
    async def load(self):
        return True
    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        x = NumpyCodec.decode_input(payload.inputs[0])
        label, probabilities = session.run(names, {given: x})
        outputs = [NumpyCodec.encode_output("label", label), NumpyCodec.encode_output("probabilities", probabilities)]
        return InferenceResponse(model_name=self.name, outputs=outputs)
"""
KSERVE = """
import kserve
from kserve.utils.utils import get_predict_response

class Served(kserve.Model):
    def __init__(self):
        super().__init__("m")
        self.ready = True
    async def predict(self, payload, headers=None, response_headers=None):
        x = payload.inputs[0].as_numpy()
        label, probabilities = session.run(names, {given: x})
        outputs = []
        for name, array, kind in (("label", label, "INT64"), ("probabilities", probabilities, "FP32")):
            output = kserve.InferOutput(name, list(array.shape), kind)
            output.set_data_from_numpy(array, binary_data=False)
            outputs.append(output)
        return kserve.InferResponse(payload.id or "", "m", outputs)

if __name__ == "__main__":
    kserve.ModelServer(http_port=PORT, workers=1, enable_grpc=False, access_log_format="").start([Served()])
"""
MLSERVER_SETTINGS = (
    '{"http_port": PORT, "grpc_port": PORT1, "metrics_port": PORT2, "host": "127.0.0.1", "parallel_workers": 0, "access_log": false, '
    '"use_structured_logging": false, "debug": false}'
)
RIVALS: dict[str, Rival] = {
    "FastAPI": Rival(
        ("fastapi==0.165.0", "uvicorn[standard]", *RUNTIME),
        {"served.py": NATIVE + FASTAPI},
        ("-m", "uvicorn", "served:app", "--port", "PORT", "--no-access-log", "--loop", "uvloop", "--http", "httptools"),
        "/predict",
    ),
    "LitServe": Rival(("litserve==0.2.19", "uvloop", "httptools", *RUNTIME), {"served.py": NATIVE + LITSERVE}, ("served.py",), "/predict"),
    "BentoML": Rival(
        ("bentoml==1.4.40", *RUNTIME),
        {"served.py": NATIVE + BENTOML},
        ("-m", "bentoml", "serve", "served:Served", "--port", "PORT", "--host", "127.0.0.1"),
        "/predict",
        env={"BENTOML_DO_NOT_TRACK": "true"},
    ),
    "MLServer": Rival(
        ("mlserver==1.7.1", *RUNTIME),
        {
            "served.py": NATIVE + MLSERVER,
            "model-settings.json": '{"name": "m", "implementation": "served.Served"}',
            "settings.json": MLSERVER_SETTINGS,
        },
        ("-m", "mlserver.cli.main", "start", "."),
        "/v2/models/m/infer",
        protocol,
        of_protocol,
    ),
    "KServe": Rival(
        ("kserve==0.21.0", *RUNTIME), {"served.py": NATIVE + KSERVE}, ("served.py",), "/v2/models/m/infer", protocol, of_protocol
    ),
}
