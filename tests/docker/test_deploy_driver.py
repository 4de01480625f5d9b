"""The driver of a Docker host against a real engine: each call does what it says, again and again, and no client notices."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mlops_toolkit.rollout.docker_driver import DockerDriver
from mlops_toolkit.rollout.driver import Observed
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
        begun = time.monotonic()
        brought(driver, one)
        driver.route({one.id: 1.0})
        print("up", time.monotonic() - begun)
        assert driver.observe().shares == {one.id: 1.0}
        with loading(host.port, PATH, ASKED, tmp_path) as load:
            time.sleep(0.5)
            brought(driver, two)
            driver.route({two.id: 0.25, one.id: 0.75})
            assert host.driver().observe().shares == {two.id: 0.25, one.id: 0.75}
            time.sleep(2)
            counted = driver.sample(two), driver.sample(one)
            driver.route({two.id: 1.0})
            while driver.observe().instances[one.id].in_flight:
                time.sleep(0.02)
            driver.stop(one)
            driver.stop(one)
            time.sleep(0.5)
        print({key: value for key, value in vars(load).items() if key not in ("seconds", "slots")}, counted)
        assert load.failed == []
        assert {answered(load.texts, digest) for digest in load.answers} == {1, 2}
        assert driver.observe().shares == {two.id: 1.0}
        assert set(driver.observe().instances) == {two.id}
