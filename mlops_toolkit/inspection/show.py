"""What there is to say of a stored model, as a document and as lines for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlops_toolkit.formats.manifest import Manifest, Part
from mlops_toolkit.formats.signature import Tensor
from mlops_toolkit.report.escape import plain
from mlops_toolkit.report.words import size

FILES = 20  # lines of files, at most


@dataclass(frozen=True)
class Found:
    """A model's folder (or a bare file) as it was found.

    kind      what a bare file is, in words; None of a folder that mlops.save wrote
    golden    the largest difference when its golden examples were asked again, None where they were not
    """

    name: str
    digest: str
    size: int
    files: Mapping[str, tuple[str, int]]
    parameters: int | None
    manifest: Manifest | None = None
    kind: str | None = None
    golden: float | None = None
    inputs: tuple[Tensor, ...] = ()
    outputs: tuple[Tensor, ...] = ()


def document(found: Found) -> dict[str, Any]:
    """For --json."""
    manifest = found.manifest
    made: dict[str, Any] = {
        "schema": 1,
        "digest": found.digest,
        "size": found.size,
        "parameters": found.parameters,
        "inputs": [_tensor(one) for one in found.inputs],
        "outputs": [_tensor(one) for one in found.outputs],
        "files": {name: {"sha256": sha, "size": size} for name, (sha, size) in found.files.items()},
    }
    if manifest is None:
        return {**made, "kind": found.kind}
    return {
        **made,
        "native": {"format": manifest.native.format, "file": manifest.native.file},
        "served": {"format": manifest.served.format, "file": manifest.served.file, "equal": manifest.served.equal},
        "not-converted": manifest.converted,
        "framework": dict(manifest.framework),
        "runtime": list(manifest.runtime),
        "python": manifest.python,
        "golden": {"rows": manifest.golden_rows, "largest-difference": found.golden},
    }


def _tensor(one: Tensor) -> dict[str, Any]:
    shape = [-1 if length is None else length for length in one.shape]
    return {
        "name": one.name,
        "dtype": one.dtype,
        "shape": shape,
        "unit": one.unit,
        "labels": None if one.labels is None else list(one.labels),
        "missing": one.missing,
        "files": one.files,
    }


def lines(found: Found) -> list[tuple[str, str]]:
    """Name and text of each line, in order."""
    manifest = found.manifest
    said = [("model", found.name), ("digest", found.digest), ("size", f"{size(found.size)} in {_count(len(found.files), 'file')}")]
    if manifest is None:
        said.append(("kind", found.kind or "unknown"))
    else:
        said += [("format", _formats(manifest)), *([("not converted", manifest.converted)] if manifest.converted else [])]
    if found.parameters is not None:
        said.append(("parameters", f"{found.parameters:,}"))
    said += [("input", _shown(one)) for one in found.inputs]
    said += [("output", _shown(one)) for one in found.outputs]
    if manifest is not None:
        said += [
            ("trained with", f"{manifest.framework.get('name', '?')} {manifest.framework.get('version', '?')}, Python {manifest.python}"),
            ("served with", ", ".join(manifest.runtime) or "Python alone"),
            ("golden", _golden(manifest, found.golden)),
        ]
    listed = list(found.files.items())
    said += [("file", f"{name}  {size(length)}  sha256:{sha[:12]}…") for name, (sha, length) in listed[:FILES]]
    if len(listed) > FILES:
        said.append(("", f"and {len(listed) - FILES} more"))
    return [(name, plain(text, 300)) for name, text in said]


def _formats(manifest: Manifest) -> str:
    native, served = manifest.native, manifest.served
    if served == native:
        return native.format + (" (code of this repository, run when it is loaded)" if native.format == "handler" else "")
    return f"{native.format}, served as {served.format}: {_equal(served)}"


def _equal(part: Part) -> str:
    equal = part.equal or {}
    batches: Sequence[Any] = equal.get("batches") or ()
    apart = equal.get("largest-difference")
    held = f"the same answers to {equal.get('rows', '?')} examples in batches of {', '.join(map(str, batches)) or '?'}"
    return f"{held} (numbers differ by {apart:.1g} at most)" if isinstance(apart, int | float) and apart else held


def _shown(one: Tensor) -> str:
    labels = "" if one.labels is None else "  " + ", ".join(one.labels[:10]) + (", …" if len(one.labels) > 10 else "")
    return f"{one.name}  {one.text}" + (f"  in {one.unit}" if one.unit else "") + (f"  {one.noted}" if one.noted else "") + labels


def _golden(manifest: Manifest, apart: float | None) -> str:
    kept = _count(manifest.golden_rows, "example")
    if apart is None:
        return f"{kept} (--golden asks them again)"
    return f"{kept}: answered as when it was saved" + (f" (numbers differ by {apart:.1g} at most)" if apart else "")


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
