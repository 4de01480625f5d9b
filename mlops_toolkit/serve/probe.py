"""`python -m mlops_toolkit.serve.probe`: whether the server beside it answers every model's golden examples as it should, over the network.

A container's startup probe, and what a rollout runs in a new container before the first request of a client may come: loading a model proves
it in memory, this proves the way through the socket, too. It needs nothing but what the image has, writes nothing, and says what it found in
one line of JSON: `{"ok": …, "models": [{"name", "version", "examples", "worst"}], "error": {"name", "message"}}`.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import ssl
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_toolkit.errors import MlopsError
from mlops_toolkit.formats import arrays, golden, manifest
from mlops_toolkit.formats.signature import Signature
from mlops_toolkit.serve import places
from mlops_toolkit.serve import settings as settings_
from mlops_toolkit.serve.settings import Settings

if TYPE_CHECKING:
    from numpy.typing import NDArray

MODELS = "/models"
ANYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 -- an address to listen on, and where that is reached from here
BUSY = (429, 503)
LOADING = ("is being loaded", "is not loaded yet", "nothing was looked for yet")  # as the server says it (models.Served.reason)
LOOK, SELDOM = 0.1, 1.0  # seconds between two looks at a server that is not there yet, and at most at one that loads: it logs each
LONGEST = 500  # characters of what a server said


class Wrong(Exception):
    """The server does not answer as it should. name: a word that programs may test."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name, self.message = name, " ".join("".join(letter if letter.isprintable() else " " for letter in message).split())[:LONGEST]


