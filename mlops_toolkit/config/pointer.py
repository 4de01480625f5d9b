"""The committed pointer to a model that was trained elsewhere: the file that `model:` in mlops.yaml names and `mlops record` writes.

It is YAML with its keys in one order, so that a pull request shows what changed; who recorded it is not in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal

from mlops_toolkit.config.quantities import doc
from mlops_toolkit.config.read import Loaded
from mlops_toolkit.config.shape import Reader, key_of, leaves
from mlops_toolkit.config.yaml_text import MOST_BYTES, Scalar, compose, lines, scalar, shown
from mlops_toolkit.errors import ConfigErrors, EnvironmentFailure, Problem, UsageError

SCHEMA = 1
NAME = r"^[A-Za-z0-9_][A-Za-z0-9_.+-]{0,99}$"  # fit for any disk and shell
DIGEST = r"^sha256:[0-9a-f]{64}$"
SCHEME = re.compile(r"^([a-z][a-z0-9+.-]*):")
VENDOR = "vendor:"
SECRET = re.compile(
    r"://[^/\s@]*:[^/\s@]+@|[?&;](?:[\w.-]*(?:sig|signature|token|key|credential|secret|password|auth)[\w.-]*)=", re.IGNORECASE
)
WRITTEN = "# Written by `mlops record`: to change it, record again.\n"
MOST = 100  # parameters and metrics that a reader of the diff is shown
LONGEST = 200
LONGEST_URI = 2_000


@dataclass(frozen=True)
class Pointer:
    """A model that was trained elsewhere: which one it is, where it can be had, and what was recorded of it."""

    uri: str = field(
        metadata=doc(
            "Where the model is: a path in this repository, `file:`, `s3://`, `gs://`, `az://`, `oci://` or `https://`, or `vendor:NAME@VERSION`.",
            example="s3://bucket/models/spam.onnx",
        )
    )
    run: str = field(
        metadata=doc(
            "The run that recorded it, with its numbers.",
            example="20261124-092057-3f9a1c",
            pattern=r"^[0-9]{8}-[0-9]{6}-[0-9a-f]{6}$",
            like="a run's id, as 20261124-092057-3f9a1c",
        )
    )
    schema: int = field(default=SCHEMA, metadata=doc("Version of this file.", least=1, most=SCHEMA))
    digest: str | None = field(
        default=None, metadata=doc("SHA-256 of the model; none where a vendor keeps it.", pattern=DIGEST, like="sha256: and 64 hex digits")
    )
    size: int | None = field(default=None, metadata=doc("Its bytes.", least=0, most=10**15))
    kind: Literal["file", "folder"] | None = field(default=None, metadata=doc("Whether it is one file or a folder."))
    name: str | None = field(
        default=None,
        metadata=doc(
            "What its file or folder is called where it is used.",
            example="spam.onnx",
            pattern=NAME,
            like="a plain file name",
        ),
    )
    tried: int = field(default=1, metadata=doc("How many candidates it was chosen from.", example="50", least=1, most=1_000_000))
    recorded: str | None = field(
        default=None,
        metadata=doc(
            "When it was recorded (UTC).",
            example='"2026-11-24T09:20:57Z"',
            pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$",
            like="a time, as 2026-11-24T09:20:57Z",
        ),
    )
    prompts: Mapping[str, str] = field(
        default_factory=dict,
        metadata=doc("Files that are part of the model, like a prompt, with the SHA-256 each had when it was recorded."),
    )
    params: Mapping[str, str] = field(default_factory=dict, metadata=doc("Parameters it was trained with, to be read in the diff."))
    metrics: Mapping[str, float] = field(default_factory=dict, metadata=doc("Metrics as recorded, to be read in the diff."))

    @property
    def vendor(self) -> bool:
        """Whether there are no bytes to hash: a service answers."""
        return self.uri.startswith(VENDOR)

    @property
    def here(self) -> bool:
        """Whether the model lies in this repository."""
        return SCHEME.match(self.uri) is None


def place_of(loaded: Loaded) -> Path | None:
    """Where the pointer of a configuration stands; None where it has none."""
    return None if loaded.config.model is None else loaded.folder / loaded.config.model


def read(loaded: Loaded, root: Path) -> Pointer:
    """The pointer that `model:` names. root: the repository's top, which it may not leave.

    UsageErrors `no-pointer`, `invalid-yaml`, `newer-pointer`, `outside-repository`; ConfigErrors with all that is wrong in it;
    EnvironmentFailure `unreadable-file`.
    """
    path = place_of(loaded)
    if path is None:
        raise no_key(loaded)
    where = shown_path(path, root)
    if not path.resolve().is_relative_to(root.resolve()):
        raise UsageError("outside-repository", f"{where} leads out of the repository", where=loaded.at("model"))
    if not path.is_file():
        hint = f"write it: mlops record URI --predictions FILE{'' if loaded.where == 'mlops.yaml' else f' --config {loaded.where}'}"
        raise UsageError(
            "no-pointer", f"there is no {where}, the pointer to the model", where=loaded.at("model"), hint=f"{hint}\nand commit it"
        )
    try:
        with path.open("rb") as source:
            raw = source.read(MOST_BYTES + 1)
    except OSError as error:
        raise EnvironmentFailure("unreadable-file", f"cannot be read: {error.strerror}", where=where) from error
    depth = (
        len(loaded.folder.resolve().relative_to(root.resolve()).parts) if loaded.folder.resolve().is_relative_to(root.resolve()) else None
    )
    return loads(raw, where=where, depth=depth)


def shown_path(path: Path, root: Path) -> str:
    """A path as messages call it: by its place in the repository."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name


