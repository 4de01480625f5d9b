"""The page at `/`: what is served here, what goes in and comes out, and a form to try it. Nothing of it is fetched from anywhere else."""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_toolkit.errors import MlopsError
from mlops_toolkit.formats import golden
from mlops_toolkit.formats.manifest import Manifest
from mlops_toolkit.formats.signature import Tensor

if TYPE_CHECKING:
    from mlops_toolkit.formats.load import Loaded

NUMBERS, FILE = 20_000, 200_000  # of an example: values and bytes of a file, at most, or the form begins empty
SAFE = 2**53 - 1  # whole numbers up to here survive JavaScript
LABELS, TEXT = 12, 200  # that are written out; the rest is counted


@dataclass(frozen=True)
class Shown:
    """A model as the page shows it.

    versions  all that answer, the newest first
    trouble   why it does not answer, or why a newer version does not; None where all is well
    about     what is known of it beside its manifest: `run`, `verdict`, `commit`, `digest`, …
    example   {input: value of one row}, as JSON
    """

    name: str
    versions: Sequence[str]
    manifest: Manifest | None = None
    trouble: str | None = None
    about: Mapping[str, str] = field(default_factory=dict)
    example: Mapping[str, Any] | None = None


def shown(name: str, loaded: Loaded | None, versions: Sequence[str], trouble: str | None, about: Mapping[str, str] | None = None) -> Shown:
    """A model of the server's. loaded: its newest version that answers; versions: all of them, newest first."""
    if loaded is None:
        return Shown(name, (), None, trouble, about or {})
    return Shown(name, versions, loaded.manifest, trouble, about or {}, example_of(loaded))


def example_of(loaded: Loaded) -> dict[str, Any] | None:
    """The first golden example's inputs, None where they are too large for a form."""
    try:
        inputs, _ = golden.read(loaded.folder, loaded.signature)
    except MlopsError:
        return None
    made: dict[str, Any] = {}
    for name, array in inputs.items():
        if array[:1].size > NUMBERS:
            return None
        value = array[0]
        if isinstance(value, bytes):
            made[name] = {"b64": base64.b64encode(value).decode()} if len(value) <= FILE else None
        else:
            made[name] = value.tolist() if array.dtype == object and array.ndim > 1 else _exact(value)
    return made


def _exact(value: Any) -> Any:
    """Whole numbers that JavaScript would round, as text."""
    import numpy as np

    if getattr(value, "dtype", np.dtype(object)).kind in "iu" and np.size(value) and np.abs(np.asarray(value, np.float64)).max() > SAFE:
        return str(value) if np.ndim(value) == 0 else np.asarray(value).astype(str).tolist()
    return value


def page(models: Sequence[Shown], *, version: str, token: bool = False) -> tuple[bytes, dict[str, str]]:
    """The document and its headers.

    version: of the server. token: whether requests need a bearer token, which the form then asks for (and keeps nowhere).
    """
    import orjson

    style, script, policy = _files()
    data = [_data(model, token) for model in models]
    # numbers of single precision are written with the digits that they have; `<` cannot end the element that this stands in
    raw = orjson.dumps(data, option=orjson.OPT_SERIALIZE_NUMPY, default=str).decode("utf-8", "replace").replace("<", "\\u003c")
    title = ", ".join(model.name for model in models[:3]) or "no model"
    nav = "".join(f'<a href="#{_anchor(place)}">{escape(model.name)}</a>' for place, model in enumerate(models)) if len(models) > 1 else ""
    body = (
        "".join(_model(model, place, token) for place, model in enumerate(models)) or '<p class="notice">No model is served here yet.</p>'
    )
    made = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{escape(title[:TEXT])}</title><link rel="icon" href="data:,"><style>{style}</style></head><body>'
        '<a class="skip" href="#main">to the model</a>'
        '<header><div class="top"><p>a model that answers requests</p><p id="state" class="state" role="status"></p></div>'
        f"{f'<nav aria-label=Models>{nav}</nav>' if nav else ''}</header>"
        f'<main id="main">{body}</main>'
        '<footer><a href="/openapi.json">how to ask (OpenAPI)</a><a href="/metrics">metrics</a><a href="/v2">the protocol\'s metadata</a>'
        f"<span>mlops-toolkit {escape(version)}</span></footer>"
        f'<script type="application/json" id="models">{raw}</script><script>{script}</script></body></html>'
    )
    headers = {
        "content-type": "text/html; charset=utf-8",
        "content-security-policy": policy,
        "referrer-policy": "no-referrer",
        "cache-control": "no-store",
    }
    return made.encode("utf-8", "replace"), headers


