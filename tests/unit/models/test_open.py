"""From a word to a store, and what every verb does with one."""

from __future__ import annotations

import errno
import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from mlops_toolkit.ci import Context
from mlops_toolkit.ci.context import Event
from mlops_toolkit.errors import EnvironmentFailure, UsageError
from mlops_toolkit.models.base import STORES, Nowhere, Offered, Store
from mlops_toolkit.models.local import LocalStore
from mlops_toolkit.models.oci import OciStore
from mlops_toolkit.models.open import belongs_to, fetch, keep, open_models, reachable, repository_key
from mlops_toolkit.models.remote import RemoteStore
from mlops_toolkit.records.run import Model

LAPTOP = Context()
HOSTED = Context(provider="github", repository="Owner/Repo")
OWN = Context(provider="github", repository="Owner/Repo", self_hosted=True)


def opened(word: str, tmp_path: Path, context: Context = LAPTOP) -> Store:
    return open_models(word, env={"HOME": str(tmp_path)}, context=context, root=tmp_path)


@pytest.mark.parametrize("context", [LAPTOP, OWN])
def test_a_machine_of_one_s_own_keeps_models_itself(tmp_path: Path, context: Context) -> None:
    assert isinstance(opened("auto", tmp_path, context), LocalStore)


def test_a_hosted_runner_keeps_nothing_and_says_what_to_write(tmp_path: Path) -> None:
    store = opened("auto", tmp_path, HOSTED)
    (tmp_path / "m").write_text("1")
    model = keep(tmp_path / "m", store, shown="m", env={"HOME": str(tmp_path)})
    assert (model.stores, model.reason) == ((), "a GitHub-hosted runner keeps nothing, and mlops.yaml names no store")
    assert isinstance(store, Nowhere)
    assert "packages: write" in (store.hint or "")


def test_a_hosted_runner_offers_models_to_the_repository_s_own_package(tmp_path: Path) -> None:
    context = replace(HOSTED, server_url="https://github.com")
    store = open_models("auto", env={"HOME": str(tmp_path)}, context=context, root=tmp_path, token="ghs_x")
    assert isinstance(store, Offered)
    assert isinstance(store.store, OciStore)
    elsewhere = replace(HOSTED, server_url="https://git.corp.example")
    assert isinstance(open_models("auto", env={}, context=elsewhere, root=tmp_path, token="ghs_x"), Nowhere)


def test_a_package_that_refuses_is_a_reason_and_no_failure(tmp_path: Path) -> None:
    (tmp_path / "m").write_text("1")
    store = Offered(Nowhere("denied"), "ghcr.io", "in the job: permissions: {packages: write}")
    model = keep(tmp_path / "m", store, shown="m", env={"HOME": str(tmp_path)})
    assert (model.stores, model.reason) == ((), "ghcr.io did not take it: denied")


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("none", Nowhere),
        ("file:", LocalStore),
        ("file:/x", LocalStore),
        ("s3://b/p", RemoteStore),
        ("gs://b", RemoteStore),
        ("az://c/p", RemoteStore),
        ("oci://ghcr.io/o/r", OciStore),
    ],
)
def test_words(tmp_path: Path, word: str, kind: type) -> None:
    assert isinstance(opened(word, tmp_path), kind)


@pytest.mark.parametrize("word", ["", "s3", "disk", "ftp://x/y", "autp"])
def test_other_words_are_refused(tmp_path: Path, word: str) -> None:
    with pytest.raises(UsageError) as caught:
        opened(word, tmp_path)
    assert caught.value.name == "unknown-store"


def test_every_address_opens_the_store_it_came_from(tmp_path: Path) -> None:
    (tmp_path / "m").write_text("1")
    for word in ("file:", f"file:{tmp_path}/own", "memory://bucket/open"):
        model = keep(tmp_path / "m", opened(word, tmp_path), shown="m", env={"HOME": str(tmp_path)})
        assert opened(model.stores[0], tmp_path) == opened(word, tmp_path)
    address = "oci://ghcr.io/o/r:sha256-" + "0" * 64
    assert opened(address, tmp_path) == opened("oci://ghcr.io/o/r", tmp_path)


def test_every_row_of_the_table_has_all_of_a_store(tmp_path: Path) -> None:
    for scheme in STORES:
        store = opened(f"{scheme}:" if scheme == "file" else f"{scheme}://host/place", tmp_path)
        assert all(callable(getattr(store, name)) for name in ("put", "has", "get", "look", "delete"))


@pytest.mark.parametrize(
    ("event", "wanted"),
    [("pull_request", "pull-request"), ("merge_group", "pull-request"), ("push", "main"), ("laptop", "main"), ("tag", "release")],
)
def test_what_models_belong_to(event: Event, wanted: str) -> None:
    assert belongs_to(Context(event=event)) == wanted


def test_all_clones_of_a_repository_have_one_key(tmp_path: Path) -> None:
    urls = [
        "git@github.com:Owner/Repo.git",
        "https://x:token@github.com/owner/repo",
        "ssh://git@github.com:22/owner/repo.git",
        "https://github.com/Owner/Repo/",
    ]
    keys = {repository_key(LAPTOP, tmp_path, url) for url in urls} | {repository_key(HOSTED, tmp_path, None)}
    assert len(keys) == 1
    assert keys.pop().startswith("owner-repo-")
    assert "token" not in repository_key(LAPTOP, tmp_path, urls[1])
    assert repository_key(LAPTOP, tmp_path / "a", None) != repository_key(LAPTOP, tmp_path / "b", None)
    assert "/" not in repository_key(LAPTOP, Path("/äö/../x"), None)


