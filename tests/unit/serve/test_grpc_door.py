"""gRPC and HTTP are two doors of one server: the same answers, counts, tokens, and an end that finishes what was begun."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
import requests

from mlops_toolkit.serve.grpc_messages import HEALTH, messages
from tests.check import ROOT
from tests.unit.formats.saved import EXAMPLE, PREDICT, write
from tests.unit.serve.test_grpc import ask, infer

M = messages()
SLOW = PREDICT.replace("def predict(self, inputs):", "def predict(self, inputs):\n        import time; time.sleep(0.5)")
FAILS = PREDICT.replace("scores =", "assert inputs['x'].max() < 1000, 'too large'\n        scores =")


def free() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextmanager
def serving(folder: Path, *flags: str, **env: str) -> Iterator[tuple[subprocess.Popen[bytes], int, int]]:
    """The image's entry point as a process: itself, its HTTP port, its gRPC port."""
    http, rpc = free(), free()
    command = [
        sys.executable,
        "-m",
        "mlops_toolkit.serve",
        str(folder),
        "--host",
        "127.0.0.1",
        "--port",
        str(http),
        "--grpc-port",
        str(rpc),
    ]
    with (folder.parent / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--grace", "0s", *flags], env={**os.environ, "PYTHONPATH": str(ROOT), **env}, stdout=log, stderr=log
        )
    try:
        for _ in range(300):
            try:
                if requests.get(f"http://127.0.0.1:{http}/v2/health/ready", timeout=5).ok:
                    break
            except requests.ConnectionError:
                assert process.poll() is None, (folder.parent / "log").read_text()
            time.sleep(0.1)
        yield process, http, rpc
    finally:
        process.kill()
        process.wait(30)


def test_both_doors_lead_to_the_same_model_and_are_watched_alike(tmp_path: Path) -> None:
    folder = resaved(tmp_path, FAILS)

    async def talk(port: int) -> Any:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            assert (await ask(channel, "Check", M.HealthCheckRequest(), HEALTH)).status == 1
            allowed = (("authorization", "Bearer secret"), ("x-request-id", "from-grpc"))
            with pytest.raises(grpc.aio.AioRpcError, match="UNAUTHENTICATED"):
                await ask(channel, "ModelInfer", infer(raw=False, name="model"))
            with pytest.raises(grpc.aio.AioRpcError, match="INTERNAL") as caught:
                await ask(channel, "ModelInfer", infer(raw=True, name="model", x=EXAMPLE["x"] * 1000), metadata=allowed)
            assert "the model failed at it (request from-grpc)" in caught.value.details()
            several = [ask(channel, "ModelInfer", infer(raw=False, name="model"), metadata=allowed) for _ in range(20)]
            return await asyncio.gather(*several)

    with serving(folder, MLOPS_SERVE_TOKEN="secret") as (process, http, rpc):
        answers = asyncio.run(talk(rpc))
        body = {"inputs": [{"name": "x", "shape": [2, 4], "datatype": "FP32", "data": EXAMPLE["x"][:2].reshape(-1).tolist()}]}
        where, allowed = f"http://127.0.0.1:{http}", {"authorization": "Bearer secret"}
        label, score = requests.post(f"{where}/v2/models/model/infer", json=body, headers=allowed, timeout=10).json()["outputs"]
        for answer in answers:
            assert [one.decode() for one in answer.outputs[0].contents.bytes_contents] == label["data"]
            assert list(answer.outputs[1].contents.fp32_contents or answer.outputs[1].contents.fp64_contents) == score["data"]
        metrics = requests.get(f"{where}/metrics", headers=allowed, timeout=10).text
        counted = re.findall(r'mlops_requests_total\{model="(.*?)",route="grpc",status="(.*?)",.*\} (.*)', metrics)
        assert sorted(counted) == [("", "200", "1.0"), ("", "401", "1.0"), ("model", "200", "20.0"), ("model", "500", "1.0")]
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def test_an_end_loses_no_call(tmp_path: Path) -> None:
    """SIGTERM while the model computes: the call that was begun gets its answer, and the process ends by itself with 0."""
    folder = resaved(tmp_path, SLOW)

    async def talk(process: subprocess.Popen[bytes], port: int) -> Any:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            call = asyncio.create_task(ask(channel, "ModelInfer", infer(raw=True, name="model")))
            await asyncio.sleep(0.2)
            process.send_signal(signal.SIGTERM)
            return await call

    with serving(folder) as (process, _, rpc):
        assert asyncio.run(talk(process, rpc)).id == "7"
        assert process.wait(30) == 0


def resaved(place: Path, code: str) -> Path:
    """A model of this code."""
    import mlops_toolkit as mlops

    made = write(place / "again", code)
    return mlops.save(made, place / "model", example=EXAMPLE, files=[made.parent / "weights.json"])
