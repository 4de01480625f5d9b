"""The agent is one file that any Python runs in an empty folder, with nothing but Python's own library."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from mlops_toolkit.rollout import bundle
from mlops_toolkit.rollout.codec import dumps
from mlops_toolkit.rollout.status import standing
from tests.check import ROOT
from tests.unit.rollout.orders import give, order, release, state
from tests.world.fake_driver import World

PYTHONS = sorted(
    {
        str(Path(found).resolve())
        for name in ("3.10", "3.11", "3.12", "3.13", "3.14")
        if (found := shutil.which(f"python{name}", path="/usr/bin:/usr/local/bin"))
    }
    | {sys.executable}
)
IMPORTS = """
import runpy, sys
sys.argv = [sys.argv[1], "--version"]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit:
    pass
import zipfile, pkgutil, importlib
names = [n[:-3].replace("/", ".") for n in zipfile.ZipFile(sys.argv[0]).namelist() if n.endswith(".py") and not n.endswith("__.py")]
for name in names:
    importlib.import_module(name)
print(*sorted({n.split(".")[0] for n in sys.modules} - set(sys.stdlib_module_names) - {"__main__", "__mp_main__"}))
"""


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundle.write(tmp_path_factory.mktemp("agent"))


def run(python: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([python, "-I", "-S", *arguments], cwd=folder, capture_output=True, text=True, timeout=120, check=False, env={})


@pytest.mark.parametrize("python", PYTHONS)
def test_it_runs_alone(agent: Path, python: str, tmp_path: Path) -> None:
    """Every module of it can be imported without any package, and imports none."""
    said = run(python, str(agent), "--version", folder=tmp_path)
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", said.stdout), said
    imported = run(python, "-c", IMPORTS, str(agent), folder=tmp_path)
    assert imported.stdout.split("\n")[1] == "mlops_toolkit", imported


def test_the_same_source_gives_the_same_file(agent: Path, tmp_path: Path) -> None:
    """Whatever the Python, and the times of the files."""
    again = subprocess.run(
        [sys.executable, "-c", "import sys; from pathlib import Path; from mlops_toolkit.rollout import bundle; print(bundle.write(Path(sys.argv[1])))", tmp_path],
        capture_output=True, text=True, timeout=60, check=True, cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": "7"},
    )  # fmt: skip
    assert Path(again.stdout.strip()).read_bytes() == agent.read_bytes()
    assert agent.name == f"agent-{bundle.digest(agent.read_bytes())[:12]}.pyz"
    with zipfile.ZipFile(agent) as archive:
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert not [name for name in archive.namelist() if "tests" in name]
    assert agent.stat().st_size < 900_000  # a ConfigMap holds a mebibyte


def test_what_it_refuses_is_said_as_json(agent: Path, tmp_path: Path) -> None:
    (tmp_path / "order.json").write_text(dumps(order("o", 1)).replace('"watch"', '"wacth"'))
    done = run(sys.executable, str(agent), "run", "order.json", "--driver", "docker", folder=tmp_path)
    last = json.loads(done.stdout)
    assert done.returncode == 2
    assert (last["step"], last["state"], last["data"]["name"]) == ("end", "failed", "invalid-order")
    (tmp_path / "order.json").write_text(dumps(order("o", 1)))
    done = run(sys.executable, str(agent), "run", "order.json", "--driver", "nothing", folder=tmp_path)
    assert (done.returncode, json.loads(done.stdout)["data"]["name"]) == (2, "unknown-driver")
    assert run(sys.executable, str(agent), "resume", "--driver", "docker", "--nam", "x", folder=tmp_path).returncode == 2


# A place whose driver is simulated, in a process of its own, with the real journal, lock and clock in a folder.
PLACE = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv.pop(1))
from mlops_toolkit.rollout import place
from mlops_toolkit.rollout.clock import SystemClock
from mlops_toolkit.rollout.journal import FileJournal
from mlops_toolkit.rollout.lock import FileLock
from mlops_toolkit.rollout.__main__ import main
from tests.world.fake_driver import World
def made(name, settings):
    folder, clock = Path(settings["folder"]), SystemClock()
    return place.Place(World().place().driver, FileJournal(folder), FileLock(folder, clock), clock)
sys.modules["simulated"] = type(sys)("simulated")
sys.modules["simulated"].made = made
place.DRIVERS["simulated"] = "simulated:made"
sys.exit(main())
"""


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    (folder / "settings.json").write_text(json.dumps({"folder": str(folder / "state")}))
    command = [sys.executable, "-c", PLACE, str(ROOT), *arguments, "--driver", "simulated", "--settings", "settings.json"]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_process_that_is_asked_to_end_leaves_all_as_it_is(tmp_path: Path) -> None:
    """SIGTERM: 143, at once; whoever asks sees how far it is."""
    (tmp_path / "order.json").write_text(dumps(order("o", 1, watch=0.0)))
    with start(tmp_path, "run", "order.json") as first:
        assert first.stdout is not None
        while "golden" not in (line := first.stdout.readline()) and '"start","state":"goes-on"' not in line:
            assert line, first.communicate()
        first.send_signal(signal.SIGTERM)
        rest = first.communicate(timeout=60)
    assert first.returncode == 143, rest
    assert '"name":"cancelled"' in rest[0]
    with start(tmp_path, "status", "--name", "model") as asked:
        seen = json.loads(asked.communicate(timeout=60)[0])
    assert (seen["under_way"], seen["live"]) == ("o", None)


def test_what_is_live_and_what_is_not_as_it_should_be() -> None:
    world = World()
    give(world, order("one", 1))
    give(world, order("two", 2, by="ada"))
    seen = standing(state(world), world.place().driver.observe())
    assert (seen.live, seen.final, seen.trouble) == (release(2).__class__(**{**vars(release(2)), "spec": {}}), True, ())
    assert [one.id for one in seen.good] == [release(1).id]
    assert standing(state(world), None).trouble == ("what runs there cannot be seen now",)
    world.running.clear()
    world.shares = {"stranger": 1.0}
    trouble = standing(state(world), world.place().driver.observe()).trouble
    assert [one.split(" (")[0] for one in trouble] == ["v1.2.0", "stranger has a part of the traffic", "v1.2.0"]
