"""The pictures: what they say, that they are the same each time, and that hostile or many names leave them readable."""

from __future__ import annotations

import io
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from PIL import Image

from mlops_toolkit.records.result import Charts, Check, Confusion, Curve, Result, Side
from mlops_toolkit.report import drawing as module
from mlops_toolkit.report.charts import Chart, charts
from mlops_toolkit.report.findings import findings
from mlops_toolkit.report.panels import most_changed
from tests.unit.report import results
from tests.unit.report.results import HEAD, HOSTILE, MAIN


@cache
def drawn(name: str) -> dict[str, Chart]:
    """The charts of a fixture, drawn once."""
    return {c.name: c for c in charts(results.ALL[name]())}


def picture(chart: Chart) -> Image.Image:
    """The chart as an image, checked to be one."""
    image = Image.open(io.BytesIO(chart.png))
    assert image.format == "PNG"
    return image.convert("RGBA")


def test_a_regression_has_all_four_in_order_of_importance() -> None:
    """Changes first."""
    assert list(drawn("regression")) == ["changes", "confusion", "curves", "history"]


def test_the_alternative_text_states_the_finding_with_numbers() -> None:
    """For mail, where a private picture cannot be seen."""
    alts = {name: chart.alt for name, chart in drawn("regression").items()}
    assert alts["changes"].startswith("accuracy −3.1 pp (likely −4.4 to −1.8; allowed −1.0): worse; of the others 1 worse, ")
    assert alts["confusion"] == "spam taken for ham in 44 examples, 14 before"
    assert alts["curves"].startswith("area under the ROC curve 0.859 (main), 0.804 (this PR); average precision 0.947")
    assert alts["history"].startswith("accuracy over 14 runs: 0.9515 to 0.9693, now 0.9412")
    assert alts == findings(results.regression())


def test_the_area_of_a_known_curve() -> None:
    """A straight diagonal has one half; two steps have their sum."""
    from mlops_toolkit.report.findings import area

    assert area(Curve("c", (0.0, 1.0), (0.0, 1.0))) == pytest.approx(0.5)
    assert area(Curve("c", (0.5, 1.0), (1.0, 0.5)), steps=True) == pytest.approx(0.75)


