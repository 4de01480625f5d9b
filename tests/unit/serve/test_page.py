"""The page at `/` in a real browser: tried by hand and by keyboard, light, dark and narrow, with names that would be code if they could."""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mlops_toolkit as mlops
from mlops_toolkit.formats.load import load
from mlops_toolkit.formats.manifest import Manifest
from mlops_toolkit.serve import people
from mlops_toolkit.serve.page import Shown, example_of, page
from mlops_toolkit.serve.refusals import Refused
from tests.unit.report.browser import Browser, browser

pytestmark = pytest.mark.browser
HOSTILE = "</script><img src=x onerror=alert(1)>\"'&<b>\u202e"
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c63f8cfc0f01f0005000200ff4ba7a2c50000000049454e44ae426082"
)
HANDLER = """
import numpy as np

class Model:
    def load(self, folder): pass
    def predict(self, inputs):
        {body}
"""


@dataclass
class Site:
    """What is served: pages by path, and what the form asked for."""

    shown: list[Shown]
    token: bool = False
    ready: bool = True
    models: Mapping[str, Any] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    address: str = ""


@contextmanager
def served(site: Site) -> Iterator[Site]:
    """A server of the page, of readiness, and of `POST /predict/MODEL` by the code that the real one uses."""

    def allowed(given: str | None) -> None:
        if site.token and given != "Bearer s3cret":
            raise Refused("unauthorized", "a token is asked for")

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/":
                body, headers = page(site.shown, version="1.2.3", token=site.token)
                self.answer(200, body, headers)
            else:
                self.answer(200 if site.ready else 503, b'{"error":"the golden examples differ","name":"not-ready"}')

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            site.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            loaded = site.models[self.path.rpartition("/")[2]]
            try:
                allowed(self.headers["authorization"])
                arrays, shape = people.read(body, self.headers["content-type"], loaded.signature)
                self.answer(200, people.write(loaded.answer(arrays), loaded.signature, shape))
            except Refused as refusal:
                self.answer(refusal.status, refusal.body())

        def answer(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        site.address = f"http://127.0.0.1:{server.server_port}/"
        yield site
        server.shutdown()


def saved(folder: Path, body: str, **options: Any) -> Any:
    """A model whose `predict` is this, loaded."""
    folder.mkdir(parents=True)
    (folder / "predict.py").write_text(HANDLER.replace("{body}", body.replace("\n", "\n        ")))
    return load(mlops.save(folder / "predict.py", folder / "model", **options))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for all tests of this file."""
    with browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Flowers by their measures (labels and units), a text's label, and a picture's size."""
    root = tmp_path_factory.mktemp("models")
    random = np.random.default_rng(0)
    flowers = saved(
        root / "flowers",
        "e = np.exp(inputs['measures'][:, :3])\nreturn {'prob': e / e.sum(1, keepdims=True), 'area': inputs['measures'][:, 0] * 2.5}",
        example={"measures": random.normal(2.5, 1.0, (40, 4)).round(2).astype(np.float32), "count": np.arange(40) + 9007199254740993},
        labels={"prob": ["setosa", "versicolor", "virginica"]},
        units={"measures": "cm", "area": "cm²"},
    )
    spam = saved(root / "spam", "return {'label': ['spam' if 'pills' in one else 'ham' for one in inputs['text']]}", example=["cheap pills", "see you"])  # fmt: skip
    picture = saved(root / "picture", "return {'bytes': np.array([len(one) for one in inputs['file']])}", example=[PNG, PNG + b"x"])
    return {"flowers": flowers, "spam": spam, "picture": picture}


def shown(name: str, loaded: Any, **more: Any) -> Shown:
    return Shown(name, more.pop("versions", ["3"]), loaded.manifest, example=example_of(loaded), **more)


@pytest.fixture
def site(models: dict[str, Any]) -> Iterator[Site]:
    """All three, one of which has a newer version that is refused."""
    about = {"verdict": "pass", "run": "r-20261129-1", "commit": "a1b2c3d", "digest": "sha256:0011"}
    with served(Site([shown("flowers", models["flowers"], about=about), shown("spam", models["spam"], versions=["7", "6"], trouble="version 8: its golden examples differ"), shown("picture", models["picture"])], models=models)) as made:  # fmt: skip
        yield made


ASK = "document.querySelector('article:not([hidden]) .main').click()"
ANSWER = "document.querySelector('article:not([hidden]) .answer').innerText"


def waited(chromium: Browser, expression: str, words: str) -> str:
    """What the expression says, once the words are in it."""
    end = time.monotonic() + 20
    while words not in (said := str(chromium.value(expression))):
        assert time.monotonic() < end, said
        time.sleep(0.02)
    return said


def test_the_example_is_filled_in_and_asked(chromium: Browser, site: Site, tmp_path: Path) -> None:
    """Fields of the signature with their units; the answer as bars and numbers; the same line in a shell gives the same answer."""
    chromium.visit(site.address)
    assert chromium.value("[...document.querySelectorAll('article:not([hidden]) .grid input')].length") == 4
    assert "in cm" in chromium.value("document.querySelector('legend').textContent")
    assert chromium.value("document.title") == "flowers, spam, picture"
    assert chromium.value("document.querySelector('.facts').innerText").split("\n")[:4] == ["verdict", "pass", "run", "r-20261129-1"]
    waited(chromium, "document.getElementById('state').textContent", "ready")
    chromium.value(ASK)
    said = waited(chromium, ANSWER, "answered in")
    assert "versicolor" in said
    assert "%" in said
    assert "cm²" in said
    path, headers, body = site.asked[-1]
    assert (path, headers["content-type"]) == ("/predict/flowers", "application/json")
    assert b'"count": 9007199254740993' in body  # not rounded to what JavaScript can hold
    curl = chromium.value("document.querySelector('pre.curl').textContent")
    done = subprocess.run(["bash", "-c", f"{curl} -sS"], capture_output=True, text=True, timeout=30, check=True)
    row = json.loads(done.stdout)["rows"][0]
    assert set(row) == {"prob", "area"}
    assert f"{100 * max(row['prob'].values()):.1f} %" in said
    assert {one for one in chromium.requests if not one.startswith((site.address, f"blob:{site.address}", "data:"))} == set()
    assert chromium.problems == []


def test_other_values_and_mistakes(chromium: Browser, site: Site) -> None:
    """What is typed is what is asked, `.5` and `1.` too; what is no number is refused in the server's words."""
    chromium.visit(site.address)
    field = "document.querySelector('.grid input')"
    for typed, asked in (("0.25", b"[0.25,"), (".5", b"[0.5,"), ("+007.", b"[7,"), ("-1e3", b"[-1e3,")):
        chromium.value(f"{field}.value = '{typed}'; {field}.dispatchEvent(new Event('input', {{bubbles: true}}))")
        assert asked.decode() in chromium.value("document.querySelector('pre.curl').textContent")
        chromium.value(f"{ANSWER} = ''; {ASK}")
        waited(chromium, ANSWER, "answered in")
        assert asked in site.asked[-1][2]
    chromium.value(f"{field}.value = 'wide'; {ASK}")
    assert "400" in waited(chromium, ANSWER, "wide")
    chromium.value("document.querySelector('.reset').click()")
    assert chromium.value(f"{field}.value") != "wide"


def test_by_keyboard_alone(chromium: Browser, site: Site) -> None:
    """Tab reaches the first field and the button is pressed by the key."""
    chromium.visit(site.address)
    chromium.value("document.querySelector('.grid input').focus()")
    for _ in range(5):
        chromium.press("Tab")
    assert chromium.value("document.activeElement.className") == "main"
    chromium.press("Enter")
    waited(chromium, ANSWER, "answered in")


def test_several_models_each_with_its_own_kind_of_field(chromium: Browser, site: Site) -> None:
    chromium.visit(site.address + "#model-2")
    assert chromium.value("[...document.querySelectorAll('article:not([hidden]) h1')].map(one => one.innerText)") == ["spam version 7"]
    assert "golden examples differ" in chromium.value("document.querySelector('article:not([hidden]) .notice').innerText")
    chromium.value(ASK)
    assert "spam" in waited(chromium, ANSWER, "answered in")
    chromium.value("document.querySelector('nav a:nth-child(3)').click()")
    waited(chromium, "document.querySelector('article:not([hidden]) h1').innerText", "picture")
    assert chromium.value("document.querySelector('article:not([hidden]) .preview').naturalWidth") == 1
    chromium.value(ASK)
    assert str(len(PNG)) in waited(chromium, ANSWER, "answered in")
    assert site.asked[-1][1]["content-type"].startswith("multipart/form-data")
    assert "-F 'file=@example'" in chromium.value("document.querySelector('article:not([hidden]) pre.curl').textContent")
    assert chromium.problems == []


def test_a_token_is_asked_for_and_kept_nowhere(chromium: Browser, models: dict[str, Any]) -> None:
    with served(Site([shown("spam", models["spam"])], token=True, models=models)) as site:
        chromium.visit(site.address)
        chromium.value(ASK)
        assert "401" in waited(chromium, ANSWER, "token")
        chromium.value("document.querySelector('.token input').value = 's3cret'")
        chromium.value(ASK)
        waited(chromium, ANSWER, "answered in")
        assert "s3cret" not in chromium.value("document.querySelector('pre.curl').textContent")
        assert "$TOKEN" in chromium.value("document.querySelector('pre.curl').textContent")
        assert chromium.value("localStorage.length + sessionStorage.length + document.cookie.length") == 0


def test_what_models_say_is_text(chromium: Browser, tmp_path: Path) -> None:
    """Names, units, labels, examples and answers that would be elements, code or the end of the script."""
    loaded = saved(
        tmp_path / "bad",
        f"return {{'label': [{HOSTILE!r}] * len(inputs[{HOSTILE!r}])}}",
        example={HOSTILE: np.array([HOSTILE, "x"], object), "n": np.ones((2, 2))},
        units={HOSTILE: HOSTILE},
    )
    about = {"verdict": HOSTILE, HOSTILE: HOSTILE}
    with served(Site([shown("bad", loaded, about=about, trouble=HOSTILE)], models={"bad": loaded})) as site:
        chromium.visit(site.address)
        assert chromium.value("document.querySelector('.notice').textContent") == HOSTILE
        assert chromium.value("document.querySelector('textarea').value") == HOSTILE
        chromium.value(ASK)
        assert HOSTILE.strip() in waited(chromium, "document.querySelector('.answer').textContent", "answered in")
        assert chromium.value("document.querySelectorAll('img:not(.preview), b, script:not([type])').length") == 1  # our script
        assert chromium.problems == []


def test_nothing_runs_that_is_not_ours(chromium: Browser, site: Site) -> None:
    """The policy holds: an element that was slipped in runs nothing and fetches nothing."""
    chromium.visit(site.address)
    chromium.value("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.ran = 1\">'); const s = document.createElement('script'); s.textContent = 'window.ran = 1'; document.body.append(s); fetch('http://127.0.0.2:9/').catch(() => 0)")  # fmt: skip
    waited(chromium, "String(performance.now() > 0)", "true")
    time.sleep(0.2)
    assert chromium.value("window.ran === undefined") is True
    assert any("Content Security Policy" in one for one in chromium.problems)


def test_what_does_not_answer_is_said(chromium: Browser) -> None:
    trouble = [Shown("spam", [], trouble="version 1: a file is damaged")]
    with served(Site(trouble, ready=False)) as site:
        chromium.visit(site.address)
        assert "a file is damaged" in chromium.value("document.querySelector('.notice').innerText")
        waited(chromium, "document.getElementById('state').textContent", "the golden examples differ")
    with served(Site([])) as site:
        chromium.visit(site.address)
        assert "No model" in chromium.value("document.body.innerText")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_readable_light_and_dark_and_on_a_phone(chromium: Browser, site: Site, scheme: str) -> None:
    """Nothing is wider than the screen, and colours differ enough (WCAG 2.2, 1.4.3: 4.5 to 1)."""
    chromium.scheme(scheme)
    for width in (360, 1280):
        chromium.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 500)
        chromium.visit(site.address)
        chromium.value(ASK)
        waited(chromium, ANSWER, "answered in")
        assert chromium.value("document.documentElement.scrollWidth <= innerWidth") is True
        folder = os.environ.get("MLOPS_TEST_PICTURES")
        if folder:
            (Path(folder) / f"page-{scheme}-{width}.png").write_bytes(chromium.screenshot())
    chromium.call("Emulation.clearDeviceMetricsOverride")
    assert chromium.value(CONTRAST) == []


CONTRAST = """
(() => {
  const light = (text) => { const [r, g, b] = text.match(/[\\d.]+/g).map(Number).map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const behind = (element) => { for (let e = element; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; if (!c.includes(', 0)') && c !== 'transparent') return c; } return 'rgb(255,255,255)'; };
  return [...document.querySelectorAll('body *')].filter(e => e.offsetParent && [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())).map(e => {
    const a = light(getComputedStyle(e).color), b = light(behind(e));
    return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), e.className + ':' + e.textContent.slice(0, 20)];
  }).filter(([ratio]) => ratio < 4.5);
})()
"""


def test_the_document_is_the_same_for_the_same_models(models: dict[str, Any]) -> None:
    made = [page([shown("flowers", models["flowers"])], version="1") for _ in range(2)]
    assert made[0] == made[1]
    assert len(made[0][0]) < 40_000
    assert isinstance(models["flowers"].manifest, Manifest)
