"""The text of the one comment: sections put in, found again, kept newest, and cut to what a comment may hold. Pure.

The comment is Markdown with HTML comments that only we read. A section's first line is its verdict, with the section's
marker at the end of that line, so that the mail sent for a new comment starts with the verdict:

    ❌ spam-filter: accuracy −3.1 pp … <!-- mlops-actions:1 section 5f0c… run=812.1 commit=a1b2… -->

    | metric | …
    <!-- mlops-actions:1 block -->
    | slice | …
    <!-- mlops-actions:1 end 5f0c… -->
    <!-- mlops-actions:1 comment -->

The body of the issue about what fails on main is the same text. What passed again is taken out of it, and a marker
(`passed 5f0c… run=813.1`) stays, so that an older run's failure does not come back. A comment that was written anew names
those that it stands for (`comment renews=1001`): should nobody have come to delete them, they are not taken for the one.

A section is named by a digest of its key, and whatever looks like one of our markers inside a text is broken up, so no
name, branch or example can open, close or replace a section.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from mlops_toolkit.forge.base import Section

# GitHub refuses a comment of more than 65,536 characters. It has counted code points, UTF-16 units and bytes (262,144) at
# different times and places; UTF-16 units are at least as many as code points, and 65,000 of them are at most 195,000 bytes.
LIMIT = 65_000
VERDICT_LIMIT = 1_000

COMMENT = "<!-- mlops-actions:1 comment -->"
LAST = re.compile(r"<!-- mlops-actions:\d+ comment(?: renews=(?P<renews>\d{1,20}(?:,\d{1,20})*))? -->")
BLOCK = "<!-- mlops-actions:1 block -->"
BEGIN = re.compile(
    r"^(?P<verdict>.*) <!-- mlops-actions:\d+ section (?P<digest>[0-9a-f]{16}) run=(?P<run>\d{1,20})\.(?P<attempt>\d{1,9})"
    r"(?: commit=(?P<commit>[0-9a-f]{4,64}))? -->$"
)
OMITTED = re.compile(r"^<!-- mlops-actions:\d+ omitted (?P<count>\d{1,9})(?: (?P<where>[!-~]+))? -->$")
PASSED = re.compile(
    r"^<!-- mlops-actions:\d+ passed (?P<digest>[0-9a-f]{16}) run=(?P<run>\d{1,20})\.(?P<attempt>\d{1,9}) -->\s*$", re.MULTILINE
)
PASSED_KEPT = 200
END = re.compile(r"^<!-- mlops-actions:\d+ end (?P<digest>[0-9a-f]{16}) -->$")
FORGED = re.compile(r"<!(?=-{0,3}\s*/?\s*mlops-actions)", re.IGNORECASE)
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")

# Worst first; a mark that is not here (❌, an error) comes before them all.
RANKS = {"⚠": 1, "➖": 2, "ℹ": 3, "✅": 4}


def rank(verdict: str) -> int:
    """How good a verdict line is by its mark; greater is better."""
    return RANKS.get(verdict[:1], 0)


@dataclass(frozen=True)
class Part:
    """A section as it stands in a comment. omitted: blocks that were cut off its end; where: the page that has all of it."""

    digest: str
    run: int
    attempt: int
    commit: str | None
    verdict: str
    blocks: tuple[str, ...]
    omitted: int = 0
    where: str | None = None

    @property
    def age(self) -> tuple[int, int]:
        """Newer is greater."""
        return self.run, self.attempt


def digest(key: str) -> str:
    """The name of a section in the comment: 16 hex digits."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def length(text: str) -> int:
    """Characters as the strictest server counts them: UTF-16 units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _clean(text: str) -> str:
    text = CONTROL.sub("�", text.replace("\r\n", "\n").replace("\r", "\n"))
    return FORGED.sub("&lt;!", text).strip("\n")


def part(section: Section, where: str | None = None) -> Part:
    """A section made fit to stand in a comment. where: the address of the page that shows all of it."""
    verdict = " ".join(_clean(section.verdict_line).split()) or "(no verdict)"
    if length(verdict) > VERDICT_LIMIT:
        verdict = verdict[: VERDICT_LIMIT // 2] + " …"
    return Part(
        digest=digest(section.key),
        run=max(section.run, 0),
        attempt=max(section.attempt, 0),
        commit=section.commit if section.commit and re.fullmatch(r"[0-9a-f]{4,64}", section.commit) else None,
        verdict=verdict,
        blocks=tuple(block for block in map(_clean, section.body) if block),
        where=where if where and re.fullmatch(r"[!-~]+", where) and "--" not in where and ">" not in where else None,
    )


def ours(body: str) -> bool:
    """Whether a comment (of our own author) is the sticky one: our marker alone on its last line, a section on its first."""
    lines = body.replace("\r\n", "\n").strip().split("\n")
    return LAST.fullmatch(lines[-1].strip()) is not None and BEGIN.match(lines[0].rstrip()) is not None


def renews(body: str) -> tuple[int, ...]:
    """The numbers of the comments that this one was written to stand for."""
    found = LAST.fullmatch(body.strip().rpartition("\n")[2].strip())
    return tuple(map(int, found["renews"].split(","))) if found and found["renews"] else ()


def parse(body: str) -> tuple[Part, ...]:
    """The sections of a comment; what stands outside of them is not ours and is dropped."""
    parts: list[Part] = []
    current: Part | None = None
    block: list[str] = []

    def close_block() -> None:
        nonlocal current
        text = "\n".join(block).strip("\n")
        block.clear()
        if current and text and not current.omitted:  # behind the `omitted` marker stands only our own note
            current = replace(current, blocks=(*current.blocks, text))

    for line in body.replace("\r\n", "\n").split("\n"):
        bare = line.rstrip()
        if found := BEGIN.match(bare):
            block.clear()
            current = Part(
                found["digest"], int(found["run"]), int(found["attempt"]), found["commit"], verdict=found["verdict"].strip(), blocks=()
            )
        elif current is None:
            continue
        elif bare == BLOCK:
            close_block()
        elif found := OMITTED.match(bare):
            close_block()
            current = replace(current, omitted=int(found["count"]), where=found["where"])
        elif found := END.match(bare):
            close_block()
            if found["digest"] == current.digest:
                parts.append(current)
            current = None
        else:
            block.append(line)
    return tuple(parts)


def newest(parts: Sequence[Part]) -> tuple[Part, ...]:
    """One part a section: the newest, and of equally new ones the first."""
    kept: dict[str, Part] = {}
    for each in parts:
        if each.digest not in kept or kept[each.digest].age < each.age:
            kept[each.digest] = each
    return tuple(kept.values())


def standing(bodies: Sequence[str], section: Section) -> Part | None:
    """The part that stands where `section` would go, if there is one."""
    mine = digest(section.key)
    return next((p for p in newest([p for body in bodies for p in parse(body)]) if p.digest == mine), None)


def superseded(bodies: Sequence[str], section: Section) -> tuple[int, int] | None:
    """The (run, attempt) of a newer run that has reported where `section` would go: its part stands, or it has passed."""
    mine, there = part(section), standing(bodies, section)
    newer = max(there.age if there else mine.age, _passed(bodies).get(mine.digest, mine.age))
    return newer if newer > mine.age else None


def worse(bodies: Sequence[str], section: Section) -> bool:
    """Whether the verdict is worse than the one that stands."""
    there = standing(bodies, section)
    return there is not None and rank(part(section).verdict) < rank(there.verdict)


def merge(bodies: Sequence[str], *sections: Section, where: str | None = None, limit: int = LIMIT, renewed: Sequence[int] = ()) -> str:
    """The comment's text with `sections` in it, each of a key of its own.

    bodies   the texts of our comments as they stand, the one to be written first ([] or one; several where two jobs raced)
    where    the address of the page that has all of the sections, for the line that says what was left out
    renewed  the numbers of the comments that this text is written to stand for, as a new one; else those that any of `bodies` stands for

    A section of an older (run, attempt) never replaces a newer one; the same (run, attempt) does.
    """
    mine = {one.digest: one for one in (part(section, where) for section in sections)}
    others = newest([p for body in bodies for p in parse(body)])
    kept = [p for p in others if p.digest not in mine or p.age > mine[p.digest].age]
    kept += [one for one in mine.values() if not any(p.digest == one.digest for p in kept)]
    passed = {key: age for key, age in _passed(bodies).items() if key not in mine}
    # A comment that goes leaves what it stood for to the one that stays: should another writer find only some of them deleted, it
    # takes the same one to stay.
    return cap(kept, limit=limit, foot=_foot(passed, renewed or sorted({number for body in bodies for number in renews(body)})))


def without(bodies: Sequence[str], section: Section, *, limit: int = LIMIT) -> str:
    """The text without `section`, which passed; where nothing else stands in it, a last text that has no sections."""
    mine = part(section)
    kept = [p for p in newest([p for body in bodies for p in parse(body)]) if p.digest != mine.digest or p.age > mine.age]
    foot = _foot(_passed(bodies) | {mine.digest: mine.age})
    if kept:
        return cap(kept, limit=limit, foot=foot)
    return f"{mine.verdict}\n\nNothing that was told here fails any more. What fails next is told in a new issue.\n\n{foot}\n"


def _passed(bodies: Sequence[str]) -> dict[str, tuple[int, int]]:
    """What has been taken out because it passed: digest -> (run, attempt)."""
    ages: dict[str, tuple[int, int]] = {}
    for found in (found for body in bodies for found in PASSED.finditer(body.replace("\r\n", "\n"))):
        age = int(found["run"]), int(found["attempt"])
        ages[found["digest"]] = max(age, ages.get(found["digest"], age))
    return ages


def _foot(passed: Mapping[str, tuple[int, int]], renewed: Sequence[int] = ()) -> str:
    """The markers at the end of a text."""
    latest = sorted(passed.items(), key=lambda item: (item[1], item[0]))[-PASSED_KEPT:]
    marks = [f"<!-- mlops-actions:1 passed {key} run={run}.{attempt} -->" for key, (run, attempt) in latest]
    last = f"<!-- mlops-actions:1 comment renews={','.join(map(str, renewed))} -->" if renewed else COMMENT
    return "\n".join([*marks, last])


def render(parts: Sequence[Part], dropped: int = 0, foot: str = COMMENT) -> str:
    """The parts as one comment, worst first; foot: the markers at its end."""
    ordered = sorted(parts, key=lambda p: (rank(p.verdict), p.digest))
    more = [
        f"_{dropped} more models are left out here: GitHub allows 65,536 characters in a comment. Each one's job summary has its report._"
    ]
    return "\n\n---\n\n".join([*map(_text, ordered), *(more if dropped else [])]) + f"\n{foot}\n"


def cap(parts: Sequence[Part], *, limit: int = LIMIT, foot: str = COMMENT) -> str:
    """The comment in fewer than `limit` UTF-16 units: blocks go from the end of the longest section, whole sections only if verdicts alone are too many."""
    kept = sorted(parts, key=lambda p: (rank(p.verdict), p.digest))
    lengths = {p.digest: length(_text(p)) for p in kept}
    dropped = 0
    between = len("\n\n---\n\n")
    spare = len(foot) + 2 + 200  # the line about dropped sections
    while kept and sum(lengths.values()) + between * len(kept) + spare > limit:
        longest = max((p for p in kept if p.blocks), key=lambda p: lengths[p.digest], default=None)
        if longest is None:
            dropped += 1
            del lengths[kept.pop().digest]
            continue
        shorter = replace(longest, blocks=longest.blocks[:-1], omitted=longest.omitted + 1)
        kept[kept.index(longest)] = shorter
        lengths[shorter.digest] = length(_text(shorter))
    return render(kept, dropped, foot)


def _text(p: Part) -> str:
    commit = f" commit={p.commit}" if p.commit else ""
    head = f"{p.verdict} <!-- mlops-actions:1 section {p.digest} run={p.run}.{p.attempt}{commit} -->"
    blocks = list(p.blocks)
    text = head + "\n\n" + f"\n\n{BLOCK}\n\n".join(blocks) if blocks else head
    if p.omitted:
        summary = f"the [job's summary]({p.where})" if p.where else "the job's summary"
        text += (
            f"\n\n<!-- mlops-actions:1 omitted {p.omitted}{' ' + p.where if p.where else ''} -->\n\n"
            f"_{p.omitted} more {'part is' if p.omitted == 1 else 'parts are'} left out here: GitHub allows 65,536 characters in a comment. "
            f"Everything is in {summary} and in report.html._"
        )
    return f"{text}\n\n<!-- mlops-actions:1 end {p.digest} -->"
