"""The driver of a Docker host against a real engine: each call does what it says, again and again, and no client notices."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mlops_toolkit.rollout.docker_driver import DockerDriver
from mlops_toolkit.rollout.driver import Observed, ReleaseFailure
from mlops_toolkit.rollout.order import Release
from tests.docker.deploying import ASKED, PATH, Studio, answered, hosting
from tests.world.load import loading

pytestmark = pytest.mark.docker


def until_ready(driver: DockerDriver, release: Release, seconds: float = 30) -> Observed:
    end = time.monotonic() + seconds
    while (seen := driver.observe()).instances[release.id].health != "ready":
        assert time.monotonic() < end, seen
        time.sleep(0.1)
    return seen


def brought(driver: DockerDriver, release: Release) -> None:
    for _ in range(2):
        driver.bring(release)
    for _ in range(2):
        driver.start(release)
    until_ready(driver, release)
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
            time.sleep(0.5)
            brought(driver, two)
            driver.route({two.id: 0.25, one.id: 0.75})
            assert host.driver().observe().shares == {two.id: 0.25, one.id: 0.75}
            before = [driver.sample(release) for release in (two, one)]
            time.sleep(3)
            after = [driver.sample(release) for release in (two, one)]
            driver.route({two.id: 1.0})
            while driver.observe().instances[one.id].in_flight:
                time.sleep(0.02)
            driver.stop(one)
            driver.stop(one)
            time.sleep(0.5)
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
            before = driver.sample(two).requests
            assert driver.observe().shares == {one.id: 1.0}
            end = time.monotonic() + 60
            while driver.sample(two).requests < before + 3:
                assert time.monotonic() < end
                time.sleep(0.2)
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
            time.sleep(0.5)
        assert load.failed == []
        other = studio.release("1", answer=1, port=host.port + 1)
        with pytest.raises(ReleaseFailure) as caught:
            driver.start(other)
        assert caught.value.name == "proxy-differs"
