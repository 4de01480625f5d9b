"""The `file:` store: whole or absent at every instant, out of the user's reach, tidied."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from mlops_toolkit.config.schema import Keep
from mlops_toolkit.errors import EnvironmentFailure, UsageError
from mlops_toolkit.models import digest as digest_module
from mlops_toolkit.models.base import Belongs, Setting, below
from mlops_toolkit.models.digest import Cache, digest
from mlops_toolkit.models.local import LocalStore, open_store
from mlops_toolkit.system.clock import FixedClock
from tests.unit.models import stores

NOW = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)


def store(tmp_path: Path, *, belongs: Belongs = "main", at: datetime = NOW, word: str = "file:") -> LocalStore:
    env = {"XDG_DATA_HOME": str(tmp_path / "data"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    return open_store(word, Setting(env, "owner-repo-1234", belongs, clock=FixedClock(at)))


def test_it_is_a_store(tmp_path: Path) -> None:
    stores.keeps_what_it_is_given(store(tmp_path), tmp_path)


def test_it_refuses_what_changed(tmp_path: Path) -> None:
    stores.refuses_what_changed_since_its_digest_was_taken(store(tmp_path), tmp_path)


def test_it_gives_nothing_back_that_was_damaged(tmp_path: Path) -> None:
    def damage(address: str) -> None:
        file = tmp_path / "data/mlops/models/owner-repo-1234" / address.removeprefix("file:") / "model" / "twin"
        file.chmod(0o644)
        file.write_text("[]")

    stores.gives_nothing_back_that_was_damaged(store(tmp_path), tmp_path, damage)


@pytest.mark.parametrize(
    ("word", "root"), [("file:", "data/mlops/models/owner-repo-1234"), ("file:{}/own", "own"), ("file://{}/own/", "own")]
)
def test_addresses_say_where(tmp_path: Path, word: str, root: str) -> None:
    opened = store(tmp_path, word=word.format(tmp_path))
    (tmp_path / "m").write_bytes(b"1")
    known = digest(tmp_path / "m").digest
    assert opened.root == tmp_path / root
    assert opened.put(tmp_path / "m", known) == ("file:" if word == "file:" else f"file:{tmp_path}/own/") + below(known)


def test_a_home_that_cannot_be_written_is_a_reason_for_everything_it_does(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("no folder")
    (tmp_path / "m").write_bytes(b"1")
    opened = store(tmp_path)
    for work in (
        lambda: opened.put(tmp_path / "m", digest(tmp_path / "m").digest),
        lambda: opened.held_by(tmp_path / "run.json"),
        lambda: opened.sweep(Keep(), NOW),
        lambda: opened.claim("sha256:" + "0" * 64),
    ):
        with pytest.raises(EnvironmentFailure, match="cannot keep the model"):
            work()


def test_a_relative_store_is_refused() -> None:
    with pytest.raises(UsageError, match="is not a store"):
        open_store("file:models", Setting({}, "r"))


def test_storing_reads_each_byte_once_and_the_digest_is_known_after(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, opened = stores.model(tmp_path / "model"), store(tmp_path)
    found, _ = opened.take(model)

    def never(file: Path) -> tuple[str, str]:
        raise AssertionError(f"{file} was read again")

    monkeypatch.setattr(digest_module, "_read", never)
    assert digest(model, cache=opened.cache) == found


def test_editing_the_original_does_not_reach_the_stored_one(tmp_path: Path) -> None:
    model, opened = tmp_path / "m", store(tmp_path)
    model.write_bytes(b"one")
    known, address = opened.take(model)
    with model.open("r+b") as file:
        file.write(b"two")
    opened.get(address, known.digest, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b"one"
    stored = opened.root / below(known.digest) / "model"
    assert stored.stat().st_mode & 0o222 == 0
    assert stored.stat().st_nlink == 1


@pytest.mark.parametrize("step", ["tree.copy", "Path.rename", "write_atomic"])
def test_killed_at_any_step_nothing_half_is_visible(tmp_path: Path, step: str) -> None:
    """A process that dies after its first, second, third step of storing; the next one stores the model all the same."""
    model = stores.model(tmp_path / "model")
    script = f"""
