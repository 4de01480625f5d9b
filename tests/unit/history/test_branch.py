"""The history on a real branch of a real remote: what is read, what is written, and what happens when it is not."""

from __future__ import annotations

import dataclasses
import json
import random
from pathlib import Path

import pytest

from mlops_toolkit.ci import Context
from mlops_toolkit.errors import Defect, EnvironmentFailure, UsageError
from mlops_toolkit.history import branch, lineage, upkeep
from mlops_toolkit.history.base import Bundle
from mlops_toolkit.history.local import LocalHistory
from mlops_toolkit.records import codec
from mlops_toolkit.records.result import Example, Examples, Result
from mlops_toolkit.system.clock import FixedClock
from tests.unit.history.repositories import CI, NOW, bare_remote, bundle, clone, draw, git, history, record

LAPTOP = Context()
FILES = {"predictions/main.hashed.parquet": b"PAR1\x00\xff", "charts/change-0123456789ab.png": b"\x89PNG", "measures.json": b"{}"}


@pytest.fixture(params=[True, False], ids=["filters", "no-filters"])
def remote(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A remote with one commit of code; every test runs against a server that knows filters and one that does not."""
    made = bare_remote(tmp_path / "origin.git", filters=request.param)
    draw(made, "main:")
    return made


def listing(remote: Path) -> list[str]:
    """Paths on the branch."""
    return git(remote, "ls-tree", "-r", "--name-only", "mlops-history").splitlines()


def ids(remote: Path) -> list[str]:
    """Run ids in the branch's index, in its order."""
    return [json.loads(line)["i"] for line in git(remote, "show", "mlops-history:index.jsonl").splitlines()]


def test_what_one_machine_records_another_reads(remote: Path, tmp_path: Path) -> None:
    done = history(clone(remote, tmp_path / "one")).record(bundle(1, FILES), remote=True)
    assert done.pushed
    assert done.commit == git(remote, "rev-parse", "mlops-history")
    other = history(clone(remote, tmp_path / "two"))
    assert [e.id for e in other.entries()] == [record(1).id]
    assert other.run(record(1).id) == record(1)
    for path, content in FILES.items():
        found = other.file(record(1).id, path)
        assert found is not None
        assert found.read_bytes() == content
        assert found.suffix == Path(path).suffix
    assert other.file(record(1).id, "predictions/none.parquet") is None
    assert other.file(record(9).id, "run.json") is None
    assert other.result(record(1).id) is None


@pytest.mark.parametrize(
    ("settings", "env"),
    [
        ({"uploadpack.allowFilter": "true", "uploadpackfilter.tree.allow": "false"}, {}),
        ({"uploadpack.allowFilter": "true", "uploadpackfilter.tree.maxDepth": "0"}, {}),
        ({}, {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "protocol.version", "GIT_CONFIG_VALUE_0": "0"}),
        ({"uploadpack.allowFilter": "true"}, {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "protocol.version", "GIT_CONFIG_VALUE_0": "0"}),
    ],
    ids=["no-tree-filter", "only-tree-0", "old-protocol", "old-protocol-with-filters"],
)
def test_servers_that_allow_less_are_read_and_written_too(tmp_path: Path, settings: dict[str, str], env: dict[str, str]) -> None:
    remote = bare_remote(tmp_path / "origin.git", filters=False)
    draw(remote, "main:\nnext: main")
    for key, value in settings.items():
        git(remote, "config", key, value)
    for number in (1, 2):
        here = clone(remote, tmp_path / str(number))
        past = history(dataclasses.replace(here, env={**here.env, **env}))
        assert past.record(bundle(number, FILES), remote=True).pushed
    here = clone(remote, tmp_path / "reader", "--depth=1", "--branch=next")
    past = history(dataclasses.replace(here, env={**here.env, **env}))
    assert [e.id for e in past.entries()] == [record(1).id, record(2).id]
    found = past.file(record(1).id, "predictions/main.hashed.parquet")
    assert found is not None
    assert found.read_bytes() == FILES["predictions/main.hashed.parquet"]
    assert [c.subject for c in past.ancestry("refs/heads/next", 50)] == ["change next", "change main"]


@pytest.mark.parametrize(
    "settings", [{}, {"uploadpack.allowFilter": "true", "uploadpackfilter.tree.allow": "false"}], ids=["all", "no-tree-filter"]
)
def test_a_file_of_a_commit_that_a_shallow_clone_lacks_comes_from_the_remote_and_stays_out_of_the_clone(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    remote = bare_remote(tmp_path / "origin.git")
    for key, value in settings.items():
        git(remote, "config", key, value)
    draw(remote, "main:")
    one = clone(remote, tmp_path / "one")
    (one.root / "models" / "cats").mkdir(parents=True)
    (one.root / "models" / "cats" / "mlops.yaml").write_text("name: cats\n")
    (one.root / "link").symlink_to("models/cats/mlops.yaml")
    git(one.root, "add", "-A")
    git(one.root, "commit", "--quiet", "-m", "cats")
    then = git(one.root, "rev-parse", "HEAD")
    git(one.root, "rm", "-r", "--quiet", "models")
    git(one.root, "commit", "--quiet", "-m", "no cats")
    git(one.root, "push", "--quiet", "origin", "HEAD:main")
    here = clone(remote, tmp_path / "shallow", "--depth=1")
    past = history(here)
    assert lineage.content(here, past, then, "models/cats/mlops.yaml") == b"name: cats\n"
    assert [lineage.content(here, past, then, path) for path in ("models/cats", "models/dogs/mlops.yaml", "link", "link/x")] == [None] * 4
    assert lineage.content(here, past, git(one.root, "rev-parse", "HEAD"), "models/cats/mlops.yaml") is None
    assert here.commit(then) is None


def test_over_ssh_the_clones_own_key_is_used_and_nothing_stops_to_ask(tmp_path: Path) -> None:
    remote = bare_remote(tmp_path / "origin.git")
    draw(remote, "main:")
    here = clone(remote, tmp_path / "one")
    (tmp_path / "ssh").write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >> "{tmp_path}/calls"\nfor last; do :; done\nexec sh -c "$last"\n')
    (tmp_path / "ssh").chmod(0o755)
    git(tmp_path / "one", "config", "core.sshCommand", f"{tmp_path}/ssh -i deploy.key")
    for url in (f"git@localhost:{remote}", f"ssh://git@localhost{remote}"):
        git(tmp_path / "one", "remote", "set-url", "origin", url)
        assert history(here).record(bundle(len(url), FILES), remote=True).pushed
    calls = (tmp_path / "calls").read_text().splitlines()
    assert all("-i deploy.key" in call and "BatchMode=yes" in call and "git@localhost" in call for call in calls)


def test_a_repository_of_sha256_objects_has_a_history_of_them(tmp_path: Path) -> None:
    remote = tmp_path / "origin.git"
    remote.mkdir()
    git(remote, "init", "--quiet", "--bare", "--object-format=sha256")
    draw(remote, "main:")
    assert history(clone(remote, tmp_path / "one")).record(bundle(1, FILES), remote=True).pushed
    past = history(clone(remote, tmp_path / "two"))
    assert [e.id for e in past.entries()] == [record(1).id]
    assert past.file(record(1).id, "measures.json") is not None
    assert len(past.ancestry("refs/heads/main", 1)[0].sha) == 64


def test_the_branch_is_an_orphan_with_this_layout_and_whole_to_git(remote: Path, tmp_path: Path) -> None:
    here = history(clone(remote, tmp_path / "one"))
    here.record(bundle(1, FILES), remote=True)
    here.record(bundle(2), remote=True)
    home = f"runs/2026-01/{record(1).id}"
    assert set(listing(remote)) == {
        "README.md",
        "index.jsonl",
        "metrics.svg",
        "salt",
        f"runs/2026-01/{record(2).id}/run.json",
        f"{home}/run.json",
        *(f"{home}/{p}" for p in FILES),
    }
    assert git(remote, "rev-list", "--count", "mlops-history") == "2"
    git(remote, "fsck", "--strict", "--no-dangling")


def test_the_users_clone_is_never_written(remote: Path, tmp_path: Path) -> None:
    here = clone(remote, tmp_path / "one")
    before = {p: p.read_bytes() for p in (tmp_path / "one" / ".git").rglob("*") if p.is_file()}
    past = history(here)
    past.record(bundle(1, FILES), remote=True)
    past.entries()
    past.salt()
    assert {p: p.read_bytes() for p in (tmp_path / "one" / ".git").rglob("*") if p.is_file()} == before
    assert git(tmp_path / "one", "status", "--porcelain") == ""


def test_recording_a_run_again_replaces_it_whole(remote: Path, tmp_path: Path) -> None:
    here = history(clone(remote, tmp_path / "one"))
    here.record(bundle(1, FILES), remote=True)
    here.record(bundle(1, {"charts/other.png": b"new"}, accuracy=0.5), remote=True)
    other = history(clone(remote, tmp_path / "two"))
    assert [e.metrics["accuracy"] for e in other.entries()] == [0.5]
    assert other.file(record(1).id, "measures.json") is None
    assert other.file(record(1).id, "charts/other.png") is not None


def test_recording_the_same_again_makes_no_commit(remote: Path, tmp_path: Path) -> None:
    here = history(clone(remote, tmp_path / "one"))
    first = here.record(bundle(1, FILES), remote=True)
    again = here.record(bundle(1, FILES), remote=True)
    assert again.pushed
    assert again.commit == first.commit


def test_a_run_kept_here_alone_is_known_here_alone(remote: Path, tmp_path: Path) -> None:
    here = history(clone(remote, tmp_path / "one"), context=LAPTOP)
    assert not here.record(bundle(1, FILES), remote=False).pushed
    assert [(e.id, e.where) for e in here.entries()] == [(record(1).id, "here")]
    assert here.run(record(1).id) == record(1)
    assert git(remote, "branch", "--list", "mlops-history") == ""


def test_sending_a_run_leaves_its_own_record_and_predictions_on_this_machine(remote: Path, tmp_path: Path) -> None:
    here = history(clone(remote, tmp_path / "one"))
    here.record(bundle(1, {"predictions/main.parquet": b"plain ids"}), remote=False)
    here.record(bundle(1, {"predictions/main.hashed.parquet": b"hashed"}, accuracy=0.7), remote=True)
    assert here.run(record(1).id) == record(1)
    assert not any("main.parquet" in path for path in listing(remote))


def test_examples_and_their_previews_never_reach_git(remote: Path, tmp_path: Path) -> None:
    secret = Example("patient-7", "a", "b", "a", {"text": "private words"})
    result = Result("spam", "pass", "passed", "fine", examples=Examples((secret,), (secret,), 1, 1))
    history(clone(remote, tmp_path / "one")).record(Bundle(record(1), result), remote=True)
    kept = history(clone(remote, tmp_path / "two")).result(record(1).id)
    assert kept is not None
    assert kept.examples == Examples(fixed_total=1, broken_total=1)
    raw = git(remote, "show", f"mlops-history:runs/2026-01/{record(1).id}/report.json")
    assert "patient-7" not in raw
    assert "private" not in raw


def test_another_repository_and_branch_can_hold_the_history(tmp_path: Path) -> None:
    code, records = bare_remote(tmp_path / "code.git"), bare_remote(tmp_path / "records.git")
    draw(code, "main:")
    here = history(clone(code, tmp_path / "one"), at=f"{records.as_uri()}#runs/spam")
    assert here.record(bundle(1), remote=True).pushed
    assert git(records, "branch", "--list", "--format=%(refname:short)") == "runs/spam"
    assert git(code, "branch", "--list", "--format=%(refname:short)") == "main"


@pytest.mark.parametrize(
    "at", ["", "a b", "-x", "main..x", "x.lock", "#", "https://example.org/o/r#", "#branch", "a\nb", "--upload-pack=x#y", "x/"]
)
def test_an_address_that_is_none_is_refused_with_examples(tmp_path: Path, at: str) -> None:
    with pytest.raises(UsageError) as error:
        branch.open_history(tmp_path, at, git=None, context=CI, token=None, clock=FixedClock(NOW))
    assert error.value.name == "bad-history-address"
    assert "mlops-history" in str(error.value)


def test_without_a_repository_or_a_remote_runs_stay_on_this_machine(tmp_path: Path) -> None:
    alone = branch.open_history(tmp_path / ".mlops", "mlops-history", git=None, context=CI, token=None, clock=FixedClock(NOW))
    assert type(alone) is LocalHistory
    done = alone.record(bundle(1), remote=True)
    assert done.reason == "there is no remote repository to record to"
    assert [e.where for e in alone.entries()] == ["here"]
    assert alone.salt() == alone.salt()


# What goes wrong


def unreachable(here: Path) -> None:
    """The remote is gone."""
    git(here, "remote", "set-url", "origin", (here.parent / "gone.git").as_uri())


def test_a_ci_that_cannot_read_the_history_fails_closed(remote: Path, tmp_path: Path) -> None:
    here = clone(remote, tmp_path / "one")
    unreachable(tmp_path / "one")
    with pytest.raises(EnvironmentFailure) as error:
        history(here).entries()
    assert (error.value.name, error.value.code) == ("history-unreadable", 4)
    assert "gone.git" in str(error.value)


def test_a_laptop_that_cannot_read_the_history_goes_by_what_it_knows_says_so_and_does_not_wait_for_the_network_again(
    remote: Path, tmp_path: Path
) -> None:
    history(clone(remote, tmp_path / "ci")).record(bundle(1), remote=True)
    here = clone(remote, tmp_path / "one")
    assert len(history(here, context=LAPTOP).entries()) == 1
    remote.rename(tmp_path / "moved.git")
    past = history(here, context=LAPTOP, clock=FixedClock(NOW.replace(hour=20)))
    assert [e.id for e in past.entries()] == [record(1).id]
    assert past.notes[0].startswith("going by the runs this machine knows: the recorded runs cannot be read")
    history(clone(tmp_path / "moved.git", tmp_path / "ci-2")).record(bundle(2), remote=True)
    (tmp_path / "moved.git").rename(remote)
    soon = history(here, context=LAPTOP, clock=FixedClock(NOW.replace(hour=20, minute=35)))
    assert ([e.id for e in soon.entries()], soon.notes) == ([record(1).id], past.notes)
    later = history(here, context=LAPTOP, clock=FixedClock(NOW.replace(hour=20, minute=50)))
    assert (len(later.entries()), later.notes) == (2, [])


def test_a_laptop_asks_the_remote_again_only_after_ten_minutes(remote: Path, tmp_path: Path) -> None:
    ci = history(clone(remote, tmp_path / "ci"))
    ci.record(bundle(1), remote=True)
    here, clock = clone(remote, tmp_path / "one"), FixedClock(NOW)
    assert len(history(here, context=LAPTOP, clock=clock).entries()) == 1
    ci.record(bundle(2), remote=True)
    assert len(history(here, context=LAPTOP, clock=clock).entries()) == 1
    clock.at = NOW.replace(hour=NOW.hour + 1)
    assert len(history(here, context=LAPTOP, clock=clock).entries()) == 2


def refuse(remote: Path, message: str) -> Path:
    """A server that lets nobody push, in these words."""
    hook = remote / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\necho '{message}' >&2\nexit 1\n")
    hook.chmod(0o755)
    return hook


def test_a_refused_record_waits_and_goes_out_with_the_next(remote: Path, tmp_path: Path) -> None:
    hook = refuse(remote, "GH006: Protected branch update failed")
    here = history(clone(remote, tmp_path / "one"))
    done = here.record(bundle(1, FILES), remote=True)
    assert not done.pushed
    assert done.reason is not None
    assert done.reason.startswith("the branch rules refuse it: exempt the history branch")
    assert done.urls == {}
    assert [(e.id, e.where) for e in here.entries()] == [(record(1).id, "waiting")]
    hook.unlink()
    assert here.record(bundle(2), remote=True).pushed
    assert [e.where for e in here.entries()] == ["recorded", "recorded"]
    assert ids(remote) == [record(1).id, record(2).id]
    assert f"runs/2026-01/{record(1).id}/measures.json" in listing(remote)


def test_a_newer_version_that_waits_is_what_is_read(remote: Path, tmp_path: Path) -> None:
    here = history(clone(remote, tmp_path / "one"))
    here.record(bundle(1), remote=True)
    refuse(remote, "no")
    here.record(bundle(1, accuracy=0.5), remote=True)
    assert [(e.metrics["accuracy"], e.where) for e in here.entries()] == [(0.5, "waiting")]


def test_a_record_that_waits_broken_is_left_alone_and_said(remote: Path, tmp_path: Path) -> None:
    here = history(clone(remote, tmp_path / "one"))
    broken = here.outbox.path / record(3).id
    broken.mkdir(parents=True)
    (broken / "run.json").write_text("{")
    assert here.record(bundle(1), remote=True).pushed
    assert broken.is_dir()
    assert ids(remote) == [record(1).id]
    assert any("a waiting record was left alone" in note for note in here.notes)


def test_broken_lines_and_records_are_skipped_and_said_and_newer_lines_kept_as_they_are(remote: Path, tmp_path: Path) -> None:
    here = history(clone(remote, tmp_path / "one"))
    here.record(bundle(1), remote=True)
    newer = f'{{"v":9,"i":"{record(5).id}","z":[1,2]}}'
    broken = [
        "{",
        '{"i":"../../etc/passwd","k":"x","s":"succeeded"}',
        '{"i":1}',
        "[]",
        "null",
        '{"i":"20260101-000000-aaaaaa","k":"x","s":"ok","m":{"a":NaN}}',
        '{"i":"20260101-000000-bbbbbb","k":5,"s":"ok"}',
        "[" * 100_000,
    ]
    index = git(remote, "show", "mlops-history:index.jsonl") + "\n" + "\n".join([newer, *broken]) + "\n"
    blob = git(remote, "hash-object", "-w", "--stdin", data=index.encode())
    tree = git(remote, "ls-tree", "mlops-history").splitlines()
    lines = [f"100644 blob {blob}\tindex.jsonl" if line.endswith("\tindex.jsonl") else line for line in tree]
    made = git(remote, "mktree", data=("\n".join(lines) + "\n").encode())
    git(remote, "update-ref", "refs/heads/mlops-history", git(remote, "commit-tree", made, "-p", "mlops-history", "-m", "x"))
    other = history(clone(remote, tmp_path / "two"))
    assert [e.id for e in other.entries()] == [record(1).id]
    assert len(other.notes) == len(broken) + 1
    assert "of a newer version (9)" in other.notes[0]
    assert other.record(bundle(2), remote=True).pushed
    after = git(remote, "show", "mlops-history:index.jsonl").splitlines()
    assert newer in after
    assert all(line in after for line in broken)


def test_a_broken_record_on_this_machine_is_skipped_and_said(remote: Path, tmp_path: Path) -> None:
    here = history(clone(remote, tmp_path / "one"), context=LAPTOP)
    here.record(bundle(1), remote=False)
    for number, text in enumerate(["", "{", "[]", '{"schema": 99}', '{"schema": 1, "id": 5}', codec.dumps(record(1)), "\x00" * 50]):
        folder = here.state / "runs" / f"2026010{number + 1}-000000-aaaaaa"
        folder.mkdir()
        (folder / "run.json").write_text(text)
    assert [e.id for e in here.entries()] == [record(1).id]
    assert len(here.notes) == 7


def test_a_broken_cache_is_made_again(remote: Path, tmp_path: Path) -> None:
    here = clone(remote, tmp_path / "one")
    history(here).record(bundle(1, FILES), remote=True)
    cache = tmp_path / "one" / ".mlops" / "cache" / "history.git"
    for path in [p for p in (cache / "objects").rglob("*") if p.is_file()]:
        path.chmod(0o644)
        path.write_bytes(b"")
    assert len(history(here).entries()) == 1
    (cache / "HEAD").unlink()
    (cache / "config").write_text("[core\n")
    past = history(here)
    assert past.record(bundle(2), remote=True).pushed
    assert ids(remote) == [record(1).id, record(2).id]


def test_a_cache_of_many_fetches_is_begun_anew(remote: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlops_toolkit.history.bare.PACKS", 4)
    writer, reader = clone(remote, tmp_path / "one"), clone(remote, tmp_path / "two")
    packs = []
    for number in range(6):
        history(writer).record(bundle(number), remote=True)
        past = history(reader)
        assert len(past.entries()) == number + 1
        assert past.run(record(0).id) is not None
        assert past.ancestry("refs/heads/main", 50)
        packs.append(len(list((tmp_path / "two" / ".mlops" / "cache").rglob("*.pack"))))
    assert max(packs) <= 12


@pytest.mark.parametrize("path", ["../x", "/x", "a/../b", "", ".git/config", "a/.GIT/x", 'a"b', "a\nb", "a//b", "./x"])
def test_a_run_holds_no_file_outside_of_its_folder(tmp_path: Path, path: str) -> None:
    with pytest.raises(Defect):
        LocalHistory(tmp_path).record(bundle(1, {path: b""}), remote=False)
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


def test_any_other_name_of_a_suite_or_chart_goes_through_git_and_back(remote: Path, tmp_path: Path) -> None:
    names = [
        "predictions/a b.parquet",
        "predictions/ünïcödé 中.parquet",
        "predictions/-x.parquet",
        "predictions/$(touch y).parquet",
        "predictions/ lead.parquet",
        "predictions/tr ",
        "p/:(glob)*.x",
    ]
    history(clone(remote, tmp_path / "one")).record(bundle(1, {name: name.encode() for name in names}), remote=True)
    other = history(clone(remote, tmp_path / "two"))
    for name in names:
        found = other.file(record(1).id, name)
        assert found is not None, name
        assert found.read_bytes() == name.encode()


# The salt


def test_the_first_salt_on_the_branch_holds_for_everyone(remote: Path, tmp_path: Path) -> None:
    one, two = history(clone(remote, tmp_path / "one")), history(clone(remote, tmp_path / "two"))
    assert one.entries() == two.entries() == ()
    salt = one.salt()
    assert two.salt() == salt == one.salt()
    assert len(salt) == 32
    assert git(remote, "show", "mlops-history:salt") == salt


def test_a_laptop_has_a_salt_of_its_own_until_the_branch_has_one(remote: Path, tmp_path: Path) -> None:
    here = clone(remote, tmp_path / "one")
    own = history(here, context=LAPTOP).salt()
    assert history(here, context=LAPTOP).salt() == own
    assert git(remote, "branch", "--list", "mlops-history") == ""
    theirs = history(clone(remote, tmp_path / "two")).salt()
    assert theirs != own
    assert history(here).salt() == theirs


def test_predictions_hashed_with_a_salt_that_lost_are_not_recorded_as_if_they_could_be_paired(remote: Path, tmp_path: Path) -> None:
    hook = refuse(remote, "no")
    late = history(clone(remote, tmp_path / "late"))
    late.record(bundle(1, FILES), remote=True)
    hook.unlink()
    history(clone(remote, tmp_path / "first")).salt()
    assert late.push().pushed
    assert ids(remote) == [record(1).id]
    assert not any("hashed" in path for path in listing(remote))
    assert any("hashed with another salt" in note for note in late.notes)


# Tidying


def test_prune_drops_old_runs_of_closed_pull_requests_and_keeps_main_releases_and_open_ones(remote: Path, tmp_path: Path) -> None:
    here = history(clone(remote, tmp_path / "one"))
    old = {"event": "pull_request", "pull_request": 1}
    here.record(bundle(1, FILES, commit=git(remote, "rev-parse", "main")), remote=True)  # on main
    here.record(bundle(2, FILES, **old), remote=True)  # old and closed: dropped
    here.record(bundle(3, FILES, released="1.0", **old), remote=True)  # released
    here.record(bundle(4, FILES, event="pull_request", pull_request=2), remote=True)  # open
    here.record(bundle(10_500, FILES, **old), remote=True)  # young and closed: loses its predictions
    before = git(remote, "rev-parse", f"mlops-history:runs/2026-01/{record(2).id}/predictions/main.hashed.parquet")
    main = frozenset({git(remote, "rev-parse", "main")})
    done, what = upkeep.prune(here, days=30, main=main, is_open=lambda number: number == 2)
    assert done.pushed
    assert what == upkeep.Pruning((record(2).id,), (record(10_500).id,))
    assert ids(remote) == [record(n).id for n in (1, 3, 4, 10_500)]
    assert git(remote, "rev-list", "--count", "mlops-history") == "1"
    git(remote, "fsck", "--strict", "--no-dangling")
    assert not any(record(2).id in path for path in listing(remote))
    assert not any(record(10_500).id in path and "predictions" in path for path in listing(remote))
    assert before in git(remote, "ls-tree", "-r", "mlops-history")  # the same bytes, kept by another run
    again, nothing = upkeep.prune(here, days=30, main=main, is_open=lambda number: number == 2)
    assert (again.commit, nothing) == (done.commit, upkeep.Pruning())
    assert history(clone(remote, tmp_path / "two")).record(bundle(7), remote=True).pushed


def test_a_forgotten_run_is_in_no_commit_of_the_branch_and_nowhere_here(remote: Path, tmp_path: Path) -> None:
    here = history(clone(remote, tmp_path / "one"))
    here.record(bundle(1, {"predictions/main.hashed.parquet": b"unique bytes of run 1"}), remote=True)
    here.record(bundle(2, FILES), remote=True)
    blob = git(remote, "rev-parse", f"mlops-history:runs/2026-01/{record(1).id}/predictions/main.hashed.parquet")
    assert upkeep.forget(here, record(1).id).pushed
    assert blob not in git(remote, "rev-list", "--objects", "--all")
    assert [e.id for e in here.entries()] == [record(2).id]
    assert not [p for p in here.state.rglob("*") if record(1).id in str(p) or (p.is_file() and b"unique bytes" in p.read_bytes())]


def test_forgetting_while_somebody_records_loses_nothing(remote: Path, tmp_path: Path) -> None:
    here, other = history(clone(remote, tmp_path / "one")), history(clone(remote, tmp_path / "two"))
    here.record(bundle(1), remote=True)
    here.record(bundle(2), remote=True)
    push, raced = here.bare.push, []

    def slow(commit: str, ref: str, *, lease: str | None = None) -> str | None:
        if not raced:
            raced.append(other.record(bundle(3), remote=True).pushed)
        return push(commit, ref, lease=lease)

    here.bare.push = slow  # type: ignore[method-assign]
    assert upkeep.forget(here, record(1).id).pushed
    assert raced == [True]
    assert ids(remote) == [record(2).id, record(3).id]


def test_a_withdrawn_run_stays_but_says_so(remote: Path, tmp_path: Path) -> None:
    here = history(clone(remote, tmp_path / "one"))
    here.record(bundle(1, FILES), remote=True)
    assert upkeep.withdraw(here, here.entries()[0], "labels were shifted").pushed
    other = history(clone(remote, tmp_path / "two"))
    assert [e.withdrawn for e in other.entries()] == [True]
    run = other.run(record(1).id)
    assert run is not None
    assert run.withdrawn == "labels were shifted"
    assert other.file(record(1).id, "measures.json") is not None
    assert here.run(record(1).id) == run


def test_a_released_run_says_what_it_was_released_as(remote: Path, tmp_path: Path) -> None:
    here = history(clone(remote, tmp_path / "one"))
    for number in (1, 2):
        here.record(bundle(number, FILES), remote=True)
    assert upkeep.release(here, here.entries()[0], "v1.2").pushed
    other = history(clone(remote, tmp_path / "two"))
    assert [(e.released, e.withdrawn) for e in other.entries()] == [(True, False), (False, False)]
    runs = [other.run(record(number).id) for number in (1, 2)]
    assert [run and run.released for run in runs] == ["v1.2", None]


def test_a_laptop_offers_its_clean_finished_runs_without_their_predictions(remote: Path, tmp_path: Path) -> None:
    here = history(clone(remote, tmp_path / "one"), context=LAPTOP)
    here.record(bundle(1, FILES), remote=False)
    here.record(bundle(2, dirty=True), remote=False)
    here.record(bundle(3, status="failed"), remote=False)
    assert upkeep.offer(here) == [record(1).id]
    assert here.push().pushed
    assert ids(remote) == [record(1).id]
    assert [p for p in listing(remote) if p.startswith("runs/")] == [f"runs/2026-01/{record(1).id}/run.json"]
    assert here.file(record(1).id, "predictions/main.hashed.parquet") is not None


# Retries


class Faster:
    """A push that another writer beats `times` times."""

    def __init__(self, times: int, words: str) -> None:
        self.times, self.words = times, words

    def __call__(self, _commit: str, _ref: str, *, lease: str | None = None) -> str | None:
        self.times -= 1
        return self.words if self.times >= 0 else None


RACES = [
    " ! [rejected] x -> mlops-history (fetch first)",
    " ! [rejected] x -> mlops-history (non-fast-forward)",
    " ! [rejected] x -> mlops-history (stale info)",
    "remote: error: cannot lock ref 'refs/heads/mlops-history': is at 1 but expected 2\n ! [remote rejected] (failed to update ref)",
    "error: Unable to create '/x/refs/heads/mlops-history.lock': File exists.",
]


@pytest.mark.parametrize("words", RACES)
def test_a_faster_writer_is_waited_out_with_growing_jittered_pauses(tmp_path: Path, words: str) -> None:
    remote = bare_remote(tmp_path / "origin.git")
    draw(remote, "main:")
    clock = FixedClock(NOW)
    here = history(clone(remote, tmp_path / "one"), clock=clock)
    here.bare.push = Faster(6, words)  # type: ignore[assignment]
    assert here.record(bundle(1), remote=True).pushed
    rng = random.Random(1)
    assert clock.seconds == pytest.approx(sum(rng.uniform(0.02, 0.1 * 2**n) for n in range(6)))


class Overslept(FixedClock):
    """A clock on which every pause lasts twenty times as long, so that ten minutes are few tries."""

    def sleep(self, seconds: float) -> None:
        super().sleep(20 * seconds)


def test_after_ten_minutes_of_faster_writers_the_record_waits(tmp_path: Path) -> None:
    remote = bare_remote(tmp_path / "origin.git")
    draw(remote, "main:")
    clock = Overslept(NOW)
    here = history(clone(remote, tmp_path / "one"), clock=clock)
    faster = Faster(10_000, RACES[0])
    here.bare.push = faster  # type: ignore[assignment]
    done = here.record(bundle(1), remote=True)
    assert not done.pushed
    assert "fetch first" in (done.reason or "")
    assert 600 < clock.seconds < 700
    assert 10_000 - faster.times > 6
    assert [e.where for e in here.entries()] == ["waiting"]


@pytest.mark.parametrize(
    ("words", "tries", "said"),
    [
        ("fatal: unable to access 'https://github.com/o/r/': The requested URL returned error: 503", 4, "the remote cannot be reached"),
        ("fatal: the remote end hung up unexpectedly", 4, "hung up"),
        (
            "remote: Permission to o/r.git denied to github-actions[bot].\nfatal: unable to access 'https://github.com/o/r/': The requested URL returned error: 403",
            1,
            "permissions: contents: write",
        ),
        ("fatal: Authentication failed for 'https://github.com/o/r/'", 1, "the remote wants credentials"),
        ("remote: error: GH013: Repository rule violations found", 1, "exempt the history branch"),
        ("something nobody knows", 1, "something nobody knows"),
    ],
)
def test_other_refusals_are_tried_a_few_times_or_not_at_all_and_said_in_words(tmp_path: Path, words: str, tries: int, said: str) -> None:
    remote = bare_remote(tmp_path / "origin.git")
    draw(remote, "main:")
    here = history(clone(remote, tmp_path / "one"))
    faster = Faster(100, words)
    here.bare.push = faster  # type: ignore[assignment]
    done = here.record(bundle(1), remote=True)
    assert 100 - faster.times == tries
    assert done.reason is not None
    assert said in done.reason
