"""Makes the pictures of this folder from a real run of the demo: `python docs/images/make.py`.

It prints what `mlops bisect` says of its picture, which docs/erosion.md quotes. The comment's needs Chromium and a font with emoji; `python docs/images/make.py charts` draws the others alone.
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import cmarkgfm
from cmarkgfm.cmark import Options

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

from mlops_toolkit.records import result  # noqa: E402
from mlops_toolkit.records.result import Check, Result, Side  # noqa: E402
from mlops_toolkit.report import charts  # noqa: E402
from tests.world.repository import CONFIG, MOVING, make  # noqa: E402

LIGHT = {
    "page": "#ffffff",
    "text": "#1f2328",
    "soft": "#59636e",
    "line": "#d1d9e0",
    "head": "#f6f8fa",
    "code": "#eff1f3",
    "stripe": "#f6f8fa",
}
DARK = {
    "page": "#0d1117",
    "text": "#f0f6fc",
    "soft": "#9198a1",
    "line": "#3d444d",
    "head": "#151b23",
    "code": "#262c36",
    "stripe": "#151b23",
}
PAGE = """<!doctype html><meta charset="utf-8"><style>
body{{margin:0;padding:16px;background:{page};color:{text};font:14px/1.5 "DejaVu Sans",sans-serif;height:{height}px;overflow:hidden}}
.card{{border:1px solid {line};border-radius:6px;overflow:hidden;max-width:900px;margin:auto}}
.by{{background:{head};border-bottom:1px solid {line};padding:8px 16px;color:{soft}}}
.by b{{color:{text}}} .body{{padding:4px 16px 16px}}
table{{border-collapse:collapse;margin:0 0 12px;font-variant-numeric:tabular-nums}}
td,th{{border:1px solid {line};padding:5px 12px}} tr:nth-child(2n){{background:{stripe}}} th{{font-weight:600}}
code{{background:{code};border-radius:5px;padding:1px 5px;font-size:12px}} pre{{background:{head};padding:12px;border-radius:6px}}
pre code{{background:none;padding:0}} summary{{margin:6px 0}} sub{{color:{soft}}}
.fade{{position:fixed;left:0;right:0;bottom:0;height:56px;background:linear-gradient(transparent,{page} 85%)}}
</style><div class="card"><div class="by"><b>github-actions</b> commented on this pull request</div><div class="body">{body}</div></div>
<div class="fade"></div>"""


def screenshot(html: str, to: Path, *, width: int, height: int) -> None:
    """A page as Chromium draws it, at twice the resolution."""
    with tempfile.TemporaryDirectory() as scratch:
        page = Path(scratch) / "page.html"
        page.write_text(html, encoding="utf-8")
        quiet = ["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic"]
        shape = [f"--window-size={width},{height}", "--force-device-scale-factor=2", "--hide-scrollbars", f"--screenshot={to}"]
        command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", *quiet, *shape, f"--user-data-dir={scratch}/profile"]
        subprocess.run([*command, page.as_uri()], check=True, capture_output=True, timeout=60)


def comment_pictures(state: Path, *, height: int) -> None:
    """comment.png and comment-dark.png: the top of the comment, as GitHub would lay it out."""

    def embedded(found: re.Match[str]) -> str:
        return f'src="data:image/png;base64,{base64.b64encode((state / found[1]).read_bytes()).decode()}"'

    markdown = (state / "comment.md").read_text(encoding="utf-8")
    body = cmarkgfm.github_flavored_markdown_to_html(markdown, options=Options.CMARK_OPT_UNSAFE)
    body = re.sub(r'src="(charts/[^"]+)"', embedded, body)
    for name, colors in (("comment", LIGHT), ("comment-dark", DARK)):
        screenshot(PAGE.format(body=body, height=height - 32, **colors), HERE / f"{name}.png", width=940, height=height)


def interval_picture(free: Result, costly: Result) -> None:
    """intervals.png: three checks of the demo, one of each verdict, drawn by the tool's own forest plot."""

    def check(found: Result, name: str, part: str | None = None) -> Check:
        return replace(next(c for c in found.checks if c.metric == "accuracy" and c.slice == part), metric=name, slice=None)

    both = Result(
        model="digits",
        verdict="fail",
        gate="failed",
        sentence="",
        baseline=Side(label="main"),
        head=Side(label="this PR"),
        checks=(check(free, "four grey levels"), check(costly, "every second pixel"), check(costly, "its sevens alone", "digit=7")),
    )
    (HERE / "intervals.png").write_bytes(charts.charts(both)[0].png)


def bounds_picture(folder: Path, runs: list[str]) -> None:
    """bounds.png: an improvement that is asked for, shown and not, and one that is suspicious, as the tool judges the demo's runs."""
    main, free, costly = runs
    cases = [
        ("all pixels again, improve-by: 3pp", costly, main, "accuracy:improve-by=3pp"),
        ("four grey levels, improve-by: 1pp", main, free, "accuracy:improve-by=1pp"),
        ("all pixels again, max-gain: 5pp", costly, main, "accuracy:max-gain=5pp"),
    ]
    checks = []
    for name, base, head, gate in cases:
        command = [sys.executable, "-m", "mlops_toolkit", "compare", base, head, "--gate", gate, "--json"]
        env = {**os.environ, "PYTHONPATH": str(HERE.parents[1])}
        done = subprocess.run(command, check=False, capture_output=True, cwd=folder, timeout=120, env=env)
        judged = result.loads(done.stdout, where=gate)
        checks.append(replace(next(c for c in judged.checks if c.metric == "accuracy" and c.slice is None), metric=name))
    both = Result("digits", "fail", "failed", "", Side(label="main"), Side(label="this PR"), checks=tuple(checks))
    (HERE / "bounds.png").write_bytes(charts.charts(both)[0].png)


def bisect_picture() -> str:
    """bisect.png, as `mlops bisect` draws it of a main whose accuracy goes up by four points and down again; what the command says.

    The seventh model was merged without a run, so that the fall is between two commits.
    """
    levels = [0.90, 0.90, 0.90, 0.90, 0.94, 0.94, 0.94, 0.94, None, 0.90, 0.90]
    with tempfile.TemporaryDirectory() as scratch:
        made = make(Path(scratch), config=CONFIG.replace("max-drop: 1pp, slices: {max-drop: 3pp}", "max-drop: 4pp"))
        made.write(evaluate_py=MOVING)
        for number, level in enumerate(levels):
            made.write(params_json=json.dumps({"accuracy": level or 0.90, "seed": number}))
            made.commit(f"Model {number} (#{number + 10})")
            if level is not None:
                made.mlops("review", code=None)
        said = made.mlops("bisect", "accuracy").stdout
        (HERE / "bisect.png").write_bytes((made.root / ".mlops" / "bisect-accuracy.png").read_bytes())
    return said


def main() -> None:
    print(bisect_picture())
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "digits"
        command = [sys.executable, "-m", "mlops_toolkit", "demo", "--dir", str(folder)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=HERE.parents[1], timeout=300)
        kept = sorted((folder / ".mlops/runs").glob("*/report.json"))
        found = [result.loads(path.read_bytes(), where=str(path)) for path in kept]
        if "charts" not in sys.argv[1:]:
            comment_pictures(folder / ".mlops", height=520)
        interval_picture(found[1], found[2])
        bounds_picture(folder, [path.parent.name for path in kept])


if __name__ == "__main__":
    main()
