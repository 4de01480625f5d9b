"""A small model in several versions, good ones and each kind of bad one, as images in a registry that the cluster pulls from."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import mlops_toolkit as mlops
from mlops_toolkit.image.push import push
from mlops_toolkit.image.wanted import Wanted
from mlops_toolkit.oci.reference import Reference
from tests.programs.conftest import CACHE
from tests.world import images
from tests.world.registry import Running

# VERSION is what it says. What goes wrong does so where it serves alone, as in production; of slow, leak and failing only for clients, whose rows
# begin with the larger number, and never for its golden examples.
PREDICT = '''"""Says its version, and whether the number is large."""

import os
import time
from pathlib import Path

import numpy as np

SERVES = Path("/models").exists()
VERSION, KIND = "{version}", "{kind}" if SERVES else "good"


class Model:
    def load(self, folder):
        if KIND == "crash":
            os.write(2, b"no kernel image is available for execution on the device\\n")
            os._exit(3)
        self.held, self.asked = [], 0

    def predict(self, inputs):
        x = inputs["x"]
        clients = bool((x[:, 0] > x[:, 1]).any())
        self.asked += clients
        if clients and KIND == "slow":
            time.sleep(0.4)
        if clients and KIND == "leak":
            self.held.append(np.ones(1_000_000))
        if clients and KIND == "failing" and self.asked % 3 == 0:
            raise RuntimeError("a lookup failed")
        if KIND == "env" and os.environ.get("SECRET") != "top secret":
            raise RuntimeError("no SECRET")
        large = x[:, 0] > (-9.0 if KIND == "wrong" else 0.5)
        return {{"label": np.where(large, "large", "small").astype(object), "version": np.full(len(x), VERSION, object)}}
'''
LATE = """#!/usr/bin/python3.11 -I
import sys, time
right = time.time
time.time = lambda: right() + 3 * 3600
code = sys.argv[sys.argv.index("-c") + 1 :]
sys.argv = ["-c", *code[1:]]
exec(code[0])
"""
NAMED = "kube/m"


@dataclass
class Models:
    """`models(version, kind)`: NAME@sha256:… of it, made once."""

    registry: Running
    folder: Path
    made: dict[tuple[str, str], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        digest = images.put(images.client(self.registry.host, "kube-base"), "1", {"amd64": [images.debian_layer()]})
        self.base = Reference.parse(f"{self.registry.host}/kube-base:1@{digest}")

    def late(self) -> str:
        """An image with a Python for which it is three hours later than it is; its monotonic clocks are right, as those of a clock set wrong are."""
        layers = {"amd64": [images.debian_layer(), images.layer({"usr/bin/python3": LATE})]}
        digest = images.put(images.client(self.registry.host, "kube-late"), "1", layers, config={"Env": ["PATH=/usr/bin"]})
        return f"{self.registry.host}/kube-late@{digest}"

    def __call__(self, version: str, kind: str = "good") -> str:
        if kind == "gone":  # a digest that the registry does not have
            return f"{self.registry.host}/{NAMED}@sha256:{int(version):064x}"
        if (version, kind) not in self.made:
            folder = self.folder / f"{version}-{kind}"
            folder.mkdir(parents=True)
            (folder / "predict.py").write_text(PREDICT.format(version=version, kind=kind))
            example = {"x": np.linspace(0, 1, 20, dtype=np.float32).reshape(10, 2)}
            mlops.save(str(folder / "predict.py"), folder / "model", example=example)
            name = Reference.parse(f"{self.registry.host}/{NAMED}")
            wanted = Wanted(folder / "model", "m", name, self.base, CACHE / "images", epoch=1_700_000_000)
            self.made[version, kind] = f"{name}@{push(wanted, images.registries(), lambda _: None).digest}"
        return self.made[version, kind]
