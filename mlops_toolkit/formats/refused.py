"""What a file is, told by its first bytes; of those that run code when they are loaded, why and the way out."""

from __future__ import annotations

import zipfile
from pathlib import Path

from mlops_toolkit.errors import UsageError

SAVE = 'in the script that trained it: import mlops_toolkit as mlops; mlops.save(model, "model/", example=x)'
_ENDINGS = {
    ".pkl": "a pickle",
    ".pickle": "a pickle",
    ".joblib": "a pickle (joblib)",
    ".dill": "a pickle (dill)",
    ".cloudpickle": "a pickle",
    ".pt": "PyTorch's pickle",
    ".pth": "PyTorch's pickle",
    ".ckpt": "a checkpoint that is a pickle",
    ".pt2": "a torch.export archive",
    ".h5": "Keras' HDF5, whose layers may hold code",
    ".hdf5": "Keras' HDF5, whose layers may hold code",
    ".mar": "a TorchServe archive",
}


def executing(path: Path) -> str | None:
    """What kind of executing file it is, in words; None where it is none that is known."""
    try:
        with path.open("rb") as source:
            head = source.read(16)
    except OSError:
        return None
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "a pickle"
    if head.startswith(b"\x89HDF") and path.suffix in (".h5", ".hdf5"):
        return _ENDINGS[".h5"]
    if zipfile.is_zipfile(path):
        try:
            with zipfile.ZipFile(path) as archive:
                names = archive.namelist()
        except (zipfile.BadZipFile, OSError):
            names = []
        if any(name.endswith("data.pkl") for name in names):
            return "TorchScript" if any(name.endswith("constants.pkl") or "/code/" in name for name in names) else "PyTorch's pickle"
        if path.suffix == ".pt2" or any(name.endswith("archive_format") for name in names):
            return _ENDINGS[".pt2"]
    return _ENDINGS.get(path.suffix.casefold())


def refuse(path: Path) -> None:
    """UsageError `executing-format` for a file (or a folder with one) that runs code when it is loaded."""
    files = [path] if path.is_file() else sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else []
    for file in files:
        kind = executing(file)
        if kind is not None:
            raise UsageError(
                "executing-format",
                f"{file.name} is {kind}: whoever loads it runs whatever code was put into it",
                where=str(file),
                hint=f"save the model in a format that is data alone; {SAVE}",
            )