def test_the_same_result_gives_the_same_bytes_whatever_the_users_settings(tmp_path: Path) -> None:
    """Another process, with a matplotlibrc of its own in its folder."""
    (tmp_path / "matplotlibrc").write_text("lines.linewidth: 9\ntext.color: red\nfigure.dpi: 30\nfont.size: 30\n")
    code = (
        "import hashlib, sys; from tests.unit.report import results; from mlops_toolkit.report.charts import charts\n"
        "print(*(hashlib.sha256(c.png).hexdigest() for c in charts(results.regression())))\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    root = str(Path(__file__).parents[3])
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": root, "HOME": str(tmp_path), "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    import hashlib

    assert ran.stdout.split() == [hashlib.sha256(c.png).hexdigest() for c in drawn("regression").values()]


def test_drawing_leaves_the_users_matplotlib_as_it_was() -> None:
    """Whoever calls us from a notebook keeps their settings."""
    import matplotlib

    before = dict(matplotlib.rcParams)
    charts(results.harmless())
    assert dict(matplotlib.rcParams) == before


def luminance(color: tuple[int, ...]) -> float:
    """Relative luminance as the web's accessibility guidelines define it."""
    linear = [c / 255 / 12.92 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in color[:3]]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("background", ["#ffffff", "#0d1117"])
@pytest.mark.parametrize("color", [module.GREY, module.BLUE, module.ORANGE])
def test_every_colour_has_contrast_on_a_light_and_on_a_dark_page(background: str, color: str) -> None:
    """At least 4:1 on both."""
    rgb = lambda text: tuple(int(text[i : i + 2], 16) for i in (1, 3, 5))
    lights = sorted((luminance(rgb(background)), luminance(rgb(color))))
    assert (lights[1] + 0.05) / (lights[0] + 0.05) >= 4.0


@pytest.mark.parametrize("name", ["changes", "confusion", "curves", "history"])
def test_the_background_is_transparent_and_something_is_drawn(name: str) -> None:
    """In every corner nothing, somewhere full colour."""
    image = picture(drawn("regression")[name])
    width, height = image.size
    assert all(image.getpixel(at)[3] == 0 for at in ((0, 0), (width - 1, 0), (0, height - 1), (width - 1, height - 1)))  # type: ignore[index]
    assert image.getextrema()[3][1] > 240  # type: ignore[index]
    assert len(drawn("regression")[name].png) < 60_000


def test_sixty_slices_stay_one_page_and_keep_the_whole_metric() -> None:
    """The most telling ones are drawn, the rest counted; a row keeps its height."""
    tall = picture(drawn("many-slices")["changes"]).size[1] / module.DPI
    assert tall < 9


def test_a_hundred_whole_metrics_are_capped_too() -> None:
    """Readable rather than complete: the page has them all."""
    checks = tuple(
        Check(
            f"metric-{i} " + "x" * 300, baseline=1.0, head=0.9, change=-0.1, low=-0.2, high=0.1, margin=0.2, verdict="pass", unit="fraction"
        )
        for i in range(100)
    )
    made = charts(Result("m", "pass", "passed", "", MAIN, HEAD, checks))
    assert picture(made[0]).size[1] / module.DPI < 9


def test_of_two_hundred_classes_those_that_changed_most_are_drawn() -> None:
    """Sixteen, in their own order."""
    k = 200
    base = tuple(tuple(5 * (i == j) for j in range(k)) for i in range(k))
    head = tuple(tuple(5 * (i == j) + 9 * (i == 150 and j == 30) for j in range(k)) for i in range(k))
    found = Confusion(tuple(f"class {i}" for i in range(k)), base, head)
    kept = most_changed(found, 16)
    assert len(kept) == 16
    assert {30, 150} <= set(kept)
    made = charts(Result("m", "pass", "passed", "", MAIN, HEAD, charts=Charts(confusion=found)))
    assert [c.alt for c in made] == ["class 150 taken for class 30 in 9 examples, 0 before"]
    assert picture(made[0]).size[0] < 2000


def test_nothing_to_draw_is_no_chart() -> None:
    """First runs and errors have none."""
    assert charts(results.failed()) == ()
    assert charts(Result("m", "pass", "passed", "", Side(), Side())) == ()


def test_a_change_from_zero_has_no_per_cent_and_is_left_out_of_that_axis() -> None:
    """No division by zero."""
    check = Check("loss", direction="lower", baseline=0.0, head=0.3, change=-0.3, low=-0.4, high=-0.2, margin=0.1, verdict="fail")
    assert charts(Result("m", "fail", "failed", "", MAIN, HEAD, (check,))) == ()
    assert charts(Result("m", "fail", "failed", "", MAIN, HEAD, (check, replace(check, metric="b", baseline=1.0))))


@pytest.mark.parametrize("part", [0, 1])
def test_hostile_names_are_drawn_as_they_are(part: int) -> None:
    """No formula, no missing glyph, no control character stops the drawing."""
    texts = [t if len(t) < 10_000 else t[:10_000] for t in HOSTILE][part::2]
    checks = tuple(
        Check(t, slice=t, baseline=0.9, head=0.8, change=-0.1, low=-0.12, high=-0.08, margin=0.01, verdict="fail", unit="fraction")
        for t in texts
    )
    k = len(texts)
    square = tuple(tuple(i * j % 7 for j in range(k)) for i in range(k))
    other = tuple(tuple((i * j + 1) % 5 for j in range(k)) for i in range(k))
    result = Result(
        "m",
        "fail",
        "failed",
        "",
        MAIN,
        HEAD,
        checks,
        charts=Charts(Confusion(tuple(texts), square, other), tuple(Curve(t, (0, 1), (0, 1)) for t in texts[:3])),
    )
    made = charts(result)
    assert [c.name for c in made] == ["changes", "confusion", "curves"]
    assert all(len(c.alt.splitlines()) == 1 and len(c.alt) < 500 for c in made)


def test_a_large_confusion_ends_within_its_picture() -> None:
    """Nothing is cut off at the right edge, however long the names."""
    names = tuple(f"a class with a long name {i}" for i in range(30))
    square = tuple(tuple(i * j % 7 for j in range(30)) for i in range(30))
    other = tuple(tuple((i + j) % 5 for j in range(30)) for i in range(30))
    made = charts(Result("m", "pass", "passed", "", MAIN, HEAD, charts=Charts(Confusion(names, square, other))))
    image = picture(made[0])
    edge = image.crop((image.size[0] - 4, 0, image.size[0], image.size[1]))
    assert edge.getextrema()[3] == (0, 0)
