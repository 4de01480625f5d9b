"""What the server may be told: one definition that its flags, its environment variables and its reference page are made from."""

from __future__ import annotations

import argparse
import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from mlops_toolkit.errors import ConfigErrors, Problem, UsageError

PREFIX = "MLOPS_SERVE_"
_UNITS = {"": 1.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "m": 60.0, "min": 60.0, "h": 3600.0}
_SIZES = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
_NUMBER = re.compile(r"\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*([A-Za-z]*)\s*")
_LINK = re.compile("_SERVICE_(HOST|PORT)|_PORT_")  # what Kubernetes puts into every container where a service is called mlops-serve
# `mlops serve` on a laptop differs: reached from there alone, ended at once, and read by a person.
LAPTOP = {"host": "127.0.0.1", "grace": "0s", "log": "text", "log_requests": "errors", "log_level": "warning"}
T = TypeVar("T")


def seconds(text: str) -> float:
    """`50ms`, `2s`, `1m`, `0.5` in seconds. ValueError."""
    return _quantity(text, _UNITS, "a length of time: 50ms, 2s, 1m")


def size(text: str) -> int:
    """`64MB`, `1GiB`, `1000` in bytes. ValueError."""
    return int(_quantity(text, _SIZES, "a size: 500kB, 64MB, 1GiB"))


def _quantity(text: str, units: Mapping[str, float], wanted: str) -> float:
    found = _NUMBER.fullmatch(text)
    if not found or found[2].lower() not in units:
        raise ValueError(f"not {wanted}")
    return float(found[1]) * units[found[2].lower()]


def whole(text: str) -> int:
    """A whole number, not below 0. ValueError."""
    if not re.fullmatch(r"\s*[0-9]{1,9}\s*", text):
        raise ValueError("not a whole number")
    return int(text)


def a_port(text: str) -> int:
    """A port, 0 where the system chooses (or, of gRPC, none). ValueError."""
    number = whole(text)
    if number > 65535:
        raise ValueError("not a port: they end at 65535")
    return number


def yes(text: str) -> bool:
    """`true`, `yes`, `1`, `on`; `false`, `no`, `0`, `off`. ValueError."""
    word = text.strip().lower()
    if word not in ("true", "yes", "1", "on", "false", "no", "0", "off"):
        raise ValueError("neither true nor false")
    return word in ("true", "yes", "1", "on")


