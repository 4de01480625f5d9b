"""Whether an image may be trusted: rows out of facts, nothing asked."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from mlops_toolkit.errors import COMMAND, UsageError
from mlops_toolkit.oci.documents import digest_of
from mlops_toolkit.supply import provenance, words
from mlops_toolkit.supply.decide import Required, Row, decide, refused, required
from mlops_toolkit.supply.envelope import read_statement, statement
from mlops_toolkit.supply.facts import Bill, Claim, Facts, Piece, Signature, Signed
from mlops_toolkit.verify import show
from tests.world import proven

DIGEST, NAME = f"sha256:{'a' * 64}", "ghcr.io/owner/spam"
BILL = f"sha256:{'8' * 64}"
TOLD = provenance.Published(NAME, DIGEST, "v1.2.3", base=proven.BASE, sbom=BILL)
MARKS = {
    "vnd.mlops.model.digest": proven.model_digest(),
    "vnd.mlops.run": proven.RUN,
    "org.opencontainers.image.revision": proven.COMMIT,
}


def claim(payload: bytes, signed: Signed = "key") -> Claim:
    return Claim("sha256:1234…", read_statement(payload), signed)


def made(decision: provenance.Decision | None = None, builder: provenance.Builder = proven.BUILDER, **more: Any) -> bytes:
    recorded = proven.run(**more)
    if decision is None:
        return provenance.statement(recorded, TOLD, builder)
    return provenance.verdict(recorded, recorded.gate, proven.result(), decision, TOLD)


def facts(decision: provenance.Decision = proven.PASSED, **more: Any) -> Facts:
    whole: dict[str, Any] = {
        "asked": f"{NAME}:v1.2.3",
        "name": NAME,
        "digest": DIGEST,
        "annotations": MARKS,
        "pieces": (Piece("the index", DIGEST, 700, "read"), Piece("layer 1", f"sha256:{'2' * 64}", 9, "there")),
        "model": proven.model_digest(),
        "signatures": (Signature("sig #1", "ok", NAME),),
        "claims": (claim(made()), claim(made(decision))),
        "bills": (Bill("sha256:5…", BILL, DIGEST, 4),),
        "key": "c" * 64,
    }
    return Facts(**{**whole, **more})


def row(what: str, found: Facts, **asked: Any) -> Row:
    (one,) = [row for row in decide(found, Required(**asked)) if row.what == what]
    return one


def test_all_in_order_is_verified() -> None:
    rows = decide(facts(), Required(signature=True, passed=True, commit=proven.COMMIT[:10], repository="owner/spam"))
    assert [(one.what, one.mark) for one in rows] == [
        (what, "ok") for what in ("content", "model", "signature", "provenance", "verdict", "materials")
    ]
    assert show.sentence(facts(), rows) == "verified"


@pytest.mark.parametrize(
    ("decision", "says"),
    [
        (provenance.Decision("accepted", accepted=["accuracy down to 0.94: known"]), "accepted by a yes in the repository: accuracy +0.2"),
        (provenance.Decision("undecided", undecided=["f1: undecided", "2 slices"]), "let through with 2 checks undecided: accuracy"),
        (provenance.Decision("ungated"), "not gated: accuracy"),
        (provenance.Decision("overridden", by="ada", reason="a demo"), "overridden by ada (a demo): accuracy"),
    ],
)
def test_what_did_not_pass_by_itself_is_said_and_may_be_refused(decision: provenance.Decision, says: str) -> None:
    found = facts(decision)
    assert row("verdict", found).mark == "said"
    assert row("verdict", found).text.startswith(says)
    error = row("verdict", found, passed=True).refusal
    assert error is not None
    assert (error.name, error.code) == ("verdict-not-passed", COMMAND)


@pytest.mark.parametrize("decision", ["failed", "waiting", "", "PASSED"])
def test_any_other_decision_is_refused(decision: str) -> None:
    assert [error.name for error in refused(decide(facts(provenance.Decision(decision)), Required()))] == ["verdict-failed"]


def test_one_verdict_of_several_that_failed_decides() -> None:
    """Whoever can remove the newer of two is not to choose which of them counts."""
    found = facts()
    for order in (1, -1):
        claims = (*found.claims, claim(made(provenance.Decision("failed"))))[::order]
        assert [error.name for error in refused(decide(replace(found, claims=claims), Required()))] == ["verdict-failed"]


def test_of_several_provenances_the_newest_is_shown() -> None:
    """A release candidate's image that became the release: the same bytes, published twice."""
    later = replace(proven.BUILDER, finished="2026-12-24T00:00:00Z", id="urn:later")
    found = replace(facts(), claims=(*facts().claims, claim(made(builder=later))))
    assert "urn:later" in row("provenance", found).text
    assert "urn:later" in row("provenance", replace(found, claims=found.claims[::-1])).text


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ({"commit": "f" * 7}, "unexpected-commit"),
        ({"repository": "other/spam"}, "unexpected-repository"),
        ({"repository": "am"}, "unexpected-repository"),
    ],
)
def test_another_source_than_required_is_refused(asked: dict[str, str], name: str) -> None:
    error = row("provenance", facts(), **asked).refusal
    assert error is not None
    assert error.name == name


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"vnd.mlops.run": "20260101-000000-000000"}, "claims-differ"),
        ({"org.opencontainers.image.revision": "0" * 40}, "claims-differ"),
        ({"vnd.mlops.model.digest": f"sha256:{'0' * 64}"}, "model-differs"),
    ],
)
def test_an_image_and_its_provenance_must_say_the_same(change: dict[str, str], name: str) -> None:
    assert name in [error.name for error in refused(decide(facts(annotations={**MARKS, **change}), Required()))]


