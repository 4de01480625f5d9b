"""What is known of a model beside its folder: the run, the verdict and the commit that its image was published with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from mlops_toolkit.formats import manifest
from mlops_toolkit.formats.manifest import Manifest

VARIABLE = "MLOPS_ABOUT"
KNOWN = ("verdict", "undecided", "run", "commit", "digest")
LONGEST = 200


def read(environment: Mapping[str, str]) -> dict[str, str]:
    """What the image says, by its environment: a JSON object of `KNOWN` words, and `manifest`, the sha256 of the manifest that it speaks of.

    Empty where it says nothing, or nothing that can be read.
    """
    try:
        said = json.loads(environment.get(VARIABLE, ""))
    except (ValueError, RecursionError):
        return {}
    if not isinstance(said, dict):
        return {}
    return {name: said[name][:LONGEST] for name in (*KNOWN, "manifest") if isinstance(said.get(name), str)}


def of(folder: Path, known: Manifest, image: Mapping[str, str]) -> dict[str, str]:
    """Of a loaded model. What its image says counts for the very model that the image was made with, not for one that came later."""
    told = hashlib.sha256((folder / manifest.NAME).read_bytes()).hexdigest()
    own = {"format": known.served.format, "framework": f"{known.framework.get('name', '')} {known.framework.get('version', '')}".strip()}
    mine = image if image.get("manifest") == told else {}
    return {**{name: mine[name] for name in KNOWN if name in mine}, "manifest": f"sha256:{told}", **own}
