"""Whether an image may be trusted, from what was found of it. Pure: nothing is asked here, and the same facts give the same answer.

Without a key nothing that is attached proves anything: whoever may write to the registry may write it. It is shown, and said.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mlops_toolkit.errors import InvalidFile, UsageError
from mlops_toolkit.supply import words
from mlops_toolkit.supply.facts import MODEL, REVISION, RUN, Bill, Claim, Facts

Mark = Literal["ok", "said", "unproven", "refused"]
WORDS = ("signature", "passed", "commit", "repository")
FINE = {"passed", "undecided", "accepted", "ungated", "overridden"}


@dataclass(frozen=True)
class Required:
    """What is asked beyond the rest: a signature, a gate that passed by itself, a commit (its beginning), a repository (its address' end)."""

    signature: bool = False
    passed: bool = False
    commit: str | None = None
    repository: str | None = None


@dataclass(frozen=True)
class Row:
    """One thing that was looked at. why: why it matters. refusal: what is wrong, named; only where mark is refused."""

    what: str
    mark: Mark
    text: str
    why: str
    refusal: InvalidFile | None = None


def required(asked: Sequence[str]) -> Required:
    """`--require` as it was given, each a word or `word=value`. UsageError `unknown-requirement`."""
    made: dict[str, Any] = {}
    for one in asked:
        word, equals, value = one.partition("=")
        fits = bool(value) if word in ("commit", "repository") else word in WORDS and not equals
        if not fits or (word == "commit" and not re.fullmatch(r"[0-9a-f]{7,64}", value)):
            hint = "signature, passed, commit=SHA (7 characters or more) or repository=OWNER/REPO"
            raise UsageError("unknown-requirement", f'"{one[:80]}" cannot be required', where="--require", hint=hint)
        made[word] = value or True
    return Required(**made)


def decide(facts: Facts, asked: Required) -> list[Row]:
    """Every row, in the order in which people read them. The image is fine where none is refused."""
    provenance = _about(facts, words.PROVENANCE, "provenance")
    gate = _about(facts, words.GATE, "verdict")
    rows = [
        _content(facts),
        _model(facts),
        _signature(facts, asked),
        _provenance(facts, provenance, asked),
        _verdict(facts, gate, asked),
        _bill(facts, provenance),
        *_rest(facts),
    ]
    return [row for row in rows if row is not None]


def refused(rows: Sequence[Row]) -> list[InvalidFile]:
    """What is wrong, in order."""
    return [row.refusal for row in rows if row.refusal is not None]


def told(facts: Facts) -> dict[str, str]:
    """What the newest provenance and the verdict that count say of where it comes from: for programs, beside the rows. Proven only with a key."""
    sources = sorted(
        (_Told.of(one.statement.predicate) for one in _about(facts, words.PROVENANCE, "provenance").claims),
        key=lambda one: one.finished or "",
    )
    made = {name: getattr(one, name) for one in sources for name in ("repository", "commit", "run", "tag", "builder")}
    made["decision"] = _text(_about(facts, words.GATE, "verdict").predicate, "decision")
    return {name: _plain(value) for name, value in made.items() if value}


def _refusal(what: str, why: str, error: InvalidFile) -> Row:
    return Row(what, "refused", error.message, why, error)


def _content(facts: Facts) -> Row:
    why = "the digest names these very bytes: whatever runs by this digest is this"
    broken = [piece for piece in facts.pieces if piece.state in ("missing", "wrong")]
    if broken:
        first = broken[0]
        said = "is not in the registry" if first.state == "missing" else f"is not what its digest says{first.note and f': {first.note}'}"
        more = f" (and {len(broken) - 1} more)" if len(broken) > 1 else ""
        hint = "publish it again: what is missing is sent, what is there is kept"
        return _refusal("content", why, InvalidFile("image-damaged", f"{first.what} {first.digest[:19]}… {said}{more}", hint=hint))
    read = sum(piece.state == "read" for piece in facts.pieces)
    there = len(facts.pieces) - read
    text = f"{_count(read, 'part')} read and as the digests say" + (f", {there} more there (--deep reads them)" if there else "")
    return Row("content", "ok", text, why)


def _model(facts: Facts) -> Row:
    why = "this is the model that was trained and judged, file by file"
    told = facts.annotations.get(MODEL)
    if told is None:
        hint = "only what `mlops publish` made can be verified"
        return _refusal("model", why, InvalidFile("no-model-named", "the image does not say which model is in it", hint=hint))
    if facts.model is None:
        note = facts.model_note or "its layer was not read"
        return _refusal("model", why, InvalidFile("model-unread", f"the model in the image could not be read: {note}"))
    if facts.model != told:
        said = f"the image says it holds the model {told[:19]}…, and holds {facts.model[:19]}…"
        return _refusal("model", why, InvalidFile("model-differs", said, hint="do not run it; find out who pushed it"))
    return Row("model", "ok", f"{told[:19]}…, read and compared", why)


def _signature(facts: Facts, asked: Required) -> Row:
    why = "only whoever holds the private key can have approved this digest"
    good = [one for one in facts.signatures if one.state == "ok"]
    if facts.key is None:
        if asked.signature:
            hint = "--key cosign.pub"
            return _refusal(
                "signature", why, InvalidFile("unchecked-signature", "a signature is required, and no key was given", hint=hint)
            )
        found = f"{_count(len(facts.signatures), 'signature')} there, " if facts.signatures else "none in cosign's layout; "
        return Row("signature", "unproven", f"{found}not checked: give a key (--key cosign.pub)", why)
    if good:
        elsewhere = sorted({one.reference for one in good} - {facts.name, ""})
        if elsewhere and not any(one.reference == facts.name for one in good):
            return Row("signature", "said", f"by key {facts.key[:16]}…, when it was {_plain(elsewhere[0])}: it was copied here since", why)
        return Row("signature", "ok", f"by key {facts.key[:16]}…", why)
    if any(one.state == "another" for one in facts.signatures):
        error = InvalidFile("foreign-signature", "the signature there is of another image: somebody moved it here", hint="do not run it")
        return _refusal("signature", why, error)
    if facts.signatures:
        hint = "is it the right key? a changed signature or payload looks the same"
        return _refusal("signature", why, InvalidFile("wrong-signature", f"no signature there is of the key {facts.key[:16]}…", hint=hint))
    hint = "it was never signed with a key, or somebody removed the signature; publish it again with `publish.sign`"
    return _refusal("signature", why, InvalidFile("missing-signature", "there is no signature", hint=hint))


@dataclass(frozen=True)
class _Found:
    """The statements of one kind that count, or what is wrong with those that are there."""

    claims: tuple[Claim, ...] = ()
    wrong: InvalidFile | None = None

    @property
    def predicate(self) -> Mapping[str, Any]:
        return self.claims[0].statement.predicate if self.claims else {}


def _about(facts: Facts, kind: str, what: str) -> _Found:
    """The statements of this kind about this image; with a key only those that it signed."""
    all_of_it = [claim for claim in facts.claims if claim.statement.predicate_type == kind]
    ours = [claim for claim in all_of_it if facts.key is None or claim.signed == "key"]
    about = tuple(claim for claim in ours if claim.statement.about(facts.digest))
    if about:
        return _Found(about)
    if ours:
        return _Found(wrong=InvalidFile(f"foreign-{what}", f"the {what} there is of another image: somebody moved it here"))
    if all_of_it:
        hint = "a statement that was changed after it was signed looks the same"
        return _Found(
            wrong=InvalidFile(f"unsigned-{what}", f"the {what} there is not signed by the key {(facts.key or '')[:16]}…", hint=hint)
        )
    spoiled = f"; {facts.unreadable[0][0]} cannot be read: {facts.unreadable[0][1]}" if facts.unreadable else ""
    return _Found(
        wrong=InvalidFile(f"missing-{what}", f"there is no {what}{spoiled}", hint="it was never attached, or somebody removed it")
    )


def _provenance(facts: Facts, found: _Found, asked: Required) -> Row:
    why = "it says from which commit, data and run the image was made, and by whom"
    if found.wrong is not None:
        return _refusal("provenance", why, found.wrong)
    sources = sorted((_Told.of(claim.statement.predicate) for claim in found.claims), key=lambda one: one.finished or "", reverse=True)
    for one in sources:
        if error := _contradiction(facts, one) or _unexpected(one, asked):
            return _refusal("provenance", why, error)
    one = sources[0]
    tag = f" for {_plain(one.tag)}" if one.tag else ""
    text = f"commit {_plain(one.commit or '?')[:12]} of {_plain(one.repository or '?')}, run {_plain(one.run or '?')}{tag}; by {_plain(one.builder or '?')}"
    return _proven(facts, "provenance", text, why)


@dataclass(frozen=True)
class _Told:
    """What a provenance says, as far as it is text."""

    commit: str | None
    repository: str | None
    run: str | None
    tag: str | None
    builder: str | None
    model: str | None
    sbom: str | None
    finished: str | None

    @classmethod
    def of(cls, predicate: Mapping[str, Any]) -> _Told:
        outer = _dig(predicate, "buildDefinition", "externalParameters")
        materials = _list(_dig(predicate, "buildDefinition", "resolvedDependencies"))
        model = next((_digest(one) for one in materials if one.get("name") == "model"), None)
        made = _list(_dig(predicate, "runDetails", "byproducts"))
        sbom = next((_digest(one) for one in made if one.get("name") == "sbom"), None)
        told = {name: _text(outer, name) for name in ("commit", "repository", "run", "tag")}
        builder, finished = (
            _text(_dig(predicate, "runDetails", "builder"), "id"),
            _text(_dig(predicate, "runDetails", "metadata"), "finishedOn"),
        )
        return cls(**told, builder=builder, model=model, sbom=sbom, finished=finished)


def _contradiction(facts: Facts, one: _Told) -> InvalidFile | None:
    """Where the provenance and the image itself say different things."""
    for what, theirs, key in (("model", one.model, MODEL), ("commit", one.commit, REVISION), ("run", one.run, RUN)):
        ours = facts.annotations.get(key)
        if ours is not None and theirs != ours:
            said = f"the image names the {what} {_plain(ours)[:24]}, its provenance {_plain(theirs or 'none')[:24]}"
            return InvalidFile("claims-differ", said, hint="do not run it; find out who pushed it")
    return None


def _unexpected(one: _Told, asked: Required) -> InvalidFile | None:
    if asked.commit and not (one.commit or "").startswith(asked.commit):
        return InvalidFile(
            "unexpected-commit", f"it was made from {_plain(one.commit or 'no commit')[:12]}, and {asked.commit[:12]} is required"
        )
    repository = (one.repository or "").removesuffix(".git").rstrip("/")
    if asked.repository and not f"/{repository}".endswith(f"/{asked.repository.strip('/')}"):
        return InvalidFile(
            "unexpected-repository", f"it was made from {_plain(repository or 'nowhere')}, and {_plain(asked.repository)} is required"
        )
    return None


def _verdict(facts: Facts, found: _Found, asked: Required) -> Row:
    why = "only a model that its gate let through, or a named person, is to be released"
    if found.wrong is not None:
        return _refusal("verdict", why, found.wrong)
    for claim in found.claims:
        told = claim.statement.predicate
        decision = _text(told, "decision") or "nothing"
        if decision not in FINE:
            hint = "do not run it: `mlops publish` refuses such a model"
            return _refusal("verdict", why, InvalidFile("verdict-failed", f"the gate says {_plain(decision)}: {_said(told)}", hint=hint))
        if asked.passed and decision != "passed":
            error = InvalidFile("verdict-not-passed", f"the gate did not pass by itself but was {_plain(_outcome(told))}")
            return _refusal("verdict", why, error)
        model = _text(_dig(told, "model"), "digest")
        if model != facts.annotations.get(MODEL):
            error = InvalidFile("foreign-verdict", f"the verdict is on another model, {_plain(model or 'unnamed')[:19]}…")
            return _refusal("verdict", why, error)
    told = found.predicate
    text = f"{_outcome(told)}: {_said(told)}"
    row = _proven(facts, "verdict", text, why)
    return Row(row.what, "said", row.text, row.why) if row.mark == "ok" and _text(told, "decision") != "passed" else row


def _outcome(told: Mapping[str, Any]) -> str:
    """The decision in words."""
    decision = _text(told, "decision") or ""
    override = _dig(told, "override")
    if decision == "overridden":
        return f"overridden by {_plain(_text(override, 'by') or 'nobody')} ({_plain(_text(override, 'reason') or 'no reason')})"
    count = len(told["undecided"]) if isinstance(told.get("undecided"), list) else 0
    if decision == "undecided":
        return f"let through with {_count(count, 'check')} undecided"
    return {"accepted": "accepted by a yes in the repository", "ungated": "not gated"}.get(decision, decision)


def _said(told: Mapping[str, Any]) -> str:
    return _plain(_text(told, "sentence") or "no sentence is recorded")


def _bill(facts: Facts, provenance: _Found) -> Row:
    why = "it lists what is inside, for scanners and licences"
    named = {one.sbom for one in (_Told.of(claim.statement.predicate) for claim in provenance.claims) if one.sbom}
    fitting = [bill for bill in facts.bills if bill.about == facts.digest]
    if not facts.bills:
        hint = "it was never attached, or somebody removed it"
        if named:
            return _refusal(
                "materials", why, InvalidFile("missing-sbom", "the bill of materials that the provenance names is not there", hint=hint)
            )
        return Row("materials", "said", "there is no bill of materials, and none is named", why)
    if not fitting:
        return _refusal("materials", why, InvalidFile("foreign-sbom", "the bill of materials there is of another image"))
    vouched = [bill for bill in fitting if bill.digest in named]
    if named and not vouched:
        hint = "do not rely on it; the provenance vouches for another one"
        return _refusal(
            "materials", why, InvalidFile("sbom-differs", "the bill of materials is not the one that the provenance names", hint=hint)
        )
    bill: Bill = (vouched or fitting)[0]
    text = f"{_count(bill.parts, 'component')} (CycloneDX)"
    return _proven(facts, "materials", text, why) if vouched else Row("materials", "unproven", f"{text}; nothing vouches for it", why)


def _rest(facts: Facts) -> Iterator[Row]:
    """What else is attached, which decides nothing."""
    keyless = [claim for claim in facts.claims if claim.signed == "keyless"]
    if keyless:
        text = f"{_count(len(keyless), 'statement')} signed by a certificate (GitHub's attestations, keyless cosign): not checked here"
        yield Row(
            "certificates",
            "unproven",
            text,
            "`gh attestation verify oci://IMAGE --repo OWNER/REPO` checks those, against their transparency log",
        )
    others = [claim for claim in facts.claims if claim.signed in ("other", "unsigned") and facts.key is not None]
    if others:
        text = f"{_count(len(others), 'statement')} that this key did not sign: not believed"
        yield Row("others", "unproven", text, "whoever may write to the registry may attach something")
    if facts.unreadable:
        place, reason = facts.unreadable[0]
        more = f" (and {len(facts.unreadable) - 1} more)" if len(facts.unreadable) > 1 else ""
        yield Row("unreadable", "unproven", f"{place}: {reason}{more}", "what cannot be read counts as not there")


def _proven(facts: Facts, what: str, text: str, why: str) -> Row:
    """A row of what somebody claims: right where the key signed it, else only shown."""
    return Row(what, "ok" if facts.key is not None else "unproven", text, why)


def _dig(data: Any, *path: str) -> Any:
    for key in path:
        data = data.get(key) if isinstance(data, Mapping) else None
    return data


def _text(data: Any, key: str) -> str | None:
    value = data.get(key) if isinstance(data, Mapping) else None
    return value if isinstance(value, str) else None


def _list(data: Any) -> list[Mapping[str, Any]]:
    return [one for one in data[:1000] if isinstance(one, Mapping)] if isinstance(data, list) else []


def _digest(one: Mapping[str, Any]) -> str | None:
    value = _text(_dig(one, "digest"), "sha256")
    return f"sha256:{value}" if value else None


def _plain(text: str) -> str:
    """One short line; who prints it escapes what is left."""
    return " ".join(text[:400].split())[:200]


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
