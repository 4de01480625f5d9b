"""From what `models.store` (or a record's address) says to a store, and the few things every verb does with one."""

from __future__ import annotations

import hashlib
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from mlops_toolkit import plug
from mlops_toolkit.ci import Context
from mlops_toolkit.config.schema import Keep
from mlops_toolkit.errors import EnvironmentFailure, UsageError
from mlops_toolkit.models import tree
from mlops_toolkit.models.base import STORES, Belongs, Nowhere, Offered, Setting, Store, short
from mlops_toolkit.models.digest import Cache, digest
from mlops_toolkit.models.local import LocalStore
from mlops_toolkit.records.run import Model

# What a team with several machines writes: files on the disk of one are nothing to the others.
SHARED = """\
keep models where every machine reaches them, in mlops.yaml
models: {store: "s3://bucket/models"}   # or gs://, az://, oci://ghcr.io/OWNER/REPO/mlops-models
until then, train and evaluate on one machine (runs-on: a label that it alone has)"""
_NONE = Nowhere("no store is set")
_BELOW = re.compile(r"(?P<store>.*?)/?sha256/[0-9a-f]{2}/[0-9a-f]{64}|(?P<registry>oci://.*/[^/:]+):[\w.-]+")


def open_models(
    word: str, *, env: Mapping[str, str], context: Context, root: Path, remote_url: str | None = None, token: str | None = None
) -> Store:
    """The store that a word (`auto`, `none`, `file:`, `s3://…`, `oci://…`) or a model's address means.

    env: for XDG folders and DOCKER_CONFIG. root: the work tree's top; with remote_url and the CI's repository it says whose
    models these are. token: the forge's, for its own registry. Where models are kept nowhere, the store is a `Nowhere`.
    """
    if word == "none":
        return Nowhere("`models.store` is none")
    setting = Setting(env, repository_key(context, root, remote_url), belongs_to(context), _line(context), token, context.actor)
    if word == "auto" and context.provider == "github" and not context.self_hosted:
        return _hosted(context, setting)
    word = "file:" if word == "auto" else word
    scheme = word.partition(":")[0]
    if ":" not in word:
        raise UsageError(
            "unknown-store",
            f'there is no models store "{word}"',
            where="models.store",
            hint=plug.did_you_mean(word, ("auto", "none", *STORES)),
        )
    opened: Store = plug.load("store", STORES, scheme, where="models.store")(_store_of(word), setting)
    return opened


def _store_of(address: str) -> str:
    """The store's word of a model's address; a word is its own."""
    match = _BELOW.fullmatch(address)
    return address if match is None else match["registry"] or match["store"]


def _hosted(context: Context, setting: Setting) -> Store:
    """What a GitHub-hosted runner, which keeps nothing itself, has by default: the repository's own package, where the job may write it."""
    allow = "in the job: permissions: {packages: write}"
    if context.server_url != "https://github.com" or not context.repository or not setting.token:
        hint = f"models: {{store: oci://ghcr.io/OWNER/REPO/mlops-models}}   # and {allow}"
        return Nowhere("a GitHub-hosted runner keeps nothing, and mlops.yaml names no store", hint)
    address = f"oci://ghcr.io/{context.repository.lower()}/mlops-models"
    opened: Store = plug.load("store", STORES, "oci")(address, setting)
    return Offered(opened, "ghcr.io", allow)


def belongs_to(context: Context) -> Belongs:
    """What a model made here belongs to."""
    if context.event == "tag":
        return "release"
    return "pull-request" if context.event in ("pull_request", "merge_group") else "main"


def _line(context: Context) -> str:
    """What is counted together: the default branch on its own, so that no other branch's models push its last ones out."""
    known = context.ci and context.event not in ("pull_request", "merge_group", "tag") and context.branch and context.default_branch
    return "other branches" if known and context.branch != context.default_branch else ""


def for_model(store: Store, key: str) -> Store:
    """The store for one model's (or its predictions'): where counts are kept, they count these alone."""
    return replace(store, of=key.replace(" ", "_")) if isinstance(store, LocalStore) else store


