"""What other projects' clusters accept, as their own definitions say: applied to a test's cluster, its API server checks objects against them.

`httproute.json.gz`         Gateway API v1.6.1, config/crd/standard/gateway.networking.k8s.io_httproutes.yaml (kubernetes-sigs/gateway-api)
`inferenceservice.json.gz`  KServe v0.20.0, config/crd/full/serving.kserve.io_inferenceservices.yaml (kserve/kserve)

Both are under the Apache License 2.0; their descriptions are left out, and nothing else. `python -m tests.world.crds FILE.yaml NAME` makes one anew.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent


def definition(name: str) -> str:
    """As JSON, for `kubectl apply`."""
    return gzip.decompress((HERE / f"{name}.json.gz").read_bytes()).decode()


def bare(thing: Any) -> Any:
    """Without the texts that explain fields."""
    if isinstance(thing, dict):
        return {key: bare(one) for key, one in thing.items() if not (key == "description" and isinstance(one, str))}
    return [bare(one) for one in thing] if isinstance(thing, list) else thing


if __name__ == "__main__":
    made = json.dumps(bare(yaml.safe_load(Path(sys.argv[1]).read_text())), sort_keys=True, separators=(",", ":"))
    (HERE / f"{sys.argv[2]}.json.gz").write_bytes(gzip.compress(made.encode(), 9, mtime=0))