def words(text: str) -> tuple[str, ...]:
    """Words between commas."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def one_of(*known: str) -> Callable[[str], str]:
    """One of these words. ValueError."""

    def read(text: str) -> str:
        if text not in known:
            raise ValueError(f"known: {', '.join(known)}")
        return text

    return read


def some_of(*known: str) -> Callable[[str], tuple[str, ...]]:
    """Some of these words, between commas. ValueError."""

    def read(text: str) -> tuple[str, ...]:
        found = words(text)
        wrong = [word for word in found if word not in known]
        if wrong:
            raise ValueError(f"known: {', '.join(known)}")
        return found

    return read


def setting(default: T, read: Callable[[str], T], meta: str, doc: str, *, shown: str | None = None, secret: bool = False) -> T:
    """A field: what its text is read by, what stands for its value in the help, and what it says.

    secret: never a flag (a command line is seen by everybody on the machine), only a variable.
    """
    said = str(default).lower() if shown is None else shown
    made: T = field(default=default, repr=not secret, metadata={"read": read, "meta": meta, "doc": doc, "shown": said, "secret": secret})
    return made


@dataclass(frozen=True)
class Settings:
    """How a server answers. Times are in seconds, sizes in bytes."""

    host: str = setting("0.0.0.0", str, "ADDRESS", "the address to listen on")  # noqa: S104  # inside a container it is reached from outside
    port: int = setting(8080, a_port, "PORT", "the port for HTTP")
    grpc_port: int = setting(0, a_port, "PORT", "the port for gRPC (extra: grpc); 0: none", shown="none")
    name: str = setting("", str, "NAME", "what a model is called that was given as its own folder", shown="the folder's name")
    versions: str = setting(
        "latest", one_of("latest", "all"), "latest|all", "of a model with several version folders, the latest alone or all"
    )
    poll: float = setting(5.0, seconds, "TIME", "how often to look for new and changed models; 0: never (SIGHUP looks, too)", shown="5s")
    repository: bool = setting(False, yes, "", "let clients load and unload models by the model repository API")

    max_batch: int = setting(64, whole, "ROWS", "the most rows that requests are joined to; 1: each request alone")
    latency_target: float = setting(0.05, seconds, "TIME", "batches stay so small that one is computed in this time", shown="50ms")
    max_wait: float = setting(1.0, seconds, "TIME", "a request that would wait longer for its turn is refused at once (429)", shown="1s")
    time_limit: float = setting(30.0, seconds, "TIME", "a request that has no answer after this time is given up (504)", shown="30s")
    threads: int = setting(
        0, whole, "N", "threads that one computation of ONNX Runtime uses", shown="the processors this container may use"
    )
    nan: str = setting(
        "signature",
        one_of("signature", "refuse", "allow"),
        "signature|refuse|allow",
        "NaN in inputs: as the model was saved (with an example that held some, or not), never, or always (infinity, too)",
    )

    max_body: int = setting(64 * 2**20, size, "SIZE", "the largest request", shown="64MiB")
    max_text: int = setting(
        16 * 2**20, size, "SIZE", "the largest JSON or CSV, which takes many times its size of memory; bytes may be larger", shown="16MiB"
    )
    max_bodies: int = setting(2**30, size, "SIZE", "the most that requests in work hold together; one more is refused (503)", shown="1GiB")
    max_connections: int = setting(1000, whole, "N", "the most connections at once; one more is refused (503)")
    max_per_client: int = setting(
        0, whole, "N", "the most requests in work of one address (429); leave it at 0 behind a proxy", shown="no limit"
    )
    header_timeout: float = setting(10.0, seconds, "TIME", "how long a request may take to say what it wants", shown="10s")
    min_rate: int = setting(
        1000, size, "SIZE", "how much a second a client must send or take, on average, after the header timeout", shown="1kB"
    )
    keep_alive: float = setting(75.0, seconds, "TIME", "how long a connection without a request stays open", shown="75s")

    grace: float = setting(
        5.0, seconds, "TIME", "after SIGTERM, how long new connections are still served while readiness says no", shown="5s"
    )
    drain: float = setting(25.0, seconds, "TIME", "how long after that what is being answered may take", shown="25s")

    token: str = setting("", str, "TOKEN", "a bearer token that clients must bring", shown="none", secret=True)
    token_file: str = setting(
        "", str, "FILE", "bearer tokens that clients must bring, one a line; read again when it changes", shown="none"
    )
    open: tuple[str, ...] = setting(
        ("health",),
        some_of("health", "metrics", "page"),
        "WORDS",
        "what is answered without a token: health, metrics, page",
        shown="health",
    )
    tls_cert: str = setting("", str, "FILE", "the certificate (chain) in PEM: HTTPS", shown="none")
    tls_key: str = setting("", str, "FILE", "its private key", shown="none")
    client_ca: str = setting("", str, "FILE", "certificates that clients' own must be signed by (mTLS)", shown="none")

    log: str = setting("ecs", one_of("ecs", "text"), "ecs|text", "lines of JSON in the form of the Elastic Common Schema, or for people")
    log_level: str = setting(
        "info", one_of("debug", "info", "warning", "error"), "LEVEL", "the least that is logged: debug, info, warning, error"
    )
    log_requests: str = setting("all", one_of("all", "errors", "none"), "all|errors|none", "which requests get a line")
    log_payloads: bool = setting(False, yes, "", "log what was asked and answered, cut; it may be personal data")
    drift_window: int = setting(1000, whole, "ROWS", "how many rows are held against the model's reference at a time; 0: none")


def fields() -> Sequence[dataclasses.Field[Any]]:
    """All settings, in order."""
    return dataclasses.fields(Settings)


def flag(one: dataclasses.Field[Any]) -> str:
    """`--max-batch`."""
    return "--" + one.name.replace("_", "-")


def variable(one: dataclasses.Field[Any]) -> str:
    """`MLOPS_SERVE_MAX_BATCH`."""
    return PREFIX + one.name.upper()


class _Secret(argparse.Action):
    """What must not stand on a command line says so, rather than being taken for the beginning of another option."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        name = str(self.option_strings[0])
        other = f"{PREFIX}{name[2:].upper()} or {name}-file"
        parser.error(f"{name} is no option, for everybody on a machine sees its command lines: use {other}")