@functools.cache
def _files() -> tuple[str, str, str]:
    """Style, script, and the policy that lets these two run and nothing else."""
    here = Path(__file__).parent
    style, script = ((here / f"page.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)]
    policy = f"default-src 'none'; style-src 'sha256-{digests[0]}'; script-src 'sha256-{digests[1]}'; connect-src 'self'; img-src data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    return style, script, policy


def _data(model: Shown, token: bool) -> dict[str, Any]:
    """What the script needs."""
    if model.manifest is None or not model.versions:
        return {"name": model.name, "inputs": None}
    signature = model.manifest.signature
    sides = {"inputs": [*map(_tensor, signature.inputs)], "outputs": [*map(_tensor, signature.outputs)]}
    return {"name": model.name, "token": token, "example": model.example, **sides}


def _tensor(one: Tensor) -> dict[str, Any]:
    labels = None if one.labels is None or len(one.labels) > 1000 else list(one.labels)
    said = {"name": one.name, "dtype": one.dtype, "text": one.text, "shape": [-1 if length is None else length for length in one.shape]}
    return {**said, "unit": one.unit, "labels": labels, "missing": one.missing, "files": one.files}


def _anchor(place: int) -> str:
    return f"model-{place + 1}"


def _model(model: Shown, place: int, token: bool) -> str:
    answering = model.manifest is not None and bool(model.versions)
    version = f"<small>version {escape(model.versions[0])}</small>" if model.versions else ""
    older = [("also answers", ", ".join(model.versions[1:6]))] if len(model.versions) > 1 else []
    facts = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(text[:TEXT])}</dd></div>" for name, text in (*_facts(model), *older) if text)
    trouble = f'<p class="notice">{escape(model.trouble)}</p>' if model.trouble else ""
    made = f'<article id="{_anchor(place)}"><h1>{escape(model.name)} {version}</h1><dl class="facts">{facts}</dl>{trouble}'
    if not answering or model.manifest is None:
        return made + "</article>"
    asking = (
        '<div class="field token"><label>token <small>kept nowhere</small><input type="password" autocomplete="off"></label></div>'
        if token
        else ""
    )
    signature = model.manifest.signature
    rows = "".join(_row("in", tensor) for tensor in signature.inputs) + "".join(_row("out", tensor) for tensor in signature.outputs)
    return (
        f"{made}"
        '<div class="try" hidden><div class="sides"><section><h2>Try it</h2><form novalidate>'
        f'<div class="fields"></div>{asking}<div class="buttons"><button class="main">Ask</button>'
        '<button type="button" class="reset">use the example</button></div></form></section>'
        '<section><h2>Answer</h2><div class="answer" role="status"><p class="soft">Nothing was asked yet.</p></div></section></div>'
        '<section><h2>The same from a terminal</h2><pre class="curl" tabindex="0"></pre>'
        '<p class="buttons"><button type="button" class="copy">copy</button></p></section></div>'
        '<noscript><p class="notice">To try it here, the browser must run this page\'s script.</p></noscript>'
        '<section><h2>What goes in and comes out</h2><div class="scroll" tabindex="0"><table><thead><tr><th></th><th>name</th><th>type</th>'
        f"<th>unit</th><th>labels</th></tr></thead><tbody>{rows}</tbody></table></div></section></article>"
    )


def _facts(model: Shown) -> list[tuple[str, str]]:
    known = [(name, model.about.get(name, "")) for name in ("verdict", "run", "commit", "digest")]
    more = [(name, text) for name, text in model.about.items() if name not in (*dict(known), "format", "framework")]
    if model.manifest is None:
        return [*known, *more]
    native, served, trained = model.manifest.native, model.manifest.served, model.manifest.framework
    stored = native.format if native.format == served.format else f"{native.format}, answers as {served.format}"
    return [*known, ("stored as", stored), ("trained with", f"{trained.get('name', '')} {trained.get('version', '')}".strip()), *more]


def _row(side: str, tensor: Tensor) -> str:
    labels = "" if tensor.labels is None else ", ".join(one[:TEXT] for one in tensor.labels[:LABELS])
    if tensor.labels is not None and len(tensor.labels) > LABELS:
        labels += f" and {len(tensor.labels) - LABELS} more"
    kind = tensor.text + (f", {tensor.noted}" if tensor.noted else "")
    cells = (side, None), (tensor.name, "th"), (kind, None), (tensor.unit or "", None), (labels, "labels")
    return "<tr>" + "".join(_cell(text, how) for text, how in cells) + "</tr>"


def _cell(text: str, how: str | None) -> str:
    if how == "th":
        return f'<th scope="row">{escape(text)}</th>'
    return f'<td class="labels">{escape(text)}</td>' if how else f"<td>{escape(text)}</td>"
