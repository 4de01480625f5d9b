"""Deployments while something else goes wrong, on a real engine of our own: an engine that restarts, a host without power, a disk that is full, a
registry that is gone, a clock that is set, somebody else who deploys. Each ends in exactly one release that the host knows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docker import troubles
from tests.docker.deploying import Studio
from tests.docker.troubles import SHARE, Came, Stage, stage

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def on(studio: Studio, docker: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """An engine with a good release live, for all tests that leave it whole."""
    with stage(studio, tmp_path_factory.mktemp("stage")) as found:
        yield found


def known(came: Came, result: str = "deployed", name: str = "") -> None:
    print(came.outcome, came.error, came.notes, came.load.requests, len(came.load.failed), came.outside[:3])
    assert came.result == result
    assert came.outcome is None or came.outcome.name == name


@pytest.mark.long
def test_on_a_full_disk_a_worse_release_goes_back(studio: Studio, docker: object, tmp_path: Path) -> None:
    """The proxy's file, the journal and the agent's log are on that disk; the traffic is saved nevertheless."""
    with stage(studio, tmp_path, disk=troubles.SMALL) as found:
        before = found.live
        came = troubles.disk_fills(found, "failing")
    known(came, "rolled-back", "worse")
    assert came.live == before
    assert 0 < len(came.load.failed) <= SHARE * came.load.requests
    assert all("500" in str(one["what"]) for one in came.load.failed)  # the release's own, and nothing else


@pytest.mark.long
def test_without_room_for_an_image_nothing_changes_and_a_good_release_fails_nobody(studio: Studio, docker: object, tmp_path: Path) -> None:
    with stage(studio, tmp_path, disk=troubles.SMALL) as found:
        before = found.live
        came = troubles.disk_full_before(found)
        known(came, "disk-full")
        assert (came.live, came.load.failed) == (before, [])
        came = troubles.disk_fills(found, "good")
        known(came, came.result, came.outcome.name if came.outcome else "")
        assert came.result in ("deployed", "rolled-back")
        assert came.load.failed == []


@pytest.mark.long
@pytest.mark.parametrize("trouble", [troubles.engine_restarts, troubles.power_lost])
def test_a_canary_goes_on_after_everything_was_gone(trouble: troubles.Play, on: Stage) -> None:
    """Requests fail only while there is nobody to answer."""
    came = trouble(on)
    known(came)
    assert came.away is not None
    assert came.outside == []
    assert not any("500" in str(one["what"]) for one in came.load.failed)


@pytest.mark.long
def test_with_live_restore_an_agent_that_outlives_the_engine_finds_the_new_one(studio: Studio, docker: object, tmp_path: Path) -> None:
    with stage(studio, tmp_path, live_restore=True) as found:
        came = troubles.engine_restarts(found)
    known(came)
    assert came.outside == []


@pytest.mark.long
@pytest.mark.parametrize("trouble", [troubles.registry_gone_before, troubles.registry_gone_amid])
def test_without_a_registry_nothing_changes(trouble: troubles.Play, on: Stage) -> None:
    before = on.live
    came = trouble(on)
    known(came, "registry-unreachable")
    assert (came.live, came.load.failed) == (before, [])


@pytest.mark.long
def test_once_the_image_is_there_no_registry_is_needed(on: Stage) -> None:
    """Neither by the rollout, nor by a rollback to a release whose container is gone."""
    before = on.live
    came = troubles.registry_gone_after(on)
    known(came)
    assert (came.live, came.load.failed) == (before, [])


@pytest.mark.long
def test_of_two_in_the_same_moment_one_is_refused(on: Stage) -> None:
    came = troubles.two_at_once(on)
    known(came)
    assert came.load.failed == []


@pytest.mark.long
def test_a_clock_that_is_set_changes_nothing(studio: Studio, docker: object, tmp_path: Path) -> None:
    """Neither is a step shorter or longer for it, nor a lock free."""
    with stage(troubles.clock_studio(studio, tmp_path / "clock"), tmp_path) as found:
        came = troubles.clock_jumps(found)
    known(came)
    assert came.load.failed == []
    assert came.notes["jump"] == pytest.approx(3600, abs=120)
    assert 3.0 < came.notes["canary"] < 300
    assert 5.0 < came.notes["watch"] < 300
