"""What runs code when it is loaded is known by its bytes, whatever it is called, and refused with the way out."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path

import pytest

import mlops_toolkit as mlops
from mlops_toolkit.errors import UsageError
from mlops_toolkit.formats.refused import executing, refuse


def zipped(*names: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name in names:
            archive.writestr(name, b"x")
    return made.getvalue()


@pytest.mark.parametrize(
    ("name", "raw", "said"),
    [
        ("model.pkl", pickle.dumps({"a": 1}), "a pickle"),
        ("model.bin", pickle.dumps({"a": 1}, protocol=2), "a pickle"),
        ("weights.safetensors", pickle.dumps([1]), "a pickle"),  # called something else
        ("model.pt", zipped("archive/data.pkl", "archive/data/0"), "PyTorch's pickle"),
        ("model.onnx", zipped("m/data.pkl", "m/constants.pkl", "m/code/__torch__.py"), "TorchScript"),
        ("model.pt2", zipped("model/archive_format"), "a torch.export archive"),
        ("model.h5", b"\x89HDF\r\n\x1a\n" + bytes(20), "Keras' HDF5, whose layers may hold code"),
        ("model.joblib", b"anything", "a pickle (joblib)"),
    ],
)
def test_known_by_its_bytes(name: str, raw: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(raw)
    assert executing(path) == said
    with pytest.raises(UsageError, match="runs whatever code") as raised:
        refuse(tmp_path)
    assert raised.value.name == "executing-format"
    assert "mlops.save(model" in (raised.value.hint or "")
    with pytest.raises(UsageError):
        mlops.save(path, tmp_path / "to", example=[[1.0]])
    with pytest.raises(UsageError):
        mlops.load(path)


@pytest.mark.parametrize(
    ("name", "raw"), [("a.txt", b""), ("model.keras", zipped("config.json")), ("x.skops", zipped("schema.json")), ("x.npy", b"\x93NUMPY")]
)
def test_what_is_data_alone_is_let_through(name: str, raw: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(raw)
    refuse(tmp_path)