def repository_key(context: Context, root: Path, remote_url: str | None) -> str:
    """A name for the repository that is safe as a file's and the same for all its clones: `owner-repo-1a2b3c4d`."""
    if context.repository:
        slug = context.repository
    elif remote_url:
        # git@host:owner/repo.git and https://user:token@host/owner/repo are one and the same; the token is no part of it
        slug = re.sub(r"^(\w+://)?([^@/]*@)?[^/:]*(:\d+/|[/:])", "", remote_url.removesuffix("/").removesuffix(".git")) or remote_url
    else:
        slug = str(root.resolve())
    readable = re.sub(r"[^A-Za-z0-9]+", "-", slug).strip("-")[-40:].lower()
    return f"{readable}-{hashlib.sha256(slug.casefold().encode('utf-8', 'surrogateescape')).hexdigest()[:8]}"


Opener = Callable[[str], Store | None]


def keep(path: Path, store: Store | None, *, shown: str, env: Mapping[str, str]) -> Model:
    """Digest a model and keep it; where that fails the record says why, for the training was not in vain.

    shown: the model's path as the record names it. A model that is absent or no model is a CommandFailed.
    """
    if isinstance(store, LocalStore):
        try:
            found, address = store.take(path)
            return Model(found.digest, found.size, shown, found.kind, (address,), socket.gethostname())
        except EnvironmentFailure as error:
            reason = error.message
        found = digest(path, cache=Cache.of(env))
        return Model(found.digest, found.size, shown, found.kind, reason=reason)
    found = digest(path, cache=Cache.of(env))
    store = store or _NONE
    try:
        return Model(found.digest, found.size, shown, found.kind, (store.put(path, found.digest),))
    except EnvironmentFailure as error:
        return Model(found.digest, found.size, shown, found.kind, reason=error.message)


def reachable(model: Model, models: Opener, *, here: Path | None = None, env: Mapping[str, str]) -> bool:
    """Whether a recorded model can be had: it lies at `here` unchanged, or one of its stores has it."""
    if here is not None and _is(here, model.digest, env):
        return True
    return any((models(address) or _NONE).has(address, model.digest) for address in model.stores)


def fetch(model: Model, to: Path, models: Opener, *, env: Mapping[str, str], replace: bool = False) -> bool:
    """Have a recorded model at `to`; returns whether it had to be fetched.

    Another model that stands there is replaced (`replace`), or an EnvironmentFailure `model-in-the-way`.
    One that is to be had nowhere is `model-unreachable`, naming the machine it is on.
    """
    if to.exists():
        to = to.resolve()  # a link to a larger disk stays one
    if to.exists() or to.is_symlink():
        if _is(to, model.digest, env):
            return False
        if not replace:
            raise EnvironmentFailure(
                "model-in-the-way",
                f"{to} is not the model {short(model.digest)} of this run",
                hint=f"move {to} away, or train again with --again",
            )
    refusals = []
    for address in model.stores:
        try:
            with tree.beside(to) as temporary:
                (models(address) or _NONE).get(address, model.digest, temporary)
                tree.exchange(temporary, to)
        except EnvironmentFailure as error:  # noqa: PERF203 -- one or two stores
            refusals.append(error)
        else:
            return True
    elsewhere = model.host is not None and model.host != socket.gethostname()
    why = (
        f"it is on another machine ({model.host})"
        if elsewhere
        else (refusals[-1].message if refusals else model.reason or "it was never stored")
    )
    raise EnvironmentFailure(
        "model-unreachable", f"the model {short(model.digest)} cannot be had: {why}", hint=SHARED if elsewhere else None
    ) from (refusals[-1] if refusals else None)


def _is(path: Path, wanted: str, env: Mapping[str, str]) -> bool:
    try:
        return digest(path, cache=Cache.of(env)).digest == wanted
    except Exception:  # noqa: BLE001 -- whatever lies there, it is not the model
        return False


def look_after(store: Store | None, record: Path, policy: Keep, now: datetime) -> tuple[str, ...]:
    """Retention, where the store is ours to tidy: removes what has had its time, spares what a run record names."""
    if not isinstance(store, LocalStore):
        return ()
    store.held_by(record)
    return store.sweep(policy, now)


def claim(model: Model, models: Opener, key: str) -> None:
    """A recorded model is used by another run now (of the model `key`): it is kept as long as that one's would be."""
    for address in model.stores:
        store = for_model(models(address) or _NONE, key)
        if isinstance(store, LocalStore):
            store.claim(model.digest)
