"""The driver of a Docker host against a real engine: each call does what it says, again and again, and no client notices."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mlops_toolkit.rollout.docker_driver import DockerDriver
from mlops_toolkit.rollout.driver import Observed, ReleaseFailure
from mlops_toolkit.rollout.order import Release
from tests.docker.deploying import ASKED, PATH, Studio, answered, hosting
from tests.world.load import loading
from tests.world.waiting import wait_for

pytestmark = pytest.mark.docker


def until_asked(driver: DockerDriver, release: Release, more: int) -> None:
    """So many requests more than it has counted by now."""
    begun = driver.sample(release).requests
    wait_for(lambda: driver.sample(release).requests >= begun + more, 60)


def brought(driver: DockerDriver, release: Release) -> None:
    for _ in range(2):
        driver.bring(release)
    for _ in range(2):
        driver.start(release)
    wait_for(lambda: driver.observe().instances[release.id].health == "ready", 30)
    driver.golden(release)


@pytest.mark.parametrize("proxy", ["haproxy", "nginx"])
def test_traffic_moves_by_exact_shares_and_nobody_notices(proxy: str, studio: Studio, docker: Callable[..., str], tmp_path: Path) -> None:
    with hosting(docker, tmp_path) as host:
        spec = {"port": host.port, "proxy": proxy, "proxy_image": getattr(studio, proxy)}
        one, two = studio.release("1", answer=1, **spec), studio.release("2", answer=2, **spec)
        driver = host.driver()
        assert driver.observe() == Observed()
        brought(driver, one)
        driver.route({one.id: 1.0})
        assert driver.observe().shares == {one.id: 1.0}
        with loading(host.port, PATH, ASKED, tmp_path) as load:
            until_asked(driver, one, 30)
            brought(driver, two)
            driver.route({two.id: 0.25, one.id: 0.75})
            assert host.driver().observe().shares == {two.id: 0.25, one.id: 0.75}
            before = [driver.sample(release) for release in (two, one)]
            until_asked(driver, two, 200)
            after = [driver.sample(release) for release in (two, one)]
            driver.route({two.id: 1.0})
            wait_for(lambda: not driver.observe().instances[one.id].in_flight)
            driver.stop(one)
            driver.stop(one)
            until_asked(driver, two, 100)
        new, old = (late.requests - early.requests for early, late in zip(before, after, strict=True))
        assert new / (new + old) == pytest.approx(0.25, abs=0.08)  # the two are not asked in the same instant
        assert [(told.failed, bool(told.memory)) for told in after] == [(0, True), (0, True)]
        if proxy == "haproxy":
            assert load.failed == []
        else:  # a reload closes what is kept alive and idle: an end without a byte, at most once a client and reload
            assert all(one["kind"] == "kept" and "Error" in one["what"] for one in load.failed), load.failed
            assert len(load.failed) <= 4 * 3
        assert {answered(load.texts, digest) for digest in load.answers} == {1, 2}
        assert driver.observe().shares == {two.id: 1.0}
        assert set(driver.observe().instances) == {two.id}


def test_a_release_is_asked_a_copy_and_answers_nobody(studio: Studio, docker: Callable[..., str], tmp_path: Path) -> None:
    """Clients get the live answer alone; the other one counts what it was asked; afterwards the relay is gone, again and again."""
    with hosting(docker, tmp_path) as host:
        one, two = studio.release("1", answer=1, port=host.port), studio.release("2", "slow", answer=2, port=host.port)
        driver = host.driver()
        brought(driver, one)
        driver.route({one.id: 1.0})
        brought(driver, two)
        with loading(host.port, PATH, ASKED, tmp_path) as load:
            for _ in range(2):
                driver.shadow(one, two, 0.5)
            assert driver.observe().shares == {one.id: 1.0}
            until_asked(driver, two, 3)
            for _ in range(2):
                driver.shadow(one, two, 0.0)
            assert host.containers("relay") == []
            driver.stop(two)
        assert load.failed == []
        assert {answered(load.texts, digest) for digest in load.answers} == {1}
        assert driver.observe().shares == {one.id: 1.0}


def test_a_proxy_that_somebody_removed_comes_back_as_it_was(studio: Studio, docker: Callable[..., str], tmp_path: Path) -> None:
    with hosting(docker, tmp_path) as host:
        one = studio.release("1", answer=1, port=host.port)
        driver = host.driver()
        brought(driver, one)
        driver.route({one.id: 1.0})
        docker("rm", "--force", *host.containers("proxy"))
        assert driver.observe().shares == {one.id: 1.0}
        with loading(host.port, PATH, ASKED, tmp_path) as load:
            until_asked(driver, one, 30)
        assert load.failed == []
        other = studio.release("1", answer=1, port=host.port + 1)
        with pytest.raises(ReleaseFailure) as caught:
            driver.start(other)
        assert caught.value.name == "proxy-differs"