def test_a_model_that_cannot_be_kept_is_recorded_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "m").write_text("1")
    (tmp_path / "own").write_text("in the way")
    model = keep(tmp_path / "m", opened(f"file:{tmp_path}/own", tmp_path), shown="m", env={"HOME": str(tmp_path)})
    assert model.stores == ()
    assert (model.reason or "").startswith("cannot keep the model: Not a directory")
    assert model.digest.startswith("sha256:6b86b273")


def test_fetching_what_is_already_there_does_nothing(tmp_path: Path) -> None:
    env = {"HOME": str(tmp_path)}
    (tmp_path / "m").write_text("1")
    model = keep(tmp_path / "m", opened("none", tmp_path), shown="m", env=env)
    assert not fetch(model, tmp_path / "m", lambda word: opened(word, tmp_path), env=env)
    assert reachable(model, lambda word: opened(word, tmp_path), here=tmp_path / "m", env=env)
    assert not reachable(model, lambda word: opened(word, tmp_path), env=env)


def test_nothing_of_the_user_s_is_overwritten_unless_asked(tmp_path: Path) -> None:
    env = {"HOME": str(tmp_path)}
    (tmp_path / "m").write_text("1")
    model = keep(tmp_path / "m", opened("file:", tmp_path), shown="m", env=env)
    (tmp_path / "m").write_text("changed by hand")
    with pytest.raises(EnvironmentFailure) as caught:
        fetch(model, tmp_path / "m", lambda word: opened(word, tmp_path), env=env)
    assert caught.value.name == "model-in-the-way"
    assert fetch(model, tmp_path / "m", lambda word: opened(word, tmp_path), env=env, replace=True)
    assert (tmp_path / "m").read_text() == "1"
    assert not list(tmp_path.glob(".m.*"))


def test_a_link_to_a_larger_disk_stays_one(tmp_path: Path) -> None:
    store = opened("auto", tmp_path)
    models = {name: _made(tmp_path, store, name) for name in ("wanted", "other")}
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "model").write_text("other")
    (tmp_path / "model").symlink_to(tmp_path / "disk" / "model")
    assert fetch(models["wanted"], tmp_path / "model", lambda _: store, env={"HOME": str(tmp_path)}, replace=True)
    assert (tmp_path / "model").readlink() == tmp_path / "disk" / "model"
    assert (tmp_path / "disk" / "model").read_text() == "wanted"


def test_what_a_killed_fetch_left_beside_the_model_goes_with_the_next_one(tmp_path: Path) -> None:
    store = opened("auto", tmp_path)
    wanted = _made(tmp_path, store, "wanted")
    yesterday, today, other = (tmp_path / name for name in (".model.123.0a1b2c3d.tmp", ".model.124.0a1b2c3d.tmp", ".model.tmp"))
    for place in (yesterday, today):
        place.mkdir()
        (place / "weights").write_text("half")
    other.write_text("the user's")
    for place in (yesterday, other):
        os.utime(place, (0, 0))
    fetch(wanted, tmp_path / "model", lambda _: store, env={"HOME": str(tmp_path)})
    assert [place.exists() for place in (yesterday, today, other)] == [False, True, True]


def test_a_place_that_cannot_be_exchanged_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A volume mounted as the model's folder can be written to, but not be moved away."""
    store = opened("auto", tmp_path)
    wanted = _made(tmp_path, store, "wanted")
    (tmp_path / "model").write_text("other")
    rename = Path.rename

    def mounted(self: Path, target: Path) -> Path:
        if self == tmp_path / "model":
            raise OSError(errno.EBUSY, "Device or resource busy", str(self))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", mounted)
    with pytest.raises(EnvironmentFailure, match=r"cannot put the model at .*model: Device or resource busy"):
        fetch(wanted, tmp_path / "model", lambda _: store, env={"HOME": str(tmp_path)}, replace=True)
    assert (tmp_path / "model").read_text() == "other"


def _made(tmp_path: Path, store: Store, text: str) -> Model:
    (tmp_path / "trained").write_text(text)
    return keep(tmp_path / "trained", store, shown="model", env={"HOME": str(tmp_path)})


def test_a_failed_fetch_leaves_what_is_there(tmp_path: Path) -> None:
    env = {"HOME": str(tmp_path)}
    (tmp_path / "m").write_text("mine")
    gone = Model("sha256:" + "0" * 64, 1, "m", stores=("file:sha256/00/" + "0" * 64,), host=socket.gethostname())
    with pytest.raises(EnvironmentFailure):
        fetch(gone, tmp_path / "m", lambda word: opened(word, tmp_path), env=env, replace=True)
    assert (tmp_path / "m").read_text() == "mine"


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (Model("sha256:" + "0" * 64, 1, "m", stores=("file:sha256/00/" + "0" * 64,), host="gpu-box"), "it is on another machine (gpu-box)"),
        (Model("sha256:" + "0" * 64, 1, "m", stores=("file:sha256/00/" + "0" * 64,), host=socket.gethostname()), "is not on this machine"),
        (Model("sha256:" + "0" * 64, 1, "m", reason="`models.store` is none"), "`models.store` is none"),
        (Model("sha256:" + "0" * 64, 1, "m"), "it was never stored"),
    ],
)
def test_a_model_that_cannot_be_had_says_why(tmp_path: Path, model: Model, why: str) -> None:
    with pytest.raises(EnvironmentFailure) as caught:
        fetch(model, tmp_path / "m", lambda word: opened(word, tmp_path), env={"HOME": str(tmp_path)})
    assert caught.value.name == "model-unreachable"
    assert why in caught.value.message
