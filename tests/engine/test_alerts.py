"""What rings in production becomes one issue by the shipped workflow on its schedule, and trains again once; when it rings no more, it is closed."""

from __future__ import annotations

import pytest

from tests.engine.act import PLAIN, workflow
from tests.engine.conftest import Make
from tests.world.ringing import alarm, prometheus, rings

pytestmark = pytest.mark.act


def test_an_alarm_opens_the_issue_once_and_its_end_closes_it(make_engine: Make) -> None:
    drifted = alarm(model="spam-filter", input="x", feature="age", version="1f2e", run="20260301-1", commit="a1b2c3d4e5f6")
    ringing = rings(drifted)
    with prometheus(ringing) as address:
        flow = workflow("alerts.yml").replace("http://prometheus.internal:9090", address)
        engine = make_engine({"mlops.yaml": PLAIN, ".github/workflows/alerts.yml": flow})
        engine.github.workflows["nightly.yml"] = True
        first = engine.run(engine.schedule(), "alerts.yml")
        assert first.passed, first.log
        assert first.outputs["monitor"]["firing"] == "1"
        (issue,) = engine.github.open_issues()
        assert issue["title"] == "🔔 spam-filter in production"
        assert "age" in issue["body"]
        assert engine.run(engine.schedule(), "alerts.yml").passed
        assert len(engine.github.issues) == 1
        assert engine.github.dispatched == [("nightly.yml", "main")]
        ringing["data"]["alerts"].clear()
        assert engine.run(engine.schedule(), "alerts.yml").passed
    assert engine.github.open_issues() == []
    assert engine.github.dispatched == [("nightly.yml", "main")]
