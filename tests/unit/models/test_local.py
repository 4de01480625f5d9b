"""The `file:` store: whole or absent at every instant, out of the user's reach, tidied."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

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


def store(
    tmp_path: Path, *, belongs: Belongs = "main", at: datetime = NOW, word: str = "file:", repository: str = "owner-repo-1234"
) -> LocalStore:
    env = {"XDG_DATA_HOME": str(tmp_path / "data"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    return open_store(word, Setting(env, repository, belongs, clock=FixedClock(at)))


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


def kept(tmp_path: Path, name: str, days: float, *, of: str = "a", **setting: Any) -> str:
    """A model stored that many days ago; its digest."""
    path = tmp_path / name
    path.write_text(name)
    opened = replace(store(tmp_path, at=NOW - timedelta(days=days), **setting), of=of)
    return opened.take(path)[0].digest


def test_a_count_is_of_one_model_whatever_else_the_repository_trains(tmp_path: Path) -> None:
    slow = [kept(tmp_path, f"slow{i}", 100 + i, of="slow") for i in range(3)]
    for i in range(20):
        kept(tmp_path, f"fast{i}", 5 + i, of="fast")
    gone = store(tmp_path).sweep(Keep(main="2"), NOW)
    assert slow[2] in gone
    assert not {slow[0], slow[1]} & set(gone)
    assert len(gone) == 1 + 18


def test_two_repositories_in_one_place_keep_by_their_own_rules(tmp_path: Path) -> None:
    word = f"file:{tmp_path}/shared"
    mine, theirs = kept(tmp_path, "mine", 9, word=word), kept(tmp_path, "theirs", 9, word=word, repository="theirs-1")
    assert store(tmp_path, word=word).sweep(Keep(main="0"), NOW) == (mine,)
    assert store(tmp_path, word=word, repository="theirs-1").sweep(Keep(main="forever"), NOW) == ()
    assert store(tmp_path, word=word, repository="theirs-1").sweep(Keep(main="0"), NOW) == (theirs,)


def test_what_another_job_stored_or_had_today_stays_whatever_the_rules_say(tmp_path: Path) -> None:
    stored, had = kept(tmp_path, "stored", 0.9), kept(tmp_path, "had", 40)
    store(tmp_path, at=NOW - timedelta(hours=2)).get("", had, tmp_path / "back")
    nothing = Keep(pull_request="0s", main="0", release="0")
    assert store(tmp_path).sweep(nothing, NOW) == ()
    assert set(store(tmp_path).sweep(nothing, NOW + timedelta(days=2))) == {stored, had}


def test_a_baseline_that_a_pull_request_had_is_kept_as_its_own_models_are(tmp_path: Path) -> None:
    base = kept(tmp_path, "base", 40)
    store(tmp_path, belongs="pull-request", at=NOW - timedelta(days=2)).get("", base, tmp_path / "back")
    assert store(tmp_path).sweep(Keep(main="0"), NOW) == ()
    assert store(tmp_path).sweep(Keep(main="0"), NOW + timedelta(days=2)) == (base,)


def test_a_model_that_was_only_had_pushes_no_newer_one_out(tmp_path: Path) -> None:
    old, new = kept(tmp_path, "old", 40), kept(tmp_path, "new", 30)
    store(tmp_path, at=NOW - timedelta(days=3)).get("", old, tmp_path / "back")
    assert store(tmp_path).sweep(Keep(main="1"), NOW) == (old,)
    assert store(tmp_path).has("", new)


def test_a_model_whose_storing_was_killed_before_it_was_noted_goes_in_time(tmp_path: Path) -> None:
    digest_ = kept(tmp_path, "m", 9)
    place = store(tmp_path).root / below(digest_)
    (place / "uses.json").unlink()
    os.utime(place, (NOW.timestamp() - 5 * 86400,) * 2)
    assert store(tmp_path).sweep(Keep(pull_request="7d"), NOW) == ()
    assert store(tmp_path).sweep(Keep(pull_request="3d"), NOW) == (digest_,)
