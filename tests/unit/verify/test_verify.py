"""`mlops verify` as a person or a script calls it: what is printed, which code it ends with, and images of other makers."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlops_toolkit.image.artifact import push
from mlops_toolkit.image.wanted import Wanted
from mlops_toolkit.layered import Reader
from mlops_toolkit.models.digest import digest
from mlops_toolkit.oci.documents import CONFIG, LAYER, MANIFEST, Config, Descriptor, Manifest, Platform, digest_of
from mlops_toolkit.oci.reference import Reference
from mlops_toolkit.oci.registry import Registry
from mlops_toolkit.supply.facts import MODEL, Facts
from mlops_toolkit.supply.gather import gather
from tests.check import ROOT
from tests.unit.formats.saved import save
from tests.world import proven, ready
from tests.world.fake_registry import FakeRegistry
from tests.world.proven import KEY, Proven
from tests.world.registry import Running

MARKS = {"vnd.mlops.model.digest": proven.model_digest(), "vnd.mlops.run": proven.RUN}


def mlops(folder: Path, *words: str, env: dict[str, str] | None = None, expected: int = 0) -> tuple[str, str]:
    done = ready.mlops(["verify", *words], cwd=folder, env={"PYTHONPATH": str(ROOT), "HOME": str(folder), **(env or {})}, timeout=60)
    assert done.returncode == expected, done.stdout + done.stderr
    return done.stdout, done.stderr


@pytest.fixture(scope="module")
def found() -> Iterator[Proven]:
    with FakeRegistry().serving() as fake:
        yield proven.published(fake.host, "owner/spam")


def test_it_says_what_it_found(found: Proven, tmp_path: Path) -> None:
    (tmp_path / "cosign.pub").write_bytes(KEY.public.pem)
    out, err = mlops(tmp_path, f"{found.registry.name}:v1.2.3", "--key", "cosign.pub", "--deep", "--require", "passed")
    lines = out.splitlines()
    assert lines[1] == f"now {found.subject.digest}"
    assert [line.split()[:2] for line in lines if line[:1] in "✓✗⚠○" and line.strip()] == [
        ["✓", what] for what in ("content", "model", "signature", "provenance", "verdict", "materials")
    ]
    assert lines[-1] == "verified"
    assert max(map(len, lines)) <= 100
    assert err == ""


def test_scripts_get_one_document_and_a_code(found: Proven, tmp_path: Path) -> None:
    env = {"PUB": KEY.public.pem.decode()}
    out, _ = mlops(
        tmp_path,
        f"{found.registry.name}@{found.subject.digest}",
        "--key",
        "env://PUB",
        "--json",
        "--require",
        "commit=0000000",
        env=env,
        expected=5,
    )
    data = json.loads(out)
    assert (data["verified"], data["proven"], data["digest"]) == (False, False, found.subject.digest)
    assert [error["name"] for error in data["errors"]] == ["unexpected-commit"]
    assert data["says"] == {
        "repository": "https://github.com/owner/spam",
        "commit": proven.COMMIT,
        "run": proven.RUN,
        "tag": "v1.2.3",
        "builder": proven.BUILDER.id,
        "decision": "passed",
    }


@pytest.mark.registry
def test_it_logs_in_as_docker_does_and_says_what_is_not_there(locked_registry: Running, tmp_path: Path) -> None:
    made = proven.published(locked_registry.host, "verify/spam", login=locked_registry.login, key=None, prove_it=False)
    env = locked_registry.docker_config(tmp_path / "docker")
    out, _ = mlops(tmp_path, f"{made.registry.name}:v1.2.3", env=env, expected=5)
    assert out.splitlines()[-1] == "refused: missing-provenance, missing-verdict"
    _, err = mlops(tmp_path, f"{made.registry.name}:v9", env=env, expected=2)
    assert err.startswith("mlops verify: IMAGE: there is no v9 in ")
    _, err = mlops(tmp_path, f"{made.registry.name}:v1.2.3", expected=4)
    assert "docker login" in err


def look(registry: Registry, reference: str, *, deep: bool = False) -> Facts:
    return gather(registry, Reference.parse(f"{registry.name}@{reference}"), key=None, deep=deep, reader=Reader)


@pytest.fixture
def registry() -> Iterator[Registry]:
    with FakeRegistry().serving() as fake:
        made = Registry(fake.host, "owner/other", None)
        yield made
        made.close()


def plain_image(registry: Registry, layers: list[bytes], labels: dict[str, str] | None = None, *, diffs: int | None = None) -> str:
    """An image without an index, as Docker pushes it: it says by labels what it is."""
    config = proven.blob(
        registry, Config(Platform("linux", "amd64"), {"Labels": labels or {}}, tuple(map(digest_of, layers))[:diffs]).to_bytes()
    )
    described = tuple(Descriptor.of(LAYER, proven.blob(registry, one)) for one in layers)
    raw = Manifest(Descriptor.of(CONFIG, config), described).to_bytes()
    registry.push_manifest(digest_of(raw), raw)
    return digest_of(raw)


def model_files(**more: bytes) -> dict[str, bytes]:
    return {f"models/spam/{path}": content for path, content in {**proven.FILES, **more}.items()}


def test_an_image_that_docker_built_is_read_by_its_labels(registry: Registry) -> None:
    """The model need not be in the last layer, and what is above it is something else."""
    layers = [proven.tar({"etc/x": b"1"}), proven.tar(model_files()), proven.tar({"app/run.sh": b"2"})]
    for deep in (False, True):
        found = look(registry, plain_image(registry, layers, MARKS), deep=deep)
        assert found.model == found.annotations["vnd.mlops.model.digest"] == proven.model_digest()


def test_layers_lie_on_each_other(registry: Registry) -> None:
    """Read in depth, a model is what a container sees: files of lower layers too, but for those that an upper one deletes or replaces."""
    lower = proven.tar(model_files(**{"model.onnx": b"old", "extra": b"x"}))
    upper = proven.tar({"models/spam/model.onnx": proven.FILES["model.onnx"], "models/spam/.wh.extra": b""})
    assert look(registry, plain_image(registry, [lower, upper], MARKS), deep=True).model == proven.model_digest()
    assert look(registry, plain_image(registry, [lower, proven.tar({"models/spam/.wh..wh..opq": b""})], MARKS), deep=True).model is None
    more = look(registry, plain_image(registry, [proven.tar({"models/spam/evil.py": b"x"}), proven.tar(model_files())], MARKS), deep=True)
    assert more.model not in (None, proven.model_digest())


def test_platforms_that_hold_different_models_hold_none(registry: Registry) -> None:
    first, second = (plain_image(registry, [proven.tar(model_files(extra=one))]) for one in (b"1", b"2"))
    entries = []
    for one, architecture in ((first, "amd64"), (second, "arm64")):
        stored = registry.pull_manifest(one)
        assert stored is not None
        entries.append({**Descriptor(MANIFEST, one, len(stored.content), platform=Platform("linux", architecture)).document()})
    raw = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": entries}).encode()
    registry.push_manifest(digest_of(raw), raw, "application/vnd.oci.image.index.v1+json")
    found = look(registry, digest_of(raw))
    assert (found.model, found.model_note) == (None, "its platforms hold different models")


def odd_tar(kind: bytes, size: int = 0, name: str = "models/spam/x") -> bytes:
    import tarfile

    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, "/etc/passwd" if kind in (b"1", b"2") else ""
        archive.addfile(info)
    raw = bytearray(out.getvalue())
    if size:  # a header that promises more than there is
        raw[124:136] = f"{size:011o}\0".encode()
        raw[148:156] = b" " * 8
        raw[148:156] = f"{sum(raw[:512]):06o}\0 ".encode()
    return bytes(raw)


@pytest.mark.parametrize(
    ("layer", "why"),
    [
        (odd_tar(b"2"), "no plain file"),
        (odd_tar(b"1"), "no plain file"),
        (odd_tar(b"6"), "no plain file"),
        (odd_tar(b"0", 1 << 32), "no archive|unexpected end"),
        (odd_tar(b"x", 1 << 32), "header in the archive is too large|no archive"),
        (odd_tar(b"L", 1 << 32), "header in the archive is too large|no archive"),
        (odd_tar(b"S", 1 << 12), "holes|no archive"),
        (b"\x00" * 4096, "none in its layers"),
        (b"rubbish" * 500, "no archive"),
        (proven.tar({"models/a/x": b"", "models/b/x": b""}), "none in its layers"),
        (proven.tar({"models/file": b""}), "none in its layers"),
    ],
)
def test_layers_that_hold_no_model(registry: Registry, layer: bytes, why: str) -> None:
    import re

    found = look(registry, plain_image(registry, [layer], MARKS))
    assert found.model is None
    assert re.search(why, found.model_note), found.model_note


def test_a_configuration_that_names_other_layers_is_found(registry: Registry) -> None:
    found = look(registry, plain_image(registry, [proven.tar({"etc/x": b"1"}), proven.tar(model_files())], MARKS, diffs=1))
    assert [(piece.what, piece.note) for piece in found.pieces if piece.state == "wrong"] == [
        ("the configuration", "it names 1 layers, the manifest 2")
    ]


def test_what_is_published_as_an_artifact_is_the_model(registry: Registry, tmp_path: Path) -> None:
    """The card that comes along is no part of it; a program among its files stays one."""
    folder = save(tmp_path)
    (folder / "code" / "predict.py").chmod(0o755)
    told = digest(folder).digest
    here = Reference.parse(registry.name)
    documents = {"usr/share/mlops/spam/README.md": b"# spam"}
    wanted = Wanted(folder, "spam", here, here, tmp_path / "cache", annotations={**MARKS, MODEL: told}, documents=documents)
    pushed = push(wanted, lambda _: registry, lambda _: None)
    found = look(registry, pushed.digest)
    assert (found.form, found.model) == ("artifact", told)


def test_a_model_alone_is_read_file_by_file(registry: Registry) -> None:
    """An artifact: a layer a file, named by its annotation."""
    layers = []
    for path, content in proven.FILES.items():
        marks = {"org.cncf.model.filepath": path, **({"vnd.mlops.executable": "true"} if path.startswith("bin/") else {})}
        layers.append(Descriptor.of("application/vnd.cncf.model.weight.v1.raw", proven.blob(registry, content), annotations=marks))
    config = proven.blob(registry, b'{"descriptor": {}}')
    described = Descriptor.of("application/vnd.cncf.model.config.v1+json", config)
    raw = Manifest(described, tuple(layers), MARKS, "application/vnd.cncf.model.manifest.v1+json").to_bytes()
    registry.push_manifest(digest_of(raw), raw)
    found = look(registry, digest_of(raw))
    assert (found.form, found.model) == ("artifact", proven.model_digest())
