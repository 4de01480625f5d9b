"""An image put together without Docker: what is in it, what is sent for it, and what a program that nobody here wrote reads of it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import tarfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlops_toolkit.errors import EnvironmentFailure, InvalidFile, MlopsError, UsageError
from mlops_toolkit.image.push import push
from mlops_toolkit.image.wanted import Pushed, Wanted
from mlops_toolkit.oci.reference import Reference
from mlops_toolkit.oci.registry import Registry
from tests.needs import require
from tests.unit.image.conftest import save
from tests.world import images, kills
from tests.world.registry import Running

Make = Callable[..., Wanted]


def pushed(wanted: Wanted, said: list[str] | None = None) -> Pushed:
    return push(wanted, images.registries(), (said if said is not None else []).append)


def document(wanted: Wanted, digest: str) -> dict[str, Any]:
    """A manifest of the repository."""
    stored = images.client(wanted.repository.host, wanted.repository.repository).pull_manifest(digest)
    assert stored is not None
    found: dict[str, Any] = json.loads(stored.content)
    return found


def configuration(wanted: Wanted, made: Pushed, platform: str = "linux/amd64") -> dict[str, Any]:
    digest = document(wanted, made.platforms[platform])["config"]["digest"]
    found: dict[str, Any] = json.loads(images.client(wanted.repository.host, wanted.repository.repository).read_blob(digest) or b"")
    return found


def files(wanted: Wanted, digest: str) -> dict[str, bytes]:
    raw = images.client(wanted.repository.host, wanted.repository.repository).read_blob(digest) or b""
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        return {one.name: (archive.extractfile(one) or io.BytesIO()).read() for one in archive if one.isfile()}


def test_what_is_in_an_image(wanted: Make) -> None:
    """The base's layers, then packages, server, documents, and the model last; it runs as nobody, without a shell, from files only read."""
    asked = wanted(documents={"models-card.md": b"# card\n"})
    made = pushed(asked)
    index = document(asked, made.digest)
    manifest = document(asked, index["manifests"][0]["digest"])
    config = configuration(asked, made)
    assert [one.what for one in made.layers] == ["base layer 1 of 1", "packages", "server", "documents", "model"]
    assert made.platforms == {"linux/amd64": index["manifests"][0]["digest"]}
    assert [one["digest"] for one in manifest["layers"]] == [one.digest for one in made.layers]
    model = files(asked, made.layers[-1].digest)
    assert set(model) == {f"models/double/{path.relative_to(asked.model).as_posix()}" for path in asked.model.rglob("*") if path.is_file()}
    server = files(asked, made.layers[2].digest)
    assert {"opt/mlops/app/mlops_toolkit/errors.py", "opt/mlops/app/mlops_toolkit/formats/load.py"} <= set(server)
    assert not any("/image/" in name or "/config/" in name for name in server)
    run = config["config"]
    assert run["User"] == "10001:10001"
    assert run["Entrypoint"] == ["/usr/bin/python3.11", "-m", "mlops_toolkit.serve"]
    assert run["Cmd"] == ["/models"]
    assert run["Healthcheck"]["Test"][:2] == ["CMD", "/usr/bin/python3.11"]
    assert {"PYTHONDONTWRITEBYTECODE=1", "PYTHONPATH=/opt/mlops/app:/opt/mlops/lib"} <= set(run["Env"])
    assert (run["StopSignal"], run["ExposedPorts"], run["WorkingDir"]) == ("SIGTERM", {"8080/tcp": {}}, "/")
    assert config["created"] == "2023-11-14T22:13:20Z"
    assert len(config["history"]) == 4
    assert len(config["rootfs"]["diff_ids"]) == 5
    assert run["Labels"] == manifest["annotations"] == index["annotations"]
    assert index["annotations"]["vnd.mlops.run"] == "r1"
    assert index["annotations"]["org.opencontainers.image.base.digest"].startswith("sha256:")
    assert [(one.name, bool(one.sha256)) for one in made.packages] == [("numpy", True)]


