"""Which release is meant by "go back", and which is gone back to only where that is said. Pure."""

from __future__ import annotations

import pytest

from mlops_toolkit.deploy.rollback import allowed, wanted
from mlops_toolkit.deploy.targets import Standing
from mlops_toolkit.errors import UsageError
from mlops_toolkit.rollout.order import Release

OLD, BAD, LIVE = (Release(f"{n}" * 12, f"host/spam@sha256:{n * 64}", f"v1.{n}.0") for n in "123")
STANDING = Standing(live=LIVE, good=(OLD,), releases={one.id: one for one in (OLD, BAD, LIVE)}, withdrawn={BAD.id: "German mails"})


@pytest.mark.parametrize(
    ("text", "meant"),
    [("", None), ("last", None), ("v1.1.0", OLD), (OLD.id, OLD), ("v1.2.0", BAD), (f"sha256:{'3' * 64}", LIVE), ("1111111", OLD)],
)
def test_a_release_is_known_by_its_version_id_or_digest(text: str, meant: Release | None) -> None:
    assert wanted(text, STANDING, "production") == meant


def test_one_that_is_not_known_is_refused_with_those_that_are() -> None:
    with pytest.raises(UsageError, match="production knows no release") as caught:
        wanted("v9", STANDING, "production")
    assert (caught.value.name, caught.value.hint) == ("unknown-release", f"it can go back to: v1.1.0 ({OLD.id})")


def test_what_was_taken_back_itself_is_refused_unless_that_is_said_or_it_is_live() -> None:
    with pytest.raises(UsageError, match="was taken back itself: German mails") as caught:
        allowed(BAD, STANDING, withdrawn=False)
    assert caught.value.name == "withdrawn"
    assert "--allow-withdrawn" in (caught.value.hint or "")
    allowed(BAD, STANDING, withdrawn=True)
    allowed(OLD, STANDING, withdrawn=False)
    allowed(None, STANDING, withdrawn=False)
    allowed(LIVE, Standing(live=LIVE, withdrawn={LIVE.id: "then"}), withdrawn=False)