import os, sys
from pathlib import Path
from mlops_toolkit.models import local, tree
from mlops_toolkit.models.base import Setting
def dying(real):
    def run(*args, **options):
        found = real(*args, **options)
        os._exit(9)
    return run
step = {step!r}
if step == "tree.copy": tree.copy = dying(tree.copy)
if step == "Path.rename": Path.rename = dying(Path.rename)
if step == "write_atomic": local.write_atomic = dying(local.write_atomic)
local.open_store("file:", Setting(dict(os.environ), "owner-repo-1234")).take(Path({str(model)!r}))
"""
    env = {"XDG_DATA_HOME": str(tmp_path / "data"), "XDG_CACHE_HOME": str(tmp_path / "cache"), "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", script], env=env, check=False).returncode == 9
    opened, known = store(tmp_path), digest(model).digest
    assert opened.has("", known) == (step != "tree.copy")
    if opened.has("", known):
        opened.get("", known, tmp_path / "back")
        assert digest(tmp_path / "back").digest == known
    assert opened.take(model)[0].digest == known
    assert [s.belongs for s in opened.stored()] == ["main"]


def test_a_full_or_forbidden_disk_is_the_environment_s_failure(tmp_path: Path) -> None:
    (tmp_path / "own").write_text("a file, not a folder")
    (tmp_path / "m").write_text("1")
    with pytest.raises(EnvironmentFailure, match="cannot keep the model: Not a directory"):
        store(tmp_path, word=f"file:{tmp_path}/own").take(tmp_path / "m")


def test_the_sweep_removes_what_has_had_its_time_and_spares_what_a_record_names(tmp_path: Path) -> None:
    digests = []
    for i in range(4):
        model = tmp_path / f"m{i}"
        model.write_text(str(i))
        digests.append(store(tmp_path, belongs="pull-request", at=NOW - timedelta(days=10 - i)).take(model)[0].digest)
    opened = store(tmp_path)
    opened.claim(digests[0])  # merged since: it is main's now
    record = tmp_path / "checkout" / ".mlops" / "run.json"
    record.parent.mkdir(parents=True)
    record.write_text(json.dumps({"trained-model": {"digest": digests[1]}}))
    opened.held_by(record)
    opened.root.joinpath("incoming").mkdir(exist_ok=True)
    (opened.root / "incoming" / ".m.1.tmp").mkdir()
    os.utime(opened.root / "incoming" / ".m.1.tmp", (1, 1))
    assert opened.sweep(Keep(pull_request="7d"), NOW) == (digests[2],)
    assert [opened.has("", d) for d in digests] == [True, True, False, True]
    assert list((opened.root / "incoming").iterdir()) == []
    record.unlink()
    assert opened.sweep(Keep(pull_request="7d"), NOW) == (digests[1],)


def test_two_checkouts_of_one_repository_share_and_eight_at_once_store_it_once(tmp_path: Path) -> None:
    model = stores.model(tmp_path / "model")
    script = (
        "import os, sys\nfrom pathlib import Path\nfrom mlops_toolkit.models import local\nfrom mlops_toolkit.models.base import Setting\n"
        "print(local.open_store('file:', Setting(dict(os.environ), 'owner-repo-1234')).take(Path(sys.argv[1]))[1])\n"
    )
    env = {"XDG_DATA_HOME": str(tmp_path / "data"), "XDG_CACHE_HOME": str(tmp_path / "cache"), "PYTHONPATH": os.pathsep.join(sys.path)}
    started = [subprocess.Popen([sys.executable, "-c", script, str(model)], env=env, stdout=subprocess.PIPE, text=True) for _ in range(8)]
    assert {process.communicate()[0] for process in started} == {f"file:{below(digest(model).digest)}\n"}
    assert [process.returncode for process in started] == [0] * 8
    opened = store(tmp_path)
    assert len(list(opened.stored())) == 1
    assert list((opened.root / "incoming").iterdir()) == []
    opened.get("", digest(model).digest, tmp_path / "back")


def test_the_cache_follows_xdg(tmp_path: Path) -> None:
    assert Cache.of({"XDG_CACHE_HOME": "/x"}).path == Path("/x/mlops/digests.sqlite")
    assert Cache.of({"HOME": "/h"}).path == Path("/h/.cache/mlops/digests.sqlite")
