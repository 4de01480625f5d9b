"""The report page in a real browser: it asks for nothing, works by mouse and keyboard, without a script, light and dark."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from mlops_toolkit.records.result import Check, Example, Examples, Result
from mlops_toolkit.report.page import page
from mlops_toolkit.report.previews import Preview
from tests.unit.report import results
from tests.unit.report.browser import Browser, browser
from tests.unit.report.results import HEAD, HOSTILE, MAIN

pytestmark = pytest.mark.browser

VISIBLE = "[...document.querySelectorAll('.card')].filter(c => c.offsetParent).length"
CLICK = "document.querySelector({!r}).click()"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for all tests of this file."""
    with browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with 70 broken and 8 fixed examples, pictures among them."""
    out = io.BytesIO()
    Image.new("RGB", (8, 8), (200, 30, 30)).save(out, "PNG")
    make = lambda i: Example(
        f"row-{i:03d}", "cat", "cat" if i < 70 else "dog", "dog" if i < 70 else "cat", {"image": "red.png", "text": f"number {i}"}
    )
    examples = Examples(tuple(make(i) for i in range(70, 78)), tuple(make(i) for i in range(70)), 8, 70)
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(page(replace(results.regression(), examples=examples), previews={"red.png": Preview("image/png", out.getvalue())}))
    return path


def test_the_gallery_filters_searches_and_pages(chromium: Browser, gallery: Path) -> None:
    """Fifty a page; the buttons, the search and both pagers."""
    chromium.open(gallery)
    assert chromium.value(VISIBLE) == 50
    assert chromium.value("document.getElementById('where').textContent") == "1–50 of 78"
    chromium.value(CLICK.format("#next"))
    assert chromium.value(VISIBLE) == 28
    chromium.value(CLICK.format("[data-kind=fixed]"))
    assert chromium.value(VISIBLE) == 8
    chromium.value(
        "document.getElementById('search').value = 'number 71'; document.getElementById('search').dispatchEvent(new Event('input'))"
    )
    assert chromium.value(VISIBLE) == 1
    chromium.value(
        "document.getElementById('search').value = 'nothing like it'; document.getElementById('search').dispatchEvent(new Event('input'))"
    )
    assert chromium.value(VISIBLE) == 0
    assert chromium.value("document.getElementById('none').offsetParent !== null") is True
    assert chromium.value("[...document.images].every(i => i.complete && i.naturalWidth > 0)") is True
    assert chromium.problems == []


def test_the_keyboard_goes_from_example_to_example_over_pages(chromium: Browser, gallery: Path) -> None:
    """j and k, and the page follows."""
    chromium.open(gallery)
    for _ in range(51):
        chromium.press("j")
    assert chromium.value("document.activeElement.querySelector('.id').textContent") == "row-050"
    assert chromium.value("document.getElementById('where').textContent") == "51–78 of 78"
    chromium.press("k")
    assert chromium.value("document.activeElement.querySelector('.id').textContent") == "row-049"


def test_a_click_on_a_heading_sorts_by_number_and_a_third_brings_the_order_back(chromium: Browser, gallery: Path) -> None:
    """Ascending, descending, as it was."""
    chromium.open(gallery)
    column = "[...document.querySelectorAll('.checks')][0].querySelectorAll('tbody tr td:nth-child(4)')"
    values = f"[...{column}].map(c => +c.dataset.v)"
    first = chromium.value(values)
    seen = []
    for _ in range(3):
        chromium.value(CLICK.format(".checks thead th:nth-child(4) button"))
        seen.append(chromium.value(values))
    assert seen == [sorted(first), sorted(first, reverse=True), first]


def test_it_asks_the_network_for_nothing(chromium: Browser, gallery: Path) -> None:
    """The file itself and data addresses, no other."""
    chromium.open(gallery)
    chromium.value(VISIBLE)
    assert chromium.requests
    assert all(url.startswith("data:") or url == gallery.as_uri() for url in chromium.requests)


def test_without_a_script_everything_is_there(chromium: Browser, gallery: Path) -> None:
    """All examples shown, no dead button."""
    chromium.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        chromium.open(gallery)
        assert chromium.value(VISIBLE) == 78
        assert chromium.value("[...document.querySelectorAll('button')].filter(b => b.offsetParent).length") == 0
    finally:
        chromium.call("Emulation.setScriptExecutionDisabled", value=False)


def test_light_and_dark_follow_the_system_and_the_button(chromium: Browser, gallery: Path) -> None:
    """The background says which."""
    corner = lambda: Image.open(io.BytesIO(chromium.screenshot())).convert("RGB").getpixel((5, 5))
    chromium.scheme("dark")
    chromium.open(gallery)
    assert corner() == (13, 17, 23)
    chromium.value(CLICK.format("#theme"))
    assert corner() == (255, 255, 255)
    chromium.scheme("light")
    chromium.open(gallery)
    assert corner() == (255, 255, 255)
    chromium.value(CLICK.format("#theme"))
    assert corner() == (13, 17, 23)


def test_hostile_text_runs_nothing_and_loads_nothing(chromium: Browser, tmp_path: Path) -> None:
    """Every hostile string in every place, on one page."""
    texts = [t[:3000] for t in HOSTILE]
    checks = tuple(
        Check(t, slice=t, baseline=0.9, head=0.8, change=-0.1, low=-0.12, high=-0.08, margin=0.01, verdict="fail", unit=t, message=t)
        for t in texts
    )
    rows = tuple(Example(t, t, t, t, {t: t}, suite=t) for t in texts)
    svg = b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9' onload='document.title=\"hacked\"'><script>document.title='hacked'</script><image href='http://evil.example/x.png'/></svg>"
    shown = {t: Preview("image/svg+xml", svg) for t in texts[:3]}
    result = Result(
        texts[17],
        "fail",
        "failed",
        texts[2],
        MAIN,
        replace(HEAD, label=texts[5]),
        checks,
        examples=Examples(rows, rows, 9, 9),
        notes=tuple(texts),
        next=results.hostile(texts[16]).next,
    )
    path = tmp_path / "hostile.html"
    path.write_text(page(result, previews=shown))
    chromium.open(path)
    assert chromium.value("document.querySelectorAll('script').length") == 1
    assert chromium.value("document.querySelectorAll('a:not(.skip), iframe, object, embed, form, link').length") == 0
    assert chromium.value("[...document.images].every(i => i.src.startsWith('data:'))") is True
    assert chromium.value("document.querySelectorAll('.card').length") == 2 * len(texts)
    assert "hacked" not in chromium.value("document.title")
    assert chromium.value("document.documentElement.classList.contains('js')") is True
    assert [url for url in chromium.requests if url.startswith("http")] == []
    assert chromium.problems == []


def test_nothing_is_wider_than_a_narrow_window(chromium: Browser, gallery: Path) -> None:
    """Tables scroll in their own frame."""
    chromium.call("Emulation.setDeviceMetricsOverride", width=380, height=800, deviceScaleFactor=1, mobile=False)
    try:
        chromium.open(gallery)
        assert chromium.value("document.documentElement.scrollWidth") <= 380
    finally:
        chromium.call("Emulation.clearDeviceMetricsOverride")


def test_everything_that_can_be_used_has_a_name(chromium: Browser, gallery: Path) -> None:
    """Buttons, inputs, pictures and regions have words for those who hear the page; headings are in order."""
    chromium.open(gallery)
    nameless = "[...document.querySelectorAll('button')].filter(b => !(b.getAttribute('aria-label') || b.textContent.trim())).length"
    assert chromium.value(nameless) == 0
    assert chromium.value("[...document.querySelectorAll('input')].every(i => i.labels.length)") is True
    assert chromium.value("[...document.images].every(i => i.alt)") is True
    assert chromium.value("[...document.querySelectorAll('svg')].every(s => s.getAttribute('aria-label'))") is True
    assert chromium.value("[...document.querySelectorAll('h1')].length") == 1
