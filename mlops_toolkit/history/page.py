"""The history branch's page for people: README.md with the latest runs, and metrics.svg with metrics over time, both from the index alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from mlops_toolkit.history.base import Entry
from mlops_toolkit.history.entry import Index

LATEST = 20
PANELS = 6
POINTS = 60
SIGNS = {"passed": "✅", "failed": "❌", "undecided": "⚠️", "none": "ℹ️", None: "·"}

INTRO = """# Recorded runs

Written by mlops-actions, a commit a record; `mlops history` reads and tidies it. Do not edit it by hand.

"""


def files(index: Index, repository: str | None = None) -> dict[str, bytes]:
    """README.md and metrics.svg. repository: its page in a browser, for links to pull requests and commits; None: no links."""
    entries = [index.entries[i] for i in sorted(index.entries, reverse=True)]
    return {"README.md": readme(entries, repository).encode("utf-8", "replace"), "metrics.svg": svg(entries).encode("utf-8", "replace")}


def readme(entries: Sequence[Entry], repository: str | None) -> str:
    """The page. entries: newest first."""
    models = len({e.key for e in entries})
    text = INTRO + f"{len(entries)} {'run' if len(entries) == 1 else 'runs'} of {models} {'model' if models == 1 else 'models'}.\n\n"
    if panels(entries):
        text += f"![{_cell(finding(entries))}](metrics.svg)\n\nRed: the gate failed.\n\n"
    if not entries:
        return text
    text += "| | when (UTC) | model | what | commit | metrics | verdict |\n|---|---|---|---|---|---|---|\n"
    return text + "".join(_row(entry, repository) for entry in entries[:LATEST])


def _row(entry: Entry, repository: str | None) -> str:
    sign = "🚫" if entry.withdrawn else "✅" if entry.accepted else SIGNS.get(entry.gate, "·")
    when = f"[{_cell(entry.started[:16].replace('T', ' '))}](runs/{entry.id[:4]}-{entry.id[4:6]}/{entry.id}/run.json)"
    what = f"#{entry.pull_request}" if entry.pull_request else entry.branch or entry.event or ""
    what = f"[{what}]({repository}/pull/{entry.pull_request})" if entry.pull_request and repository else _cell(what)
    commit = _cell((entry.commit or "")[:7])
    if repository and re.fullmatch("[0-9a-f]{7}", commit):
        commit = f"[{commit}]({repository}/commit/{entry.commit})" if re.fullmatch("[0-9a-f]+", entry.commit or "") else commit
    numbers = ", ".join(f"{_cell(name)} {value:.4g}" for name, value in list(entry.metrics.items())[:3])
    said = "withdrawn" if entry.withdrawn else _cell(entry.sentence or ("" if entry.status in ("succeeded", "reused") else entry.status))
    said += " (accepted)" if entry.accepted and not entry.withdrawn else ""
    return f"| {sign} | {when} | {_cell(model(entry))} | {what} | {commit} | {numbers} | {said} |\n"


def model(entry: Entry) -> str:
    """The model's name, and its matrix leg if it has one."""
    parts = entry.key.split("|")
    return " ".join(p for p in (parts[1], parts[2]) if p) if len(parts) == 3 else entry.key


def _cell(text: str) -> str:
    """Text that Markdown takes as text, on one line: nothing of it can be markup, a link, a mention or the end of a cell."""
    flat = "".join(c if c.isprintable() else " " for c in text)[:300]
    escaped = re.sub(r"([\\`*_{}\[\]()#!|~$])|[<>&@]", lambda m: f"\\{m[1]}" if m[1] else f"&#{ord(m[0])};", flat)
    return escaped.replace("://", "&#58;//").replace("www.", "www&#46;")


Panel = tuple[str, str, list[Entry]]


def panels(entries: Sequence[Entry]) -> list[Panel]:
    """(model, metric, runs oldest first) of what is worth drawing: each model's metrics over its runs outside pull requests, if two or more."""
    found: list[Panel] = []
    for key in dict.fromkeys(e.key for e in entries):
        mine = [e for e in entries if e.key == key and e.metrics and not e.fork]
        lasting = [e for e in mine if e.pull_request is None]
        mine = (lasting if len(lasting) > 1 else mine)[:POINTS][::-1]
        for name in mine[-1].metrics if mine else ():
            having = [e for e in mine if name in e.metrics]
            if len(having) > 1:
                found.append((model(having[-1]), name, having))
    return found[:PANELS]


