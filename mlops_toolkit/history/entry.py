"""Entries as text: a run's line in index.jsonl, and the same Entry made from a run record.

A line is one JSON object with one-letter keys in fixed order, `{"i":"20261124-093011-a1b2c3","k":"mlops.yaml|spam|",…}`: absent means
false or unknown. It is built to be small after git's compression, because everyone who compares reads all of them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mlops_toolkit.history.base import Entry, key_of, short_digest
from mlops_toolkit.records import codec
from mlops_toolkit.records import run as record
from mlops_toolkit.records.run import RUN_ID, Run

LOOKED = 10  # hex digits: enough within one pull request
KEPT = 8  # metrics a line keeps: more would make every reader pay for them
SENTENCES = 20  # latest runs whose gate's sentence the index keeps, for README.md
SCHEMA = 1
UNREAD = frozenset({"slices", "environment", "resources", "commands", "params", "artifacts"})

# letter in the line -> field of Entry; `v` (schema, absent for 1) and `a` (started, absent where the id tells it) stand beside them
LETTERS = {
    "i": "id",
    "k": "key",
    "c": "commit",
    "t": "tree",
    "s": "status",
    "a": "started",
    "b": "branch",
    "e": "event",
    "p": "pull_request",
    "f": "fork",
    "d": "dirty",
    "r": "ci_run",
    "g": "gate",
    "y": "accepted",
    "T": "train",
    "E": "evaluate",
    "w": "withdrawn",
    "R": "released",
    "m": "metrics",
    "S": "seeds",
    "l": "looked",
    "n": "sentence",
}
TEXT = frozenset(
    {"id", "key", "commit", "tree", "status", "started", "branch", "event", "ci_run", "gate", "train", "evaluate", "looked", "sentence"}
)
FLAGS = frozenset({"fork", "dirty", "accepted", "withdrawn", "released"})
GATES = (None, "passed", "failed", "undecided", "none")


def of_run(run: Run, *, where: str = "here") -> Entry:
    """The entry of a run record."""
    numbers = {name: metric.value for name, metric in run.metrics.items()}
    numbers |= {name: sum(m.values) / len(m.values) for name, m in run.measures.items() if m.values}
    return Entry(
        id=run.id,
        key=key_of(run.config, run.model, run.matrix),
        commit=run.commit,
        tree=run.tree,
        status=run.status,
        started=run.started or _started(run.id),
        branch=run.branch,
        event=run.event,
        pull_request=run.pull_request,
        fork=run.fork,
        dirty=run.dirty,
        ci_run=run.ci.run,
        gate=run.gate.gate if run.gate else None,
        accepted=bool(run.gate and run.gate.accepted),
        train=short_digest(run.fingerprints.train),
        evaluate=short_digest(run.fingerprints.evaluate),
        withdrawn=run.withdrawn is not None,
        released=run.released is not None,
        metrics={name: float(f"{value:.5g}") for name, value in [(n, v) for n, v in numbers.items() if v is not None][:KEPT]},
        seeds=len(run.seeds) if len(run.seeds) > 1 else None,
        looked=looked(run),
        where=where,  # type: ignore[arg-type]
        sentence=run.gate.sentence[:300] if run.gate else "",
    )


def looked(run: Run) -> str | None:
    """What tells two looks apart: the examples and labels of all its suites, and the model (the models of all seeds); None without examples.

    A prompt is part of its model. One model that answers otherwise when it is asked again is another throw of the dice, and a look of its own.
    """
    data = [f"{name} {one.data.digest}" for name, one in sorted(run.evaluations.items()) if one.data is not None]
    if not data:
        return None
    models = [one.model.digest for one in run.seeds if one.model] or [run.trained.digest if run.trained else ""]
    if models == [""]:  # its code, or a vendor's address, is the model
        models = [run.elsewhere.uri if run.elsewhere else run.fingerprints.evaluate or run.tree or run.id]
    models += [f"{path} {digest}" for path, digest in sorted(run.elsewhere.prompts.items())] if run.elsewhere else []
    models += [f"{name} {one.value!r}" for name, one in sorted(run.metrics.items())]
    short = (hashlib.sha256("\n".join(part).encode("utf-8", "surrogateescape")).hexdigest()[:LOOKED] for part in (data, models))
    return ":".join(short)


def of_record(raw: bytes, *, where: str, kept: str = "here") -> Entry:
    """The entry of a record's text, read without the parts that no entry needs. InvalidFile as of the record itself."""
    data = codec.loads(raw, where=where)
    if isinstance(data, dict):
        raw = json.dumps({name: value for name, value in data.items() if name not in UNREAD}).encode()
    return of_run(record.loads(raw, where=where), where=kept)


def _started(run_id: str) -> str:
    return f"{run_id[:4]}-{run_id[4:6]}-{run_id[6:8]}T{run_id[9:11]}:{run_id[11:13]}:{run_id[13:15]}Z"


