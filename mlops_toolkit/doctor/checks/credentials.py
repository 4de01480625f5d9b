"""Whether anything here comes between the token we are given and the remote: headers, rewritten addresses, secrets that lie about."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from mlops_toolkit.doctor.finding import Finding, Patient
from mlops_toolkit.doctor.remote import GITHUB, origin
from mlops_toolkit.history.remote import parse_at
from mlops_toolkit.system.git import Git
from mlops_toolkit.world import World

TOKEN = re.compile(r"^(gh[pousr]_|github_pat_|glpat-|x-access-token$|x-oauth-basic$|oauth2$)")
MARK = "mlops: ours"


def check(patient: Patient) -> Iterator[Finding]:
    """The remote's address anywhere; headers and rewritten addresses where a CI's token is to be used."""
    world = patient.world
    here = origin(world)
    if world.git is None or here is None:
        return
    clean = without_secrets(here.url)
    if here.web and holds_secret(here.url):
        yield Finding(
            "note",
            "the address of `origin` holds a token: whatever runs in this clone can read it",
            f"git remote set-url origin {clean}",
        )
    if not world.context.ci:
        return
    if here.web:
        yield from _persisted(world.git)
        yield from _rewritten(world, clean)
        yield from _outdone(world, clean)
    yield from _elsewhere(patient, here.url)


def _persisted(git: Git) -> Iterator[Finding]:
    """Ours is another repository, so the clone's own header does us no harm; the user's commands can read it all the same."""
    for scope, file, _, _ in _settings(git, r"^http\..*extraheader$"):
        if scope in ("local", "worktree"):
            yield Finding(
                "note",
                f"the checkout keeps its token in {file}, where your commands can read it; the history sends its own",
                "      - uses: actions/checkout@v5   # or the commit that you pin\n        with:\n          persist-credentials: false",
            )
            return


def _rewritten(world: World, url: str) -> Iterator[Finding]:
    """`url.….insteadOf` of the user or the machine: asked of git itself, outside of the clone, as the history's repository sees it."""
    assert world.git is not None  # noqa: S101 -- `check` has seen to it
    used = _outside(world.git, "ls-remote", "--get-url", url)
    if not used or (re.match(r"https?://", used) and urlsplit(used).hostname == urlsplit(url).hostname):
        return
    settings = _settings(world.git, r"^url\..*\.(push)?insteadof$")
    where, key = next(((file, key) for _, file, key, value in settings if url.startswith(value)), (None, "url.….insteadOf"))
    key = re.sub(r"(?<=//)[^/@\s]+@", "", key)
    yield Finding(
        "problem",
        f"git is told to take {without_secrets(used)} instead of {url}: the job's token is not for that address",
        f"git config --global --unset-all '{key}'   # of this runner's user, for steps that use mlops",
        where=where,
    )


def _outdone(world: World, url: str) -> Iterator[Finding]:
    """Git takes the header of the most specific address; an empty value before ours takes back only what is as specific or less."""
    assert world.git is not None  # noqa: S101
    server = (world.context.server_url or GITHUB).rstrip("/")
    if urlsplit(server)[:2] != urlsplit(url)[:2]:
        return
    first = int(world.git.env.get("GIT_CONFIG_COUNT") or 0)
    settings = {"GIT_CONFIG_COUNT": str(first + 2)}
    for number, value in enumerate(("", MARK), first):
        settings |= {f"GIT_CONFIG_KEY_{number}": f"http.{server}/.extraheader", f"GIT_CONFIG_VALUE_{number}": value}
    taken = _outside(Git(world.git.root, {**world.git.env, **settings}), "config", "--get-urlmatch", "http.extraheader", url)
    if taken == MARK:
        return
    for scope, file, key, _ in _settings(world.git, r"^http\..+\.extraheader$"):
        if scope not in ("local", "worktree") and url.startswith(key[len("http.") : -len(".extraheader")].rstrip("/")):
            yield Finding(
                "problem",
                f"{key} is more specific than {server}: git sends that header to {url}, and not the job's token",
                f"git config --file {file} --unset-all {key}\nor name the server alone: http.{server}/.extraheader",
                where=file,
            )
            return


def _elsewhere(patient: Patient, url: str) -> Iterator[Finding]:
    """A history in another place gets no token of ours: git's own credentials have to do."""
    world = patient.world
    server = world.context.server_url or GITHUB
    for loaded in patient.configs:
        place, _ = parse_at(loaded.config.history.at, url)
        if place is None or place == url:
            continue
        parts = urlsplit(place)
        if parts.scheme not in ("http", "https") or parts[:2] == urlsplit(server)[:2]:
            continue
        assert world.git is not None  # noqa: S101
        clean = without_secrets(place)
        known = parts.password or _outside(world.git, "config", "--get-urlmatch", "credential.helper", clean)
        if not known and not _outside(world.git, "config", "--get-urlmatch", "http.extraheader", clean):
            yield Finding(
                "problem",
                f"nothing here gives git credentials for {clean}: the job's token is for {server} alone",
                "set up a credential helper in a step before: git config --global credential.helper …",
                where=loaded.at("history.at"),
            )


def _settings(git: Git, pattern: str) -> Iterator[tuple[str, str, str, str]]:
    """(scope, file, key, value) of the settings whose key matches, the clone's own among them."""
    done = git("config", "--show-scope", "--show-origin", "-z", "--get-regexp", pattern, check=False)
    parts = done.stdout.decode("utf-8", "replace").split("\0") if done.status == 0 else []
    for scope, place, entry in zip(parts[::3], parts[1::3], parts[2::3], strict=False):
        key, _, value = entry.partition("\n")
        yield scope, place.removeprefix("file:"), key, value


def _outside(git: Git, *args: str) -> str:
    """What git answers outside of this clone: only the machine's and the user's settings count."""
    return Git(git.root, {**git.env, "GIT_DIR": "/dev/null"})(*args, check=False).text


def holds_secret(url: str) -> bool:
    """Whether an address holds a password, or a token in a user's place."""
    parts = urlsplit(url)
    return bool(parts.password or (parts.username and TOKEN.match(parts.username)))


def without_secrets(url: str) -> str:
    """An address without user and password; of an ssh address the user stays."""
    return re.sub(r"^(https?://)[^/\s]*@", r"\1", re.sub(r"^(\w+://[^/@:\s]*):[^/\s]*@", r"\1@", url))
