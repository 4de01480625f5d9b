"""Where a training runs: the user's Python and its packages, the GPU, the machine. Nothing here fails a run; unknown is None."""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Mapping
from pathlib import Path

from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.records.run import Environment
from mlops_toolkit.system import gpu, proc, user_python

# Names of folders are enough (`torch-2.9.1.dist-info`): opening hundreds of metadata files would take longer than a small training.
ASK = """
import hashlib, json, os, re, sys
found = {}
for place in sys.path:
    try: names = os.listdir(place or ".")
    except OSError: continue
    for name in names:
        match = re.fullmatch(r"(.+?)-([^-]+?)(?:-py[0-9.]+)?\\.(?:dist|egg)-info", name)
        if match: found.setdefault(re.sub(r"[-_.]+", "-", match[1]).lower(), match[2])
known = sys.argv[1].split(",")
text = "".join("%s==%s\\n" % item for item in sorted(found.items()))
print(json.dumps({"python": "%d.%d.%d" % sys.version_info[:3], "packages": hashlib.sha256(text.encode()).hexdigest(),
                  "versions": {name: found[name] for name in known if name in found}}))
"""
SHOWN = (
    "torch", "tensorflow", "jax", "scikit-learn", "lightgbm", "xgboost", "catboost", "transformers", "lightning", "pytorch-lightning",
    "keras", "spacy", "numpy", "pandas", "polars", "scipy",
)  # fmt: skip


def describe(command: str, env: Mapping[str, str], cwd: Path, *, host: str) -> Environment:
    """The environment a command gets. The Python is the one the command names, else the first on its PATH."""
    python = _ask_python(command, env, cwd)
    found = gpu.probe(env) if shutil.which("nvidia-smi", path=env.get("PATH")) else gpu.Gpus()
    counted = {name: found.names.count(name) for name in found.names}
    versions = python.get("versions")
    return Environment(
        python=_text(python.get("python")),
        platform=f"{platform.system().lower()}-{platform.machine()}",
        packages=f"sha256:{python['packages']}" if isinstance(python.get("packages"), str) else None,
        gpu=", ".join(f"{count} × {name}" if count > 1 else name for name, count in counted.items()) or None,
        driver=found.driver,
        host=host,
        versions={str(k): str(v) for k, v in versions.items()} if isinstance(versions, dict) else {},
    )


def _ask_python(command: str, env: Mapping[str, str], cwd: Path) -> dict[str, object]:
    for program in user_python.candidates(command, env, cwd):
        try:
            done = proc.run([program, "-I", "-c", ASK, ",".join(SHOWN)], env=env, cwd=cwd, timeout_seconds=10)
            data = json.loads(done.stdout) if done.status == 0 else None
        except (EnvironmentFailure, ValueError):
            continue
        if isinstance(data, dict):
            return data
    return {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
