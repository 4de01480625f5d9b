"""The layers between the base and the model: the Python packages that serve it, and the server itself."""

from __future__ import annotations

import hashlib
import json
import platform
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.formats import manifest as manifests
from mlops_toolkit.formats.manifest import Manifest
from mlops_toolkit.image import packages as pip
from mlops_toolkit.image import requirements
from mlops_toolkit.image.archive import Archive
from mlops_toolkit.image.base import Base
from mlops_toolkit.image.bytecode import compiled, interpreter
from mlops_toolkit.image.entries import Entry, below
from mlops_toolkit.image.layer import VERSION, described, written
from mlops_toolkit.image.store import Layer, Store
from mlops_toolkit.image.target import Target
from mlops_toolkit.image.wanted import Package, Wanted
from mlops_toolkit.image.wheel import unpack
from mlops_toolkit.system.files import sha256

PACKAGES, SERVER = "opt/mlops/lib", "opt/mlops/app"
PYTHONPATH = f"/{SERVER}:/{PACKAGES}"
HOME = Path(__file__).resolve().parents[1]  # the package itself
# What ships inside the image (docs/decisions/0001-layers.md): these import nothing else of ours.
SHIPPED = ("__init__.py", "_version.py", "errors.py", "plug.py", "formats", "serve")
SUFFIXES = frozenset({".py", ".html", ".css", ".js", ".svg", ".json", ".proto", ".txt"})
ENVIRONMENT = "environment.txt"  # what mlops.save writes beside the model: what was installed where it was trained

Say = Callable[[str], None]


def lock() -> list[requirements.Locked]:
    """Our own lock of what the server needs. EnvironmentFailure `no-lock`."""
    place = Path(__file__).with_name("serve.txt")
    try:
        return requirements.lock(place.read_text(encoding="utf-8"))
    except OSError as error:
        raise EnvironmentFailure(
            "no-lock", "the list of what the server needs is not there", where=str(place), hint="install mlops again, whole"
        ) from error


def packages(wanted: Wanted, manifest: Manifest, base: Base, store: Store, say: Say) -> tuple[Layer, tuple[Package, ...]]:
    """The packages that serve the model on this base, as one layer; made once for the same packages, Python and platform."""
    ours = lock()
    runtime = requirements.pinned(manifest.runtime, where=str(wanted.model), hostile=True)
    own = requirements.pinned(wanted.packages, where="publish.packages", hostile=False)
    told = wanted.model / ENVIRONMENT
    trained = requirements.environment(told.read_text(encoding="utf-8", errors="replace") if told.is_file() else "")
    asked = requirements.asked(runtime, own, trained, ours)
    python = interpreter(base.python.version)
    target = Target(base.platform, base.python)
    made_of = [VERSION, asdict(asked), list(target.pip), base.gpu, _compiler(python), [[one.name, one.version] for one in ours]]
    key = f"packages-{_hash(made_of)}"
    known = store.layer(key)
    listed = _listed(store.known(f"{key}-list"))
    if known is not None and listed is not None:
        return known, listed
    say(f"{base.platform}: looking for the packages that serve it on Python {base.python.text}")
    resolved = pip.resolve(asked, target, ours, gpu=base.gpu)
    with tempfile.TemporaryDirectory(prefix="mlops-packages-") as temporary:
        wheels = pip.fetch(resolved, target, _made(Path(temporary) / "wheels"))
        for note in wheels.notes:
            say(f"{base.platform}: {note}")
        folder = _made(Path(temporary) / "lib")
        unpack(wheels.files, folder)
        _compile(folder, PACKAGES, python, base, say)
        layer = written(below(folder, PACKAGES), store, "packages")
    store.remember(f"{key}-list", [asdict(one) for one in wheels.packages])
    store.keep(key, layer)
    return layer, wheels.packages


def server(base: Base, store: Store) -> Layer:
    """Our own modules that answer, as one layer."""
    files = [HOME / name for name in SHIPPED if name.endswith(".py")]
    files += [path for name in SHIPPED for path in sorted((HOME / name).rglob("*")) if path.suffix in SUFFIXES and path.is_file()]
    contents = {path.relative_to(HOME).as_posix(): path.read_bytes() for path in files}
    python = interpreter(base.python.version)
    made_of = [VERSION, _compiler(python), {name: hashlib.sha256(raw).hexdigest() for name, raw in contents.items()}]
    key = f"server-{_hash(made_of)}"
    known = store.layer(key)
    if known is not None:
        return known
    with tempfile.TemporaryDirectory(prefix="mlops-server-") as temporary:
        folder = Path(temporary) / "app"
        for name, raw in contents.items():
            place = folder / "mlops_toolkit" / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(raw)
        if python is not None:
            compiled(folder, f"/{SERVER}", python)
        layer = written(below(folder, SERVER), store, "server")
    store.keep(key, layer)
    return layer


def model(wanted: Wanted, manifest: Manifest, store: Store) -> Layer:
    """The model's folder below /models/NAME, as the last layer. The manifest was verified: its digests are the key."""
    known = {name: sha for name, (sha, _) in manifest.files.items()}
    entries = below(wanted.model, f"models/{wanted.name}", known)
    shas = {entry.path: [entry.sha256 or sha256(wanted.model / manifests.NAME), entry.executable] for entry in entries}
    key = f"model-{_hash([VERSION, shas])}"
    archive = Archive(entries)
    layer = store.layer(key, archive)
    if layer is None:
        layer = described(archive, store, "model")
        store.keep(key, layer)
    return layer


def documents(wanted: Wanted, store: Store) -> Layer | None:
    """The small files beside the model, None where there are none."""
    if not wanted.documents:
        return None
    return written([Entry(path.lstrip("/"), content) for path, content in wanted.documents.items()], store, "documents")


def _compile(folder: Path, at: str, python: str | None, base: Base, say: Say) -> None:
    if python is None:
        say(f"{base.platform}: there is no Python {base.python.text} on this machine to compile the packages: the image will start slower")
        return
    compiled(folder, f"/{at}", python)


def _compiler(python: str | None) -> str:
    """What made the compiled files: patch releases may compile differently."""
    return "none" if python is None else f"{python} {platform.python_version()}"


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _hash(data: object) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:40]


def _listed(said: object) -> tuple[Package, ...] | None:
    try:
        return tuple(Package(**one) for one in said) if isinstance(said, list) else None
    except TypeError:
        return None