def test_nothing_changed_nothing_sent_and_a_new_model_is_one_layer(wanted: Make, tmp_path: Path) -> None:
    """The same inputs give the same digest on another machine at another time; another model sends its own layer and no other."""
    first = pushed(wanted())
    said: list[str] = []
    again = pushed(wanted(), said)
    assert (again.digest, again.content) == (first.digest, first.content)
    assert not [one for one in again.layers if one.sent]
    assert again.sent_bytes == 0
    assert not any(line.startswith("sent") for line in said)
    time.sleep(0.05)
    elsewhere = pushed(wanted(cache=tmp_path / "another machine"))
    assert (elsewhere.digest, elsewhere.sent_bytes) == (first.digest, 0)
    new = pushed(wanted(model=save(tmp_path / "new", factor=3)))
    assert [one.what for one in new.layers if one.sent] == ["model"]
    assert [one.digest for one in new.layers[:-1]] == [one.digest for one in first.layers[:-1]]
    assert new.digest != first.digest
    assert new.sent_bytes < new.layers[-1].size + 20_000  # and the configuration


def test_a_base_by_digest_is_asked_for_once(wanted: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hubs count what is asked of them. What was kept and is not what its digest says is asked for again."""
    asked = []
    pull = Registry.pull_manifest

    def counted(self: Registry, target: str, **more: Any) -> Any:
        asked.append(target) if self.repository.endswith("/base") else None
        return pull(self, target, **more)

    monkeypatch.setattr(Registry, "pull_manifest", counted)
    first = pushed(wanted())
    assert [target.partition(":")[0] for target in asked] == ["1", "sha256"]
    assert first.base is not None
    pinned = wanted(base=first.base.at(digest=first.base.digest))
    asked.clear()
    second = pushed(pinned)
    assert asked == []  # by its tag it was asked for before, and its digest was kept
    for path in pinned.cache.glob("known/document-*.json"):
        path.write_text(path.read_text().replace("sha256", "sha265"))
    assert pushed(pinned).digest == second.digest
    assert len(asked) == 2


def test_two_platforms_share_what_is_the_same(wanted: Make) -> None:
    """One index; the layers that do not depend on the processor are stored once."""
    asked = wanted(platforms=("linux/arm64", "linux/amd64"))
    made = pushed(asked)
    index = document(asked, made.digest)
    assert [one["platform"]["architecture"] for one in index["manifests"]] == ["amd64", "arm64"]
    assert set(made.platforms) == {"linux/amd64", "linux/arm64"}
    assert [one.what for one in made.layers].count("model") == 1
    with pytest.raises(UsageError) as caught:
        pushed(wanted(platforms=("linux/riscv64",)))
    assert caught.value.name == "no-platform"
    assert "linux/amd64, linux/arm64" in str(caught.value)


def test_skopeo_reads_it_and_copies_it_whole(wanted: Make, tmp_path: Path) -> None:
    """A program that nobody here wrote finds every layer, unpacks it to the diff id that the configuration tells of, and names the annotations."""
    skopeo = require("registry", "skopeo")["skopeo"]
    asked = wanted()
    made = pushed(asked)
    at = f"docker://{asked.repository.name}@{made.digest}"
    images.client(asked.repository.host, asked.repository.repository).tag("v1", made.digest)
    told = json.loads(subprocess.run([skopeo, "inspect", "--tls-verify=false", at], capture_output=True, check=True).stdout)
    assert told["Labels"]["vnd.mlops.run"] == "r1"
    subprocess.run([skopeo, "copy", "-q", "--src-tls-verify=false", at, f"oci:{tmp_path}/copy:x"], check=True, capture_output=True)
    assert len(list((tmp_path / "copy/blobs/sha256").iterdir())) >= 6
    # Docker's own archive is written from unpacked layers: each is held against its diff id
    subprocess.run(
        [skopeo, "copy", "-q", "--src-tls-verify=false", at, f"docker-archive:{tmp_path}/docker.tar"], check=True, capture_output=True
    )


def test_a_base_in_another_registry_comes_through_a_mirror(wanted: Make, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Its layers are copied from where the mirror has them, under its own name; Docker's older documents are read too."""
    from tests.world.registry import running

    with running(tmp_path_factory.mktemp("mirror")) as mirror:
        digest = images.put(images.client(mirror.host, "hub/library/python"), "3.11-slim", {"amd64": [images.PYTHON_LAYER]}, docker=True)
        asked = wanted(base=Reference.parse("python:3.11-slim"), mirrors={"docker.io": f"{mirror.host}/hub"})
        said: list[str] = []
        made = pushed(asked, said)
    marks = document(asked, made.digest)["annotations"]
    assert marks["org.opencontainers.image.base.name"] == "docker.io/library/python:3.11-slim"
    assert marks["org.opencontainers.image.base.digest"] == digest
    assert any(f"to keep it: `base: docker.io/library/python:3.11-slim@{digest}`" in line for line in said)
    manifest = document(asked, made.platforms["linux/amd64"])
    assert {one["mediaType"] for one in manifest["layers"]} <= {images.GZIP, images.GZIP.removesuffix("+gzip")}


def test_a_base_without_python_or_that_is_none_is_named(wanted: Make, open_registry: Running) -> None:
    """No interpreter, one that is too old, one that was deleted by a later layer, alone or with all above it, an artifact, a tag that is not there."""
    old = images.layer({"usr/bin/python3.9": b"x"})
    deleted = images.layer({"usr/bin/.wh.python3.11": b""})
    gone = images.layer({".wh.usr": b""})
    empty = images.layer({"etc/passwd": b""})
    for number, layers in enumerate(([old], [images.PYTHON_LAYER, deleted], [images.PYTHON_LAYER, gone], [empty])):
        images.put(images.client(open_registry.host, "bases"), str(number), {"amd64": layers}, plain=number == 1)
        with pytest.raises(UsageError) as caught:
            pushed(wanted(base=Reference.parse(f"{open_registry.host}/bases:{number}")))
        assert caught.value.name == "no-python"
    with pytest.raises(UsageError) as caught:
        pushed(wanted(base=Reference.parse(f"{open_registry.host}/bases:nothing")))
    assert caught.value.name == "no-base"


def test_pythons_of_a_base(wanted: Make, open_registry: Running) -> None:
    """The first on PATH, as `python3` leads there; another one where it is asked for."""
    many = {f"usr/local/bin/python3.{n}": b"x" for n in (11, 13)} | {"usr/local/bin/python3": "->python3.11", "usr/bin/python3.12": b"x"}
    images.put(images.client(open_registry.host, "bases"), "many", {"amd64": [images.layer(many)]})
    base = Reference.parse(f"{open_registry.host}/bases:many")

    def entry(**more: object) -> str:
        asked = wanted(base=base, **more)
        made = pushed(asked)
        return str(configuration(asked, made)["config"]["Entrypoint"][0])

    assert entry() == "/usr/local/bin/python3.11"
    assert entry(python="3.12") == "/usr/bin/python3.12"


def test_a_model_that_is_not_whole_is_not_published(wanted: Make) -> None:
    """Damaged, no model, a name that cannot be an address: nothing reaches the registry."""
    asked = wanted()
    (asked.model / "environment.txt").write_text("changed")
    with pytest.raises(InvalidFile) as caught:
        pushed(asked)
    assert caught.value.name == "model-damaged"
    for wrong in (replace(asked, model=asked.model.parent), replace(asked, name="a/b")):
        with pytest.raises(MlopsError) as found:
            pushed(wrong)
        assert found.value.name in ("bad-model", "bad-name")


def test_a_layer_that_was_kept_and_is_damaged_is_never_sent(wanted: Make, open_registry: Running) -> None:
    """A kept layer whose bytes are not what they were: said, and built anew by the next run."""
    asked = wanted()
    first = pushed(asked)
    place = asked.cache / "blobs" / first.layers[-1].digest.removeprefix("sha256:")
    place.write_bytes(bytes(len(place.read_bytes())))
    other = replace(asked, repository=Reference.parse(f"{open_registry.host}/elsewhere/double"))
    with pytest.raises(EnvironmentFailure) as caught:
        pushed(other)
    assert caught.value.name == "cache-damaged"
    assert pushed(other).digest == first.digest


def test_a_model_that_changes_while_it_is_sent_is_never_there(wanted: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights are sent from where they lie: what is written there after they were looked at, and before they go up, ends the push."""
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "w.bin").write_bytes(os.urandom(300_000))
    asked = wanted(model=save(tmp_path / "m", files=[tmp_path / "m" / "w.bin"]))
    weights = asked.model / "code" / "w.bin"
    send = Registry.push_blob

    def late(self: Registry, digest: str, size: int, *rest: Any, **more: Any) -> Any:
        if size > 300_000:
            weights.write_bytes(os.urandom(300_000))
        return send(self, digest, size, *rest, **more)

    monkeypatch.setattr(Registry, "push_blob", late)
    with pytest.raises(InvalidFile) as caught:
        pushed(asked)
    monkeypatch.setattr(Registry, "push_blob", send)
    assert caught.value.name == "model-changed"
    with pytest.raises(InvalidFile) as found:
        pushed(asked)
    assert found.value.name == "model-damaged"


def test_annotations_are_bounded_and_printable(wanted: Make) -> None:
    """What a run or a branch is called may be long or hostile: cut with `…`, control characters gone, never so many that a registry refuses it."""
    hostile = {f"vnd.mlops.x{n:04}": "é" * 3000 for n in range(50)} | {"vnd.mlops.a": "x\x1b[31m\x00y\nz"}
    asked = wanted(annotations=hostile)
    made = pushed(asked)
    marks = document(asked, made.digest)["annotations"]
    assert sum(len(name.encode()) + len(value.encode()) for name, value in marks.items()) <= 48_000
    assert marks["vnd.mlops.a"] == "x [31m y\nz"
    assert marks["vnd.mlops.x0000"].endswith("é…")
    assert "org.opencontainers.image.title" in marks


def test_cut_off_at_any_request_what_is_there_is_whole(wanted: Make) -> None:
    """An index that can be found has all its manifests, each manifest its configuration and layers; the next try ends with the same digest."""
    whole = pushed(wanted()).digest
    asked = wanted(repository=Reference.parse(f"{wanted().repository.host}/cut/double"), platforms=("linux/amd64", "linux/arm64"))
    upstream, goal = asked.repository.host, pushed(replace(asked, repository=wanted().repository)).digest
    assert goal != whole
    there = images.client(upstream, "cut/double")
    seen: set[bool] = set()

    def through(host: str) -> None:
        with contextlib.closing(Registry(host, "cut/double", None, sleep=lambda _: None)) as gate:
            clients = lambda reference: gate if reference.host == host else images.client(reference.host, reference.repository)
            push(replace(asked, repository=Reference(host, "cut/double")), clients, lambda _: None)

    def check(_at: int, _moment: str) -> None:
        index = there.pull_manifest(goal)
        seen.add(index is not None)
        for entry in json.loads(index.content)["manifests"] if index else ():
            manifest = document(asked, entry["digest"])
            assert all(there.blob_exists(one["digest"]) for one in (manifest["config"], *manifest["layers"]))

    requests = kills.every(upstream, through, check, moments=("after",))
    assert requests >= 10  # what went up before a cut is there at the next try
    assert seen == {False, True}
