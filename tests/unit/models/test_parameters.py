"""Parameters are counted where the files say so themselves, and nowhere else."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path

import numpy as np
import pytest

from mlops_toolkit.models.parameters import built_in, count
from mlops_toolkit.records.run import Model, Run
from mlops_toolkit.system.usage import Resources


def safetensors(shapes: dict[str, list[int]]) -> bytes:
    header = json.dumps(
        {"__metadata__": {"format": "pt"}, **{k: {"dtype": "F32", "shape": s, "data_offsets": [0, 0]} for k, s in shapes.items()}}
    )
    return struct.pack("<Q", len(header)) + header.encode() + b"\0" * 64


def varint(value: int) -> bytes:
    made = b""
    while value > 0x7F:
        made, value = made + bytes([value & 0x7F | 0x80]), value >> 7
    return made + bytes([value])


def message(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def onnx() -> bytes:
    packed = message(1, varint(300) + varint(7)) + message(8, b"weight") + message(9, b"\0" * 8400)
    single = varint(1 << 3) + varint(11) + message(8, b"bias")
    scalar = message(8, b"scale")
    graph = message(2, b"a graph") + message(5, packed) + message(5, single) + message(5, scalar)
    return varint(1 << 3) + varint(8) + message(2, b"a tool") + message(7, graph)


def test_the_headers_of_safetensors_numpy_and_onnx_are_counted(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(safetensors({"w": [3, 4], "b": [4], "scalar": []}))
    assert count(tmp_path / "a.safetensors") == 17
    np.save(tmp_path / "b.npy", np.zeros((5, 6), dtype=np.float16))
    np.savez_compressed(tmp_path / "c.npz", w=np.zeros((2, 3)), names=np.array(["x", "y"]))
    (tmp_path / "d.onnx").write_bytes(onnx())
    assert [count(tmp_path / name) for name in ("b.npy", "c.npz", "d.onnx")] == [30, 6, 2112]


def test_a_folder_is_the_sum_of_its_files_of_one_kind(tmp_path: Path) -> None:
    for i in range(3):
        (tmp_path / f"part-{i}.safetensors").write_bytes(safetensors({"w": [10, i + 1]}))
    (tmp_path / "config.json").write_text("{}")
    assert count(tmp_path) == 60
    (tmp_path / "pytorch_model.bin").write_bytes(b"weights too")
    assert count(tmp_path) is None, "the same weights a second time, or others: nobody can say"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x10",
        struct.pack("<Q", 1 << 40) + b"{}",
        safetensors({"w": [-3]}),
        struct.pack("<Q", 4) + b"[1]]",
        struct.pack("<Q", 12) + b'{"a": "b"}  ',
    ],
)
def test_a_broken_file_is_not_counted(tmp_path: Path, content: bytes) -> None:
    for suffix in (".safetensors", ".npy", ".npz", ".onnx"):
        path = tmp_path / f"m{suffix}"
        path.write_bytes(content)
        assert count(path) is None


def test_an_array_of_objects_is_not_loaded(tmp_path: Path) -> None:
    class Loud:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (pytest.fail, ("a pickle was loaded",))

    out = io.BytesIO()
    np.lib.format.write_array(out, np.array([Loud()], dtype=object), allow_pickle=True)
    (tmp_path / "m.npy").write_bytes(out.getvalue())
    assert count(tmp_path / "m.npy") is None


def test_every_run_has_its_size_and_what_its_training_took(tmp_path: Path) -> None:
    np.save(tmp_path / "m.npy", np.zeros(7))
    run = Run(
        id="x", model="m", trained=Model("sha256:0", 2_500_000, "m.npy"), resources=Resources(wall_seconds=12.5, peak_memory=300_000_000)
    )
    found = built_in(run, tmp_path / "m.npy")
    assert {name: (one.values[0], one.noisy, one.unit) for name, one in found.items()} == {
        "model-size-mb": (2.5, False, "MB"),
        "parameters": (7.0, False, None),
        "peak-memory-mb": (300.0, True, "MB"),
        "training-seconds": (12.5, True, "s"),
    }
    assert built_in(Run(id="x", model="m"), None) == {}
