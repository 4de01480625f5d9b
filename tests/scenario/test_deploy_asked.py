"""What may be asked of `mlops deploy` and `rollback`, and what is refused: jobs of a team, and a person at a laptop."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from mlops_toolkit.system.clock import SystemClock
from tests.world.fleet import Fleet, fleet, hosts, judged, laptop
from tests.world.proven import KEY, OTHER

__all__ = ["fleet", "hosts", "judged"]


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], list[float]]:
    """Has something happen while the verb waits for the first time, and lets time pass at once; the waits, in seconds."""

    def begin(meanwhile: Callable[[], object]) -> list[float]:
        waits: list[float] = []
        begun, real = SystemClock().monotonic(), SystemClock.monotonic

        def sleep(_: SystemClock, seconds: float) -> None:
            if seconds >= 1:  # shorter ones are those of whoever asks a registry again
                waits.append(seconds)
            if len(waits) == 1:
                meanwhile()

        monkeypatch.setattr(SystemClock, "sleep", sleep)
        monkeypatch.setattr(SystemClock, "monotonic", lambda clock: begun + (real(clock) - begun) / 1000 + sum(waits))
        return waits

    return begin


def test_a_tag_that_is_still_being_published_is_waited_for(fleet: Fleet, waiting: Callable[..., list[float]]) -> None:
    """Both workflows of a tag begin at once: what is published meanwhile is deployed, by the job that waited."""
    run, _ = fleet.runs
    job = fleet.tagged(run, "v1.0.0")
    waits = waiting(lambda: fleet.release(run, "v1.0.0", tag=False))
    done = job.within("deploy")
    assert done.outputs["result"] == "deployed"
    assert f"v1.0.0 is not published (its run is {run}): waiting for it, 30s at most" in done.err
    assert len(waits) == 1


def test_what_is_not_published_in_that_time_is_not_deployed(fleet: Fleet, waiting: Callable[..., list[float]]) -> None:
    run, _ = fleet.runs
    waits = waiting(lambda: None)
    done = fleet.tagged(run, "v1.0.0").within("deploy", code=2)
    assert 29 < sum(waits) <= 30
    assert "after 30 s" in done.err
    assert "`mlops publish v1.0.0`" in done.err
    assert fleet.hosts.orders == []
    assert fleet.team.github.deployments.made == []


def test_backwards_is_said_and_done_only_where_it_is_meant(fleet: Fleet) -> None:
    first, second = fleet.runs
    fleet.release(first, "v1.0.0")
    fleet.release(second, "v1.1.0")
    fleet.deploy("v1.1.0")
    refused = fleet.deploy("v1.0.0", code=2)
    assert "is older than v1.1.0" in refused.err
    assert "`mlops rollback` goes back" in refused.err
    assert "--allow-older" in refused.err
    assert len(fleet.hosts.orders) == 1
    done = fleet.deploy("v1.0.0", older="true")
    assert (done.outputs["result"], done.outputs["previous"][:6]) == ("deployed", "v1.1.0")
    assert fleet.record(second)["withdrawn"] is None, "it was replaced, and not taken back"


def test_an_image_is_deployed_by_its_digest_alone(fleet: Fleet) -> None:
    """No history is needed; a registry's tag is none, and another model's image is refused."""
    run, _ = fleet.runs
    digest = fleet.release(run, "v1.0.0")
    image = f"{fleet.registry.host}/acme/spam"
    job = fleet.job()
    assert "is no digest: NAME@sha256:… is deployed" in laptop(job, "deploy", "--image", f"{image}:v1.2.3", code=2).err
    assert fleet.hosts.orders == []
    other = fleet.image("acme/ham", run, model="ham-filter", marks={"vnd.mlops.model.name": "ham-filter"})
    fleet.team.history("update-ref", "-d", "refs/heads/mlops-history")
    done = job.within("deploy", image=f"{image}@{digest}")
    assert (done.outputs["result"], done.outputs["digest"]) == ("deployed", digest)
    (order,) = fleet.hosts.orders
    assert order.release is not None
    assert (order.release.run, order.release.verdict) == (run, "passed"), "as the image itself says"
    assert "the image holds the model ham-filter" in job.within("deploy", code=2, image=other).err


def test_what_would_be_sent_is_written_and_nothing_is_sent(fleet: Fleet) -> None:
    run, _ = fleet.runs
    digest = fleet.release(run, "v1.0.0")
    job = fleet.job("v1.0.0")
    fleet.hosts.away = True  # nobody is asked
    done = laptop(job, "deploy", "v1.0.0", "--render", "made")
    assert done.out.strip() == str(job.root / "made/order.json")
    order = json.loads((job.root / "made/order.json").read_text())
    assert order["release"]["image"] == f"{fleet.registry.host}/acme/spam@{digest}"
    assert "s3cr3t" not in (job.root / "made/order.json").read_text()
    assert fleet.hosts.orders == []
    assert fleet.team.github.deployments.made == []
    assert fleet.record(run)["deployed"] == []


def test_where_a_signature_is_asked_for_only_that_of_the_key_counts(fleet: Fleet) -> None:
    first, second = fleet.runs
    pem = KEY.public.pem.decode()
    fleet.configure(lambda text: text.replace("wait: 30s,", "wait: 30s, require: [signature], key: cosign.pub,"), {"cosign.pub": pem})
    fleet.release(first, "v1.0.0", key=None)
    fleet.release(second, "v1.1.0", key=OTHER)
    job = fleet.job()
    unsigned = job.within("deploy", ref="v1.0.0", code=5)
    assert "not-signed" in unsigned.err or "signature" in unsigned.err
    assert "signature" in job.within("deploy", ref="v1.1.0", code=5).err
    assert fleet.hosts.orders == []
    fleet.release(second, "v1.2.0", key=KEY)
    assert job.within("deploy", ref="v1.2.0").outputs["result"] == "deployed"


def test_nothing_is_gone_back_to_where_nothing_runs(fleet: Fleet) -> None:
    for words in ((), ("--to", "v9.9.9")):
        done = laptop(fleet.job(), "rollback", "--reason", "a wish", *words, code=2)
        assert "nothing of spam-filter runs in production, so there is nothing to go back to" in done.err
        assert "back from" not in done.err


@pytest.mark.long
def test_what_was_taken_back_itself_is_gone_back_to_only_where_that_is_said(fleet: Fleet) -> None:
    first, second = fleet.runs
    fleet.release(first, "v1.0.0")
    fleet.release(second, "v1.1.0")
    fleet.deploy("v1.0.0")
    fleet.deploy("v1.1.0")
    job = fleet.job()
    job.within("deploy", rollback="last", reason="German mails are all spam")
    refused = job.within("deploy", rollback="v1.1.0", reason="v1.0.0 is worse", code=2)
    assert "was taken back itself: German mails are all spam" in refused.err
    assert "--allow-withdrawn" in refused.err
    assert "v1.0.0 (" in laptop(job, "status").out.splitlines()[1]
    laptop(job, "rollback", "--to", "v1.1.0", "--allow-withdrawn", "--reason", "v1.0.0 is worse")
    assert "v1.1.0 (" in laptop(job, "status").out.splitlines()[1]
    assert fleet.record(second)["withdrawn"] is None, "it is good again"
    assert fleet.record(first)["withdrawn"] == "v1.0.0 is worse"
