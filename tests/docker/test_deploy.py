"""Whole deployments on a real engine, by the agent in its container, while clients ask: what becomes of them, and of the clients."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mlops_toolkit.deploy.targets import Event, Outcome
from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.rollout.order import Limits, Release
from tests.docker.deploying import ASKED, PATH, Host, Studio, answered, hosting
from tests.world.load import Loaded, loading

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def live(studio: Studio, docker: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A host where release 1 is live, or whatever good one a test left."""
    with hosting(docker, tmp_path_factory.mktemp("host")) as host:
        assert given(host, studio.release("1", answer=1, port=host.port)).result == "deployed"
        yield host


def given(host: Host, release: Release | None, **order: object) -> Outcome:
    """What became of an order."""
    events = list(host.target().give(host.order(release, **order)))
    print(played(events))
    assert events[-1].outcome is not None
    return events[-1].outcome


def played(events: list[Event]) -> str:
    return "\n".join(f"{one.at or 0:.2f} {one.step} {one.state} {one.text}" for one in events)


def one_release(host: Host, release: Release) -> None:
    """Exactly this one is there, in traffic, in the journal."""
    seen, told = host.driver().observe(), host.target().status()
    assert seen.shares == {release.id: 1.0}
    assert set(seen.instances) == {release.id}
    assert told.live is not None
    assert (told.live.id, told.under_way, told.trouble) == (release.id, None, ())


def answers(load: Loaded) -> set[int]:
    return {answered(load.texts, digest) for digest in load.answers}


def test_a_new_version_takes_over_and_a_rollback_takes_it_back_from_nothing(live: Host, studio: Studio, tmp_path: Path) -> None:
    """No client notices either; the old containers are gone, the registry is not asked; the same order again is the same outcome."""
    one, two = studio.release("1", answer=1, port=live.port), studio.release("2", answer=2, port=live.port)
    with loading(live.port, PATH, ASKED, tmp_path) as load:
        order = live.order(two)
        events = list(live.target().give(order))
        assert events[-1].outcome is not None
        assert events[-1].outcome.result == "deployed"
        assert list(live.target().give(order))[-1].outcome == events[-1].outcome
        for agent in live.containers("agent"):  # its last words are lost where the disk was full: it is asked again
            Path(live.docker("inspect", "--format", "{{.LogPath}}", agent)).write_text("")
        assert list(live.target().give(order))[-1].outcome == events[-1].outcome
        one_release(live, two)
        live.docker("rmi", "--force", one.image)  # its name at the registry; our own tag stays
        begun = time.monotonic()
        assert given(live, None, kind="rollback", reason="a wish").result == "deployed"
        print("rollback", time.monotonic() - begun)
    one_release(live, one)
    assert load.failed == []
    assert answers(load) == {1, 2}
    assert list(live.target().status().withdrawn.values()) == ["a wish"]


@pytest.mark.parametrize(
    ("kind", "name", "words"),
    [
        pytest.param("broken", "does-not-start", "a file is missing", marks=pytest.mark.long),
        pytest.param("exits", "does-not-start", "exit status 9", marks=pytest.mark.long),
        ("wrong", "wrong-answers", "golden examples"),
        ("failing", "worse", "failed"),
        pytest.param("slow", "worse", "95th", marks=pytest.mark.long),
        pytest.param("leaking", "died", "memory", marks=pytest.mark.long),
    ],
)
def test_a_bad_release_goes_back(kind: str, name: str, words: str, live: Host, studio: Studio, tmp_path: Path) -> None:
    """Before any traffic where it can be seen, else with the canary's share of the requests at most failed; in words."""
    before = live.target().status().live
    assert before is not None
    bad = studio.release("9", kind, answer=3, port=live.port, memory=256 * 2**20)
    with loading(live.port, PATH, ASKED, tmp_path) as load:
        events = list(live.target().give(live.order(bad, limits=Limits(latency=0.5))))
    outcome = events[-1].outcome
    print(played(events))
    assert outcome is not None
    said = [line for one in events if one.step == "log" for line in one.data["lines"]]
    assert outcome.result == "rolled-back"
    assert outcome.name == name or (kind == "leaking" and outcome.name in ("worse", "not-ready"))
    assert words in outcome.reason
    if kind in ("broken", "failing"):
        assert any(("a file is missing" if kind == "broken" else "no answer this time") in line for line in said), said
    one_release(live, replace(bad, id=before.id))
    if name in ("worse", "died"):
        assert len(load.failed) <= 0.25 * load.requests
    else:
        assert load.failed == []
        assert len(load.answers) == 1


def test_a_registry_that_is_gone_and_a_host_without_docker_are_named(studio: Studio, docker: Callable[..., str], tmp_path: Path) -> None:
    """Nothing was begun there."""
    with hosting(docker, tmp_path) as host:
        known = studio.release("1", answer=1, port=host.port)
        nowhere = replace(known, image="127.0.0.1:1/digits@" + known.image.partition("@")[2])
        with pytest.raises(EnvironmentFailure) as caught:
            given(host, nowhere)
        assert caught.value.name == "registry-unreachable"
        assert host.containers("agent") == []
        for env in ({"PATH": "/nowhere"}, {"DOCKER_HOST": "unix:///nowhere"}):
            host.env = env
            with pytest.raises(EnvironmentFailure) as caught:
                host.target().status()
            assert caught.value.name == "no-docker"