def test_an_image_of_somebody_else_says_nothing() -> None:
    found = facts(annotations={}, claims=(), signatures=(), bills=(), model=None)
    assert [error.name for error in refused(decide(found, Required()))] == [
        "no-model-named",
        "missing-signature",
        "missing-provenance",
        "missing-verdict",
    ]


def test_without_a_key_nothing_is_proven() -> None:
    claims = tuple(replace(one, signed="unchecked") for one in facts().claims)
    found = facts(key=None, claims=claims, signatures=(Signature("sig #1", "unchecked", NAME),))
    rows = decide(found, Required())
    assert {one.mark for one in rows if one.what not in ("content", "model")} == {"unproven"}
    assert "not proven" in show.sentence(found, rows)
    assert not show.document(found, rows)["proven"]
    assert [error.name for error in refused(decide(found, Required(signature=True)))] == ["unchecked-signature"]


def test_a_copy_elsewhere_is_said() -> None:
    found = facts(signatures=(Signature("sig #1", "ok", "ghcr.io/other/place"),))
    assert row("signature", found).mark == "said"
    assert "ghcr.io/other/place" in row("signature", found).text


def test_what_is_said_is_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    """A name of a tag, a sentence, a builder: whoever signs or attaches may write anything."""
    evil = "\x1b[2J\u202e\n::error::x"
    builder = provenance.Builder(evil, source=evil)
    claims = (claim(made(builder=builder)), claim(made(provenance.Decision("overridden", by=evil, reason=evil))))
    found = facts(claims=claims, unreadable=((evil, evil),))
    rows = decide(found, Required())
    text = "\n".join(show.lines(found, rows))
    assert not {"\x1b", "\u202e"} & set(text)
    assert "\n::" not in text
    assert "\x1b" not in json.dumps(show.document(found, rows), ensure_ascii=False)


def test_odd_predicates_break_nothing() -> None:
    """Every part of a statement may be anything."""
    odd: list[Any] = [None, 5, [], {}, "x", [[]], [{"name": 5}], {"digest": 5}]
    for one in odd:
        for predicate in (
            {"buildDefinition": one, "runDetails": one},
            {
                "buildDefinition": {"externalParameters": one, "resolvedDependencies": one},
                "runDetails": {"byproducts": one, "builder": one},
            },
            {"decision": one, "override": one, "undecided": one, "model": one, "sentence": one},
            {"decision": "overridden", "override": one, "undecided": one, "model": {"digest": one}},
        ):
            claims = tuple(claim(statement(NAME, DIGEST, kind, predicate)) for kind in (words.PROVENANCE, words.GATE))
            assert show.lines(facts(claims=claims), decide(facts(claims=claims), Required()))


@pytest.mark.parametrize("one", ["", "x", "passed=1", "commit", "commit=xyz", "commit=abc", "repository="])
def test_what_cannot_be_required(one: str) -> None:
    with pytest.raises(UsageError, match="cannot be required"):
        required([one])


def test_what_can_be_required() -> None:
    asked = required(["signature", "passed", "commit=abcdef1", "repository=o/r"])
    assert asked == Required(signature=True, passed=True, commit="abcdef1", repository="o/r")


def test_the_same_is_said_in_the_same_bytes() -> None:
    assert digest_of(made()) == digest_of(made())
    assert json.loads(made())["predicate"]["runDetails"]["byproducts"][0]["digest"] == {"sha256": "8" * 64}