def to_line(entry: Entry, *, sentence: bool = True) -> bytes:
    """The line of an entry, without its end."""
    fields: dict[str, Any] = {}
    for letter, name in LETTERS.items():
        value = getattr(entry, name)
        if not value or (name == "started" and value == _started(entry.id)) or (name == "sentence" and not sentence):
            continue
        fields[letter] = 1 if value is True else dict(value) if name == "metrics" else value
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")


def from_line(line: bytes) -> Entry:
    """The entry of a line. ValueError says what is wrong with it."""
    text = line.decode()
    data = json.loads(text)
    if "\\ud" in text.lower():
        json.dumps(data, ensure_ascii=False).encode()  # half of a surrogate pair is no text that could be shown: ValueError
    data = data if isinstance(data, dict) else {}
    if data.get("v", SCHEMA) != SCHEMA:
        raise ValueError(f"of a newer version ({str(data['v'])[:20]})")
    fields = {name: data[letter] for letter, name in LETTERS.items() if letter in data}
    run_id = fields.get("id")
    if not isinstance(run_id, str) or not RUN_ID.fullmatch(run_id):
        raise ValueError("without a run id")
    fields.setdefault("started", _started(run_id))
    for name, value in fields.items():
        if name in TEXT and not isinstance(value, str):
            raise ValueError(f"with a {name} that is no text")
        if name in FLAGS:
            fields[name] = value in (1, True)
    number = fields.get("pull_request")
    if (number is not None and (not isinstance(number, int) or isinstance(number, bool))) or fields.get("gate") not in GATES:
        raise ValueError("with a pull request or gate that is none")
    seeds = fields.get("seeds")
    if seeds is not None and (not isinstance(seeds, int) or isinstance(seeds, bool)):
        raise ValueError("with a number of seeds that is none")
    metrics = fields.get("metrics", {})
    if not isinstance(metrics, dict) or not all(type(v) in (int, float) and math.isfinite(v) for v in metrics.values()):
        raise ValueError("with metrics that are no numbers")
    for name in ("key", "status"):
        if name not in fields:
            raise ValueError(f"without {name}")
    return Entry(**{"commit": None, "tree": None, **fields, "metrics": {k: float(v) for k, v in metrics.items()}})


@dataclass(frozen=True)
class Index:
    """index.jsonl as a set of lines by id. `lines` holds each as it stands, also those this version cannot read (`strange`)."""

    lines: Mapping[str, bytes]
    entries: Mapping[str, Entry]
    strange: tuple[str, ...] = ()

    @classmethod
    def parse(cls, raw: bytes) -> Index:
        """Read every line; a broken one is kept as it is and noted, never a failure. The later of two lines of one id wins."""
        lines: dict[str, bytes] = {}
        entries: dict[str, Entry] = {}
        strange = []
        for number, line in enumerate(raw.split(b"\n"), 1):
            if not line.strip():
                continue
            try:
                entry = from_line(line)
            except (ValueError, RecursionError) as error:
                strange.append(f"index.jsonl line {number} is {str(error).splitlines()[0][:80]}: skipped")
                lines[_identity(line)] = line
                continue
            lines[entry.id] = line
            entries[entry.id] = entry
        return cls(lines, entries, tuple(strange))

    def with_entries(self, entries: Iterable[Entry]) -> Index:
        """These entries added, or put in place of their earlier versions."""
        lines, known = dict(self.lines), dict(self.entries)
        for entry in entries:
            known[entry.id] = dataclasses.replace(entry, where="recorded")
            lines[entry.id] = to_line(entry)
        return Index(lines, known, self.strange)

    def without(self, ids: Iterable[str]) -> Index:
        """The lines of these runs left out."""
        gone = set(ids)
        return Index(
            {i: line for i, line in self.lines.items() if i not in gone},
            {i: e for i, e in self.entries.items() if i not in gone},
            self.strange,
        )

    def dump(self) -> bytes:
        """The file: a line a run, sorted by id; sentences only of the latest runs. The same set gives the same bytes."""
        late = set(sorted(self.entries)[-SENTENCES:])
        lines = {
            i: to_line(self.entries[i], sentence=False) if i in self.entries and i not in late and self.entries[i].sentence else line
            for i, line in self.lines.items()
        }
        return b"".join(lines[i] + b"\n" for i in sorted(lines))


def _identity(line: bytes) -> str:
    """What a line we cannot read is kept by: its id where it has one, else the line itself."""
    try:
        run_id = json.loads(line).get("i")
    except (ValueError, AttributeError, RecursionError):
        run_id = None
    return run_id if isinstance(run_id, str) and RUN_ID.fullmatch(run_id) else "~" + line.decode("utf-8", "replace")