def no_key(loaded: Loaded) -> UsageError:
    """The error of a configuration that names no pointer."""
    lines = f"model: models/{loaded.config.name}.lock   # instead of `train:`; written by `mlops record`, to be committed"
    return UsageError(
        "no-pointer",
        "nothing says where the pointer to the model stands: there is no `model:`",
        where=loaded.where,
        hint=f"add to {loaded.where}\n{lines}",
    )


def loads(text: bytes | str, *, where: str, depth: int | None = 0) -> Pointer:
    """Read a pointer's text (YAML or JSON). depth: how many folders below the repository's top its mlops.yaml stands; None: not known."""
    document = compose(text, where=where)
    version = document.entries.get("schema", (0, None))[1]
    if isinstance(version, Scalar) and version.text.isdecimal() and int(version.text[:9]) > SCHEMA:
        message = f"written by a newer version (schema {version.text[:9]}; this one reads up to {SCHEMA})"
        raise UsageError("newer-pointer", message, where=where, hint="update mlops-actions")
    reader = Reader(where, depth)
    pointer: Pointer = reader.record(Pointer, document, "")
    at, wrong = dict(lines(document)), {key for key, _ in reader.problems}
    problems = [problem for _, problem in reader.problems]
    for key, problem in _contradictions(pointer, depth):
        if key not in wrong:
            problems.append(Problem(problem.name, problem.message, f"{where}:{at[key]}" if key in at else where, problem.hint))
    if problems:
        raise ConfigErrors(problems)
    return pointer


def _contradictions(pointer: Pointer, depth: int | None) -> Iterator[tuple[str, Problem]]:
    again = "`mlops record` writes it anew"
    if why := wrong_uri(pointer.uri, depth):
        yield "uri", Problem(why[0], f"uri {why[1]}", hint=why[2])
    missing = [key for key in ("digest", "size", "kind") if getattr(pointer, key) is None]
    if pointer.vendor and len(missing) < 3:
        yield "digest", Problem("wrong-value", "a vendor's model has no digest: nobody here has its bytes", hint=again)
    if not pointer.vendor and missing:
        yield "digest", Problem("missing-key", f"the pointer has no {' and no '.join(missing)}", hint=again)
    for path, digest in pointer.prompts.items():
        if not re.fullmatch(DIGEST, digest):
            yield f"prompts.{path}", Problem("wrong-value", f"prompts.{path} is {shown(digest)}: not sha256: and 64 hex digits", hint=again)
        if path.startswith(("/", "~")) or leaves(path, depth):
            yield f"prompts.{path}", Problem("outside-repository", f"the prompt {shown(path)} is not in the repository", hint=again)


