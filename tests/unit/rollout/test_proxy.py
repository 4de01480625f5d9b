"""What the proxies of a Docker host are told: weights that are exact or below, configurations that carry the routes, commands in an order that
never leaves nobody with traffic."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_toolkit.rollout import haproxy, nginx
from mlops_toolkit.rollout.proxy import MOST_WEIGHT, SLOTS, Proxy, Route, Seen, marked, parts, read_marked, weights

ADDRESSES = [f"127.1.0.{16 + slot}" for slot in range(SLOTS)]
KINDS = [haproxy, nginx]


@pytest.mark.parametrize("share", [0.01, 0.05, 0.1, 0.25, 1 / 3, 0.5, 0.75, 0.99])
def test_common_shares_are_exact(share: float) -> None:
    found = weights({"new": share, "old": 1 - share}, {"new": 1, "old": 1}, "new")
    assert found["new"] / (found["new"] + found["old"]) == pytest.approx(share, abs=1e-12)


@given(st.floats(0.004, 0.996), st.integers(1, 10), st.integers(1, 10))
def test_the_newest_gets_at_most_its_share_and_nearly_that(share: float, new: int, old: int) -> None:
    found = weights({"new": share, "old": 1 - share}, {"new": new, "old": old}, "new")
    part = found["new"] * new / (found["new"] * new + found["old"] * old)
    assert part <= share + 1e-9
    least = new / (new + MOST_WEIGHT * old)  # what the smallest weight comes to: a smaller share is none
    assert share - part < 0.08 * share + 0.02 or (part == 0 and share < least)
    assert 0 < found["old"] <= MOST_WEIGHT
    assert found["new"] <= MOST_WEIGHT


def test_no_share_is_no_weight_and_what_does_not_run_gets_none() -> None:
    assert weights({"new": 0.0, "old": 1.0}, {"new": 1, "old": 2}, "new") == {"new": 0, "old": MOST_WEIGHT}
    assert weights({"new": 1.0, "gone": 0.0}, {"new": 1, "gone": 0}, None) == {"new": MOST_WEIGHT, "gone": 0}
    assert weights({"a": 0.5, "b": 0.25, "c": 0.25}, {"a": 1, "b": 1, "c": 1}, "c") == {"a": 256, "b": 128, "c": 128}


@given(
    st.lists(
        st.builds(Route, st.integers(0, SLOTS - 1), st.text("0123456789abcdef", min_size=12, max_size=12), st.integers(0, 256)),
        unique_by=lambda one: one.slot,
    )
)
def test_a_configuration_says_what_its_routes_are(routes: list[Route]) -> None:
    assert read_marked(marked(routes)) == sorted(routes, key=lambda one: one.slot)
    for kind in KINDS:
        text = kind.text(routes, ADDRESSES)
        assert read_marked(text) == read_marked(marked(routes))
        assert text == kind.text(list(reversed(routes)), ADDRESSES)


@pytest.mark.parametrize("text", ["", "# mlops: [[1,2]]\n", "# mlops: {\n", "global\n", '# mlops: [["x", "y", 1]]'])
def test_what_is_no_configuration_of_ours_has_no_routes(text: str) -> None:
    assert read_marked(text) == []


@pytest.mark.parametrize("routes", [[], [Route(0, "a" * 12, 19), Route(1, "b" * 12, 1), Route(2, "c" * 12, 0)]])
@pytest.mark.parametrize(("kind", "words"), [(haproxy, ["-c", "-f"]), (nginx, ["-t", "-e", "stderr", "-c"])])
def test_the_program_itself_takes_the_configuration(kind: object, words: list[str], routes: list[Route]) -> None:
    name = kind.__name__.rpartition(".")[2]  # type: ignore[attr-defined]
    program = shutil.which(name, path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if program is None:
        pytest.skip(f"{name} is not installed")
    folder = Path(tempfile.mkdtemp(prefix="p"))  # a socket's path is short
    text = re.sub(r"/(proxy|tmp)/", f"{folder}/", kind.text(routes, ADDRESSES))  # type: ignore[attr-defined]
    (folder / "config").write_text(text)
    done = subprocess.run([program, *words, str(folder / "config")], capture_output=True, text=True, timeout=20, check=False)
    shutil.rmtree(folder)
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr.lower(), done.stderr


def test_whoever_rises_does_so_before_whoever_falls() -> None:
    before = {0: Seen(256), 1: Seen(0), 2: Seen(0)}
    said = haproxy.commands(before, [Route(0, "a", 0), Route(1, "b", 256)])
    assert said[:3] == ["set weight model/s1 256", "set server model/s1 state ready", "set server model/s2 state maint"]
    assert said[-1] == "set server model/s0 state drain"
    assert len(said) == SLOTS + 1


def test_haproxys_counters_are_read() -> None:
    """Maintenance and draining have no weight, whatever the column says; what nobody answered is counted once."""
    head = "# pxname,svname,qcur,scur,econ,eresp,status,weight,\n"
    rows = (
        "model,s0,1,2,3,4,UP,19,\nmodel,s1,0,1,0,0,DRAIN,1,\nmodel,s2,0,0,0,0,MAINT,1,\nmodel,BACKEND,0,0,0,0,UP,20,\nother,s3,,,,,UP,1,\n"
    )
    found = haproxy.read_stat(head + rows)
    assert found == {0: Seen(19, 3, 7), 1: Seen(0, 1, 0), 2: Seen(0, 0, 0)}
    routes = [Route(0, "a", 19), Route(1, "b", 0)]
    assert parts(routes, found) == {"a": 1.0}
    assert parts(routes, None) == {}


def test_both_kinds_can_what_is_asked_of_a_proxy(tmp_path: Path) -> None:
    for kind in KINDS:
        made: Proxy = kind.Managed(None, "name", tmp_path, ADDRESSES)  # type: ignore[attr-defined, arg-type]
        assert made.routes() == []
        assert made.seen() is None
        made.put([Route(3, "a" * 12, 7)])
        assert made.routes() == [Route(3, "a" * 12, 7)]
        assert set(made.create()) >= {"Entrypoint", "Cmd", "Tmpfs"}