def finding(entries: Sequence[Entry]) -> str:
    """The picture in words: "spam accuracy 0.95 after 12 runs (0.91 to 0.96)"."""
    said = []
    for name, metric, runs in panels(entries):
        values = [e.metrics[metric] for e in runs]
        said.append(f"{name} {metric} {values[-1]:.4g} after {len(values)} runs ({min(values):.4g} to {max(values):.4g})")
    return "; ".join(said[:3]) + (f"; and {len(said) - 3} more" if said[3:] else "")


WIDTH, HEIGHT, GAP, PLOT = 280, 130, 20, 62
STYLE = """
text{font:12px -apple-system,"Segoe UI",Helvetica,Arial,sans-serif;fill:#59636e}
.t{font-weight:600;fill:#1f2328}.l{fill:none;stroke:#0969da;stroke-width:2;stroke-linejoin:round}
.p{fill:#0969da}.f{fill:#cf222e}.g{stroke:#d1d9e0}
@media(prefers-color-scheme:dark){text{fill:#9198a1}.t{fill:#f0f6fc}.l{stroke:#4493f8}.p{fill:#4493f8}.f{fill:#f85149}.g{stroke:#3d444d}}
"""


def svg(entries: Sequence[Entry]) -> str:
    """Small multiples, a panel a metric with its own scale; readable on light and dark. Red points are runs whose gate failed."""
    drawn = panels(entries)
    columns = min(3, len(drawn)) or 1
    rows = -(-len(drawn) // columns)
    width, height = columns * (WIDTH + GAP) + GAP, rows * (HEIGHT + GAP) + GAP
    body = "".join(
        f'<g transform="translate({GAP + (i % columns) * (WIDTH + GAP)},{GAP + (i // columns) * (HEIGHT + GAP)})">{_panel(*panel)}</g>'
        for i, panel in enumerate(drawn)
    )
    title = _xml(finding(entries) or "no metrics yet", 2000)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img">'
        f"<title>{title}</title><style>{STYLE}</style>{body}</svg>\n"
    )


def _panel(name: str, metric: str, runs: Sequence[Entry]) -> str:
    values = [e.metrics[metric] for e in runs]
    low, high = min(values), max(values)
    span = high / 2 - low / 2 or 1.0  # halves: their difference cannot overflow
    points = [
        (round(4 + i * (WIDTH - 8) / (len(values) - 1), 1), round(34 + PLOT * ((high / 2 - v / 2) / span), 1)) for i, v in enumerate(values)
    ]
    if high == low:
        points = [(x, 34 + PLOT / 2) for x, _ in points]
    marks = "".join(
        f'<circle class="{"f" if e.gate == "failed" and not e.accepted else "p"}" cx="{x:g}" cy="{y:g}" r="{4 if i == len(runs) - 1 else 2.5}"/>'
        for i, (e, (x, y)) in enumerate(zip(runs, points, strict=True))
        if len(runs) <= 24 or i == len(runs) - 1 or (e.gate == "failed" and not e.accepted)
    )
    scale = f"{low:.4g}" if high == low else f"{low:.4g} – {high:.4g}"
    return (
        f'<text class="t" y="12">{_xml(metric, 24)}</text><text class="t" x="{WIDTH}" y="12" text-anchor="end">{values[-1]:.4g}</text>'
        f'<text y="26">{_xml(name, 24)}</text><text x="{WIDTH}" y="26" text-anchor="end">{scale}</text>'
        f'<path class="g" d="M0 {34 + PLOT + 6}H{WIDTH}"/>'
        f'<path class="l" d="M{"L".join(f"{x:g} {y:g}" for x, y in points)}"/>{marks}'
        f'<text y="{HEIGHT - 10}">{_xml(runs[0].started[:10], 10)}</text>'
        f'<text x="{WIDTH}" y="{HEIGHT - 10}" text-anchor="end">{_xml(runs[-1].started[:10], 10)}</text>'
    )


def _xml(text: str, longest: int) -> str:
    """Text inside XML: one line, printable, escaped; cut off with an ellipsis."""
    flat = "".join(c if c.isprintable() and not 0xD800 <= ord(c) <= 0xDFFF and c not in "￾￿" else " " for c in text)
    return escape(flat if len(flat) <= longest else flat[: longest - 1] + "…")