def add_flags(parser: argparse.ArgumentParser, *, defaults: Mapping[str, str] | None = None) -> None:
    """A flag for each setting that is no secret; what it says is read later (see `read`), so that all errors come at once.

    defaults: of this command, shown in the place of the server's own.
    """
    for one in fields():
        told = one.metadata
        if told["secret"]:
            parser.add_argument(flag(one), dest=argparse.SUPPRESS, action=_Secret, help=argparse.SUPPRESS)
            continue
        shown = (defaults or {}).get(one.name, told["shown"])
        text = f"{told['doc']} (default: {shown})".replace("%", "%%")
        if isinstance(one.default, bool):
            parser.add_argument(flag(one), dest=f"serve_{one.name}", action="store_const", const="true", default=None, help=told["doc"])
        else:
            parser.add_argument(flag(one), dest=f"serve_{one.name}", default=None, metavar=told["meta"], help=text)


def read(args: argparse.Namespace, env: Mapping[str, str], *, defaults: Mapping[str, str] | None = None) -> Settings:
    """Settings from flags, else variables, else defaults. ConfigErrors `wrong-setting`, `unknown-setting`, `settings-disagree`: all at once."""
    problems: list[Problem] = []
    found: dict[str, Any] = {}
    known = {variable(one) for one in fields()}
    env = {name: text for name, text in env.items() if not _LINK.search(name) and not text.startswith("tcp://")}
    strange = [name for name in sorted(env) if name.startswith(PREFIX) and name not in known]
    problems += [Problem("unknown-setting", f"there is no setting {name}", name, _near(name, known)) for name in strange]
    for one in fields():
        said = getattr(args, f"serve_{one.name}", None)
        text, where = (said, flag(one)) if said is not None else (env.get(variable(one)), variable(one))
        if text is None:
            text = (defaults or {}).get(one.name)
        if text is None:
            continue
        try:
            found[one.name] = one.metadata["read"](text)
        except ValueError as error:
            shown = "" if one.metadata["secret"] else f" {text!r}"
            problems.append(Problem("wrong-setting", f"the value{shown} is {error}", where, one.metadata["doc"]))
    made = Settings(**found)
    problems += _disagreements(made)
    if problems:
        raise ConfigErrors(problems)
    return made


def _near(name: str, known: set[str]) -> str:
    from mlops_toolkit.plug import did_you_mean

    return did_you_mean(name, sorted(known)).replace("known: ", "settings: ")


def _disagreements(made: Settings) -> list[Problem]:
    """What cannot be meant together."""
    found = []
    if bool(made.tls_cert) != bool(made.tls_key):
        found.append(
            Problem("settings-disagree", "a certificate and its key go together", "--tls-cert, --tls-key", "give both, or neither")
        )
    if made.client_ca and not made.tls_cert:
        found.append(Problem("settings-disagree", "clients' certificates need HTTPS", "--client-ca", "give --tls-cert and --tls-key, too"))
    numbers = ("max_batch", "max_body", "max_text", "max_bodies", "max_connections", "min_rate")
    times = ("max_wait", "time_limit", "header_timeout", "keep_alive", "latency_target")
    nothing = "with 0 nothing could be answered"
    none = [one for one in fields() if one.name in (*numbers, *times) and not getattr(made, one.name)]
    found += [
        Problem("settings-disagree", nothing, flag(one), f"give a {'number' if one.name in numbers else 'time'} above 0") for one in none
    ]
    return found


def tokens(settings: Settings) -> tuple[str, ...]:
    """The tokens that are asked for now, none where none are. UsageError `no-token` where a file was named that holds none.

    Fail closed: a file that cannot be read, or is empty, is an error and never an open door.
    """
    found = [settings.token] if settings.token else []
    if settings.token_file:
        try:
            lines = Path(settings.token_file).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError("no-token", f"the tokens cannot be read: {error}", where=settings.token_file) from error
        held = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
        if not held:
            raise UsageError("no-token", "there is no token in it", where=settings.token_file, hint="one token a line")
        found += held
    return tuple(found)