@dataclass
class Asker:
    """Asks the server beside it. end: of time.monotonic(), after which nothing is waited for any more."""

    settings: Settings
    end: float
    certificate: tuple[str, str] | None = None

    def ask(self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> tuple[int, Any, bytes]:
        """Status, headers and body. Wrong `no-answer`, `bad-certificate`."""
        connection = self._connection()
        held = settings_.tokens(self.settings)
        known = {**(headers or {}), **({"authorization": f"Bearer {held[0]}"} if held else {}), "connection": "close"}
        try:
            connection.request(method, path, body, known)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        except ssl.SSLError as error:
            hint = " (with --client-ca the probe needs a certificate of that authority: --cert, --key)" if self.settings.client_ca else ""
            raise Wrong("bad-certificate", f"{method} {path}: {error}{hint}") from error
        except (OSError, http.client.HTTPException) as error:
            raise Wrong("no-answer", f"{method} {path} at port {self.settings.port}: {type(error).__name__}: {error}") from error
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        settings = self.settings
        host, left = ANYWHERE.get(settings.host, settings.host), max(0.05, self.end - time.monotonic())
        if not settings.tls_cert:
            return http.client.HTTPConnection(host, settings.port, timeout=left)
        # It is itself that is asked, by a number: no certificate names 127.0.0.1, and nobody else can listen there.
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        own = self.certificate or ((settings.tls_cert, settings.tls_key) if settings.client_ca else None)
        if own is not None:
            try:
                context.load_cert_chain(*own)
            except (OSError, ssl.SSLError) as error:
                raise Wrong("bad-certificate", f"{own[0]}, {own[1]} cannot be read: {error}") from error
        return http.client.HTTPSConnection(host, settings.port, timeout=left, context=context)

    def patiently(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, Any, bytes]:
        """The same, asked again while the server is too busy with others."""
        while True:
            found = self.ask(method, path, body, headers)
            if found[0] not in BUSY or time.monotonic() + 0.2 > self.end:
                return found
            time.sleep(0.2)


def probe(roots: Sequence[Path], asker: Asker) -> list[dict[str, Any]]:
    """What each model below these folders was asked: all of the newest version of each (of every one, where all are served).

    Wrong `not-ready`, `no-model`, `wrong-answers`, `refused-example`, `no-answer`, `bad-certificate`, or as the server itself names a refusal;
    InvalidFile `bad-model`.
    """
    status, _, body = asker.ask("GET", "/v2/health/ready")
    if status != 200:
        raise Wrong("not-ready", f"it is not ready: {_said(status, body)[1]}")
    found, wrong = places.search(roots, asker.settings.name)
    if not found:
        raise Wrong("no-model", "; ".join(wrong) or f"there is no model below {', '.join(map(str, roots))}")
    newest: dict[str, places.Place] = {}
    for place in sorted(found, key=lambda one: places.order(one.version)):
        newest[place.name] = place
    asked = found if asker.settings.versions == "all" else list(newest.values())
    return [_model(place, asker) for place in sorted(asked, key=lambda one: (one.name, places.order(one.version)))]


def patient(roots: Sequence[Path], asker: Asker, wait: float) -> list[dict[str, Any]]:
    """`probe`, begun again for up to so many seconds while the server does not listen yet, or still loads.

    One process that waits costs a starting server less than one every second, and has what it needs in memory when the server is there. A model
    that was refused is not waited for: it stays so.
    """
    import numpy  # noqa: F401 -- while there is time

    end, pause = min(time.monotonic() + wait, asker.end - 1.0), LOOK
    while True:
        try:
            return probe(roots, asker)
        except Wrong as wrong:
            loads = wrong.name == "no-answer" or (wrong.name == "not-ready" and any(one in wrong.message for one in LOADING))
            if not loads or time.monotonic() + pause > end:
                raise
            again = LOOK if wrong.name == "no-answer" else min(2 * pause, SELDOM)
        time.sleep(pause)
        pause = again


def _model(place: places.Place, asker: Asker) -> dict[str, Any]:
    signature = manifest.read(place.folder).signature
    whole, outputs = golden.read(place.folder, signature)
    inputs, outputs = _let_in(whole, outputs, signature, asker.settings.nan, place.name)
    body, length = _request(inputs, signature)
    path = f"/v2/models/{place.name}/versions/{place.version}/infer"
    headers = {"content-type": "application/octet-stream", "inference-header-content-length": str(length)}
    status, told, answer = asker.patiently("POST", path, body, headers)
    if status != 200:
        name, said = _said(status, answer)
        raise Wrong(name, f"{place.name} {place.version}: {said}")
    from mlops_toolkit.serve import answers

    try:
        found = answers.read(answer, told.get("inference-header-content-length"))
        found = _texts(found, signature)
    except ValueError as error:
        raise Wrong("wrong-answers", f"{place.name} {place.version}: the answer cannot be read: {error}") from error
    apart = arrays.largest_difference(found, outputs, relative=golden.RELATIVE, absolute=golden.ABSOLUTE)
    if apart is None:
        raise Wrong("wrong-answers", f"{place.name} {place.version} does not answer its golden examples as it did when it was saved")
    return {"name": place.name, "version": place.version, "examples": max(map(len, inputs.values())), "worst": apart}


def _let_in(
    inputs: dict[str, NDArray[Any]], outputs: dict[str, NDArray[Any]], signature: Signature, nan: str, name: str
) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
    """The examples that the server lets in: loading asks those with NaN and infinity too, and a client may be refused them (`--nan`).

    Wrong `refused-example` where that leaves none, or the rows of the model cannot be asked apart.
    """
    import numpy as np

    from mlops_toolkit.serve.values import Input, unfit

    good = np.ones(max(map(len, inputs.values())), bool)
    for tensor in signature.inputs:
        bad = unfit(inputs[tensor.name], Input(tensor, nan))  # type: ignore[arg-type]
        if bad.any():
            good &= ~bad.reshape(len(bad), -1).any(axis=1)
    if good.all():
        return inputs, outputs
    tensors = [*signature.inputs, *signature.outputs]
    if not good.any() or not all(tensor.shape and tensor.shape[0] is None for tensor in tensors):
        raise Wrong("refused-example", f"{name}: its golden examples hold NaN or infinity, and the server refuses those (--nan {nan})")
    return {key: value[good] for key, value in inputs.items()}, {key: value[good] for key, value in outputs.items()}


def _request(inputs: dict[str, NDArray[Any]], signature: Signature) -> tuple[bytes, int]:
    """A request with binary tensors for binary answers, and how long the JSON at its beginning is."""
    from mlops_toolkit.serve.raw import to_bytes

    raws = [to_bytes(inputs[tensor.name]) for tensor in signature.inputs]
    said = [
        {
            "name": tensor.name,
            "datatype": tensor.dtype,
            "shape": list(inputs[tensor.name].shape),
            "parameters": {"binary_data_size": len(raw)},
        }
        for tensor, raw in zip(signature.inputs, raws, strict=True)
    ]
    head = json.dumps({"inputs": said, "parameters": {"binary_data_output": True}}).encode()
    return b"".join((head, *raws)), len(head)


def _texts(found: dict[str, NDArray[Any]], signature: Signature) -> dict[str, NDArray[Any]]:
    """Bytes as the texts they are, but for files."""
    import numpy as np

    made = dict(found)
    for tensor in signature.outputs:
        array = made.get(tensor.name)
        if array is not None and array.dtype == object and not tensor.files:
            made[tensor.name] = np.array([one.decode() for one in array.reshape(-1)], object).reshape(array.shape)
    return made


def _said(status: int, body: bytes) -> tuple[str, str]:
    """A refusal's name (see refusals.STATUSES) and words."""
    try:
        said = json.loads(body)
        return str(said["name"]), f"{said['error']} ({status})"
    except (ValueError, KeyError, TypeError):
        return "no-answer", f"status {status}"


def main(argv: Sequence[str] | None = None) -> int:
    """0 where every answer was right, else 1; of a wrong command line 2."""
    parser = argparse.ArgumentParser(
        prog="python -m mlops_toolkit.serve.probe",
        description="Ask the server on this machine every model's golden examples over HTTP. Its variables (MLOPS_SERVE_PORT, _TOKEN, …) hold here, too.",
    )
    parser.add_argument("--port", type=int, help="where it listens (default: MLOPS_SERVE_PORT, else 8080)")
    parser.add_argument(
        "--models", nargs="+", type=Path, default=[Path(MODELS)], metavar="FOLDER", help=f"what it serves (default: {MODELS})"
    )
    parser.add_argument("--timeout", type=float, default=30.0, metavar="SECONDS", help="for all of it (default: 30)")
    parser.add_argument(
        "--wait",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="how long a server that does not listen yet, or loads, is waited for (default: 0)",
    )
    parser.add_argument("--cert", help="a certificate to show, where the server asks for one (default: the server's own)")
    parser.add_argument("--key", help="its key")
    args = parser.parse_args(argv)
    if bool(args.cert) != bool(args.key):
        parser.error("--cert and --key go together")
    models: list[dict[str, Any]] = []
    error = None
    try:
        made = settings_.read(argparse.Namespace(), os.environ)
        made = made if args.port is None else replace(made, port=args.port)
        certificate = (args.cert, args.key) if args.cert else None
        models = patient(args.models, Asker(made, time.monotonic() + args.timeout, certificate), args.wait)
    except (Wrong, MlopsError) as failed:
        error = {"name": failed.name, "message": failed.message}
    except Exception as failed:  # noqa: BLE001 -- whoever reads the line is a program: what cannot be asked is not ready
        error = {"name": "defect", "message": f"{type(failed).__name__}: {failed}"[:LONGEST]}
    print(json.dumps({"ok": error is None, "models": models, "error": error}, allow_nan=False))
    return 0 if error is None else 1


if __name__ == "__main__":
    sys.exit(main())
