"""`mlops inspect`: find the model (a path, or a recorded run's), read it, say what it is."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

from mlops_toolkit import home
from mlops_toolkit.errors import UsageError
from mlops_toolkit.formats import manifest as manifests
from mlops_toolkit.formats.load import load
from mlops_toolkit.formats.refused import SAVE, refuse
from mlops_toolkit.inspection import show
from mlops_toolkit.inspection.show import Found
from mlops_toolkit.models.digest import Cache, digest
from mlops_toolkit.models.open import fetch
from mlops_toolkit.models.parameters import count
from mlops_toolkit.world import World

KINDS = {
    ".onnx": "an ONNX graph",
    ".safetensors": "weights alone (safetensors)",
    ".skops": "a scikit-learn model (skops)",
    ".keras": "a Keras model",
    ".ubj": "trees of XGBoost",
    ".gguf": "weights alone (GGUF)",
}


def run(args: argparse.Namespace, world: World) -> int:
    """Say what the model is; 0. UsageError `executing-format` for one that only runs, `no-such-model`."""
    path = world.cwd / args.model
    if path.exists():
        found = inspected(path, args.model, golden=args.golden, env=world.env)
    else:
        with tempfile.TemporaryDirectory(prefix="mlops-inspect-") as temporary:
            place, name = _recorded(args, world, Path(temporary) / "model")
            found = inspected(place, name, golden=args.golden, env=world.env)
    if args.json:
        print(json.dumps(show.document(found), ensure_ascii=True, allow_nan=False), file=world.out)
    else:
        width = max(len(name) for name, _ in show.lines(found))
        for name, text in show.lines(found):
            print(f"{name:<{width}}  {text}".rstrip(), file=world.out)
        if found.manifest is None:
            print(f"to be served it needs its signature and golden examples; {SAVE}", file=world.err)
    return 0


def inspected(path: Path, name: str, *, golden: bool, env: Mapping[str, str]) -> Found:
    """What lies at a path. golden: load it and ask its golden examples again (a handler's code runs then)."""
    told = digest(path, cache=Cache.of(env))
    folder = path if path.is_dir() else path.parent
    files = (
        {file.path: (file.sha256, file.size) for file in told.files} if path.is_dir() else {path.name: (told.files[0].sha256, told.size)}
    )
    if not path.is_dir() or not (path / manifests.NAME).exists():
        refuse(path)
        kind = KINDS.get(path.suffix.casefold()) if path.is_file() else _folder(path)
        if golden:
            raise UsageError("no-golden", f"{name} was not written by mlops.save: it has no golden examples", hint=SAVE)
        return Found(name, told.digest, told.size, files, count(path), kind=kind or "a file of no format that is known here")
    manifest = manifests.read(folder)
    manifests.verify(folder, manifest)
    apart = load(folder, served=True).golden() if golden else None
    signature = manifest.signature
    return Found(
        name, told.digest, told.size, files, count(path), manifest, golden=apart, inputs=signature.inputs, outputs=signature.outputs
    )


def _folder(path: Path) -> str:
    if (path / "saved_model.pb").is_file():
        return "a TensorFlow SavedModel"
    kinds = sorted({KINDS[one.suffix.casefold()] for one in path.rglob("*") if one.suffix.casefold() in KINDS})
    return f"a folder with {', '.join(kinds)}" if kinds else "a folder"


def _recorded(args: argparse.Namespace, world: World, to: Path) -> tuple[Path, str]:
    """The model of a recorded run, brought here, and what it is called."""
    run, model = home.recorded(args.model, args.config, world, instead="a file or folder")
    fetch(model, to, world.models, env=world.env)
    return to, f"{run.model} (run {run.id})"