def wrong_uri(uri: str, depth: int | None) -> tuple[str, str, str] | None:
    """Why a text is no address of a model, as (name, clause, way out); None where it is one."""
    scheme = SCHEME.match(uri)
    known = "a path, s3://…, gs://…, az://…, oci://…, https://… or vendor:NAME@VERSION"
    if SECRET.search(uri):
        hint = "give credentials through the environment, and change this one: others have seen it"
        return "secret-in-address", "holds a password or a signature in its address", hint
    if not uri.isprintable() or len(uri) > LONGEST_URI:
        return "unknown-address", f"is {shown(uri)}: not one line of at most {LONGEST_URI:,} printable characters", f"write {known}"
    if scheme is None:
        if uri.startswith(("/", "~")) or leaves(uri, depth):
            return "outside-repository", f"leaves the repository: {shown(uri)}", "`mlops record PATH` stores a model that lies elsewhere"
        return None
    if scheme[1] == "vendor":
        well = re.fullmatch(r"vendor:[^\s/][^\s]*", uri) is not None
    elif scheme[1] == "file":
        well = re.fullmatch(r"file:(/.*/)?sha256/[0-9a-f]{2}/[0-9a-f]{64}", uri) is not None
    else:
        well = scheme[1] in ("s3", "gs", "az", "oci", "https", "http", "memory") and re.fullmatch(r"\w+://[^/\s?#][^\s]*", uri) is not None
    return None if well else ("unknown-address", f"is {shown(uri)}: no address of a model", f"write {known}")


def name_of(text: str) -> str:
    """A file name that a pointer may hold, as near to a model's own as may be."""
    return re.sub(r"[^A-Za-z0-9_.+-]+", "-", text).lstrip(".-+")[-100:].lstrip(".-+") or "model"


def dumps(pointer: Pointer, *, as_json: bool = False) -> str:
    """The pointer's text: one key a line, in one order, so that a diff is read at a glance; `loads` gives the same back."""
    import json

    made: dict[str, object] = {"schema": pointer.schema}
    for one in fields(pointer):
        value = getattr(pointer, one.name)
        if not (value is None or value == {} or (one.name == "tried" and value == 1)):
            made.setdefault(key_of(one), dict(value) if isinstance(value, Mapping) else value)
    if as_json:
        return json.dumps(made, indent=2, ensure_ascii=False) + "\n"
    lines = []
    for key, value in made.items():
        inner = value.items() if isinstance(value, dict) else ()
        lines += [f"{key}:", *(f"  {scalar(name)}: {_value(item)}" for name, item in inner)] if inner else [f"{key}: {_value(value)}"]
    return WRITTEN + "\n".join(lines) + "\n"


def _value(value: object) -> str:
    # Readers of YAML 1.1 take 1e-05 for text, 1.0e-05 for the number.
    return scalar(value) if isinstance(value, str) else re.sub(r"^(-?\d+)e", r"\1.0e", repr(value))


def for_reading(params: Mapping[str, object], metrics: Mapping[str, float | None]) -> tuple[dict[str, str], dict[str, float]]:
    """Parameters and metrics as a pointer shows them: the first hundred, on one line each; the run's record has them whole."""
    texts = {name: _line(value) for name, value in params.items() if _is_name(name)}
    kept = {name: text for name, text in texts.items() if not SECRET.search(text)}
    numbers = {name: float(f"{value:.6g}") for name, value in metrics.items() if value is not None and _is_name(name)}
    return dict(list(kept.items())[:MOST]), dict(list(numbers.items())[:MOST])


def _is_name(text: str) -> bool:
    return bool(text.strip()) and len(text) <= LONGEST and text.isprintable()


def _line(value: object) -> str:
    import json

    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    if not text.strip() or not text.isprintable():
        text = json.dumps(text)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
