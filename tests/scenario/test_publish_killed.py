"""A publish that ends at any of its requests to the registry: each tag points at what it pointed at before, or at the whole new model."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import time
from pathlib import Path

import pytest

from mlops_toolkit import build, cli
from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.oci.auth import login
from mlops_toolkit.oci.documents import Manifest
from mlops_toolkit.oci.reference import Reference
from mlops_toolkit.oci.registry import Registry
from tests.world import kills, registry
from tests.world.repository import CONFIG, Repository, make

NAME = "acme/spam-filter"


def impatient(env: dict[str, str], token: str | None, actor: str | None, reference: Reference) -> Registry:
    """A client that does not wait before it asks again."""
    return Registry(reference.host, reference.repository, login(reference.host, env, token, actor), sleep=lambda _: None)


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Repository, Path]:
    """Two releases of a model, v1.0.0 and v1.1.0, neither of them published; and a copy of all there is of that machine."""
    folder = tmp_path_factory.mktemp("reviewed")
    made = make(folder / "laptop", config=CONFIG + "publish: {as: artifact}\n")
    made.mlops("review")
    made.git("tag", "v1.0.0")
    made.wrong(90)
    made.mlops("review")
    made.git("tag", "v1.1.0")
    shutil.copytree(folder / "laptop", folder / "kept", symlinks=True)
    return made, folder


@pytest.fixture
def repository(reviewed: tuple[Repository, Path], monkeypatch: pytest.MonkeyPatch) -> Repository:
    """The releases as they were reviewed, at the same place for each test; this process stands there."""
    made, folder = reviewed
    shutil.rmtree(folder / "laptop")
    shutil.copytree(folder / "kept", folder / "laptop", symlinks=True)
    for name in list(os.environ):
        monkeypatch.delenv(name)
    for name, value in made.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(made.root)
    monkeypatch.setattr(build, "_registry", impatient)
    return made


def publish(repository: Repository, host: str, tag: str, more: str = "") -> str:
    """What it said. EnvironmentFailure where it ended for the registry's sake."""
    image = f"{host}/{NAME}"
    (repository.root / "mlops.yaml").write_text(
        f"{CONFIG}publish: {{as: artifact, image: '{image}', tags: [version, minor, latest]{more}}}\n"
    )
    code, said = called("publish", tag, *(["--override", "the first", "--by", "Ada"] if tag == "v1.0.0" else []))
    if code == 4:
        raise EnvironmentFailure("cut", said)
    assert code == 0, said
    return said


def called(*words: str) -> tuple[int, str]:
    """The command line in this process: its exit code, and what it said."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = cli.main(list(words))
    return code, out.getvalue() + err.getvalue()


def whole(client: Registry, digest: str) -> bool:
    """Whether all of an artifact is there, and proven."""
    stored = client.pull_manifest(digest)
    assert stored is not None
    manifest = Manifest.read(stored.content, stored.media_type)
    return all(client.blob_exists(part.digest) for part in (manifest.config, *manifest.layers)) and bool(client.referrers(digest))


def test_killed_at_every_request_a_tag_points_at_the_old_model_or_at_the_whole_new_one(repository: Repository, tmp_path: Path) -> None:
    place = tmp_path / "registry"
    place.mkdir()
    with registry.running(place) as running:
        publish(repository, running.host, "v1.0.0")
        before = tmp_path / "before"
        shutil.copytree(running.folder, before)
        client = Registry(running.host, NAME, None)
        old = client.manifest_digest("v1.0.0")
        publish(repository, running.host, "v1.1.0")
        new = client.manifest_digest("v1.1.0")
        assert old != new
        seen: set[tuple[str | None, ...]] = set()

        def reset() -> None:
            shutil.rmtree(running.folder)
            shutil.copytree(before, running.folder)

        def check(at: int, moment: kills.Moment) -> None:
            now = {tag: client.manifest_digest(tag) for tag in ("v1.0.0", "1.0", "v1.1.0", "1.1", "latest")}
            assert (now["v1.0.0"], now["1.0"]) == (old, old), (at, moment)
            assert now["v1.1.0"] in (None, new), (at, moment)
            assert now["1.1"] in (None, new)
            assert now["latest"] in (old, new)
            assert all(whole(client, digest) for digest in set(now.values()) if digest), (at, moment)
            seen.add((now["v1.1.0"], now["1.1"], now["latest"]))

        reset()
        with kills.Gate(running.host).open() as gate:
            publish(repository, gate.host, "v1.1.0")
        check(0, "after")
        # What only reads changes nothing: whoever dies there dies before the next that writes.
        requests = gate.requests
        writing = [at for at, line in enumerate(requests, start=1) if line.split()[0] not in ("GET", "HEAD")]
        assert len(writing) > 15
        for turn, at in enumerate(writing):
            tagging = "/manifests/" in requests[at - 1] and "/manifests/sha256" not in requests[at - 1]
            moment: kills.Moment = "before" if tagging else kills.MOMENTS[turn % 3]
            reset()
            with kills.Gate(running.host, at, moment).open() as gate:
                with contextlib.suppress(EnvironmentFailure):
                    publish(repository, gate.host, "v1.1.0")
                check(at, moment)
        assert {(None, None, old), (new, new, new)} <= seen
        assert len(seen) == 4  # each tag was met alone

        # What was cut off is gone on with: the tags that lack are put, and nothing is sent.
        publish(repository, running.host, "v1.1.0")
        client.push_manifest("latest", client.pull_manifest(str(old)).content)  # type: ignore[union-attr]
        said = publish(repository, running.host, "v1.1.0")
        assert "no blob sent" in said
        assert "latest: put, it moves on from" in said
        assert client.manifest_digest("latest") == new


def manifests(running: registry.Running) -> list[Path]:
    """All that the registry holds of the repository, listed or not."""
    return list((running.folder / "docker/registry/v2/repositories" / NAME / "_manifests/revisions/sha256").iterdir())


def test_killed_between_the_tag_and_the_history_the_next_run_mends_it(repository: Repository, tmp_path: Path) -> None:
    place = tmp_path / "registry"
    place.mkdir()
    with registry.running(place) as running:
        publish(repository, running.host, "v1.1.0")
        (record,) = [path for path in (repository.root / ".mlops/runs").glob("*/run.json") if json.loads(path.read_text())["published"]]
        kept = json.loads(record.read_text())
        record.write_text(json.dumps({**kept, "published": [], "released": None}))
        assert "no blob sent" in publish(repository, running.host, "v1.1.0")
        mended = json.loads(record.read_text())
        assert mended["released"] == "v1.1.0"
        assert mended["published"][0]["digest"] == kept["published"][0]["digest"]

        # Killed before any tag, an hour ago: what was attached then is found again, with the time that it says.
        client = Registry(running.host, NAME, None)
        attached = client.referrers(kept["published"][0]["digest"])
        for tag in (running.folder / "docker/registry/v2/repositories" / NAME / "_manifests/tags").iterdir():
            if not tag.name.startswith("sha256-"):
                shutil.rmtree(tag)
        assert "(0 documents sent)" in publish(repository, running.host, "v1.1.0")
        assert client.referrers(kept["published"][0]["digest"]) == attached
        assert len(attached) == 3

        # Killed when they were sent, and the registry's list of them was not: there is one of each all the same.
        with kills.Gate(running.host).open() as gate:
            shutil.rmtree(running.folder)
            publish(repository, gate.host, "v1.1.0")
            (listing,) = [at for at, line in enumerate(gate.requests) if line.startswith("PUT") and "/manifests/sha256-" in line]
            sent = manifests(running)
            shutil.rmtree(running.folder)
            gate.at = len(gate.requests) + listing + 1
            with pytest.raises(EnvironmentFailure):
                publish(repository, gate.host, "v1.1.0")
            assert gate.requests[-1] == gate.requests[listing]
            assert len(manifests(running)) == len(sent) - 1
            gate.shut, gate.at = False, 0
            time.sleep(1.1)  # made now, it would say another second
            publish(repository, gate.host, "v1.1.0")
            assert len(manifests(running)) == len(sent)
        assert not list((repository.root / ".mlops/cache").glob("attach-*"))


def test_of_two_at_once_under_one_tag_one_says_that_the_other_has_it(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another's image comes under the tag after ours was looked for, or even after ours was put there."""
    place = tmp_path / "registry"
    place.mkdir()
    with registry.running(place) as running:
        publish(repository, running.host, "v1.0.0")
        client = Registry(running.host, NAME, None)
        other = client.pull_manifest("v1.0.0")
        assert other is not None
        tag = Registry.tag

        def late(self: Registry, name: str, digest: str, *, if_absent: bool = False) -> None:
            if name == "v1.1.0":
                self.push_manifest(name, other.content, other.media_type)
            tag(self, name, digest, if_absent=if_absent)

        def later(self: Registry, name: str, digest: str, *, if_absent: bool = False) -> None:
            tag(self, name, digest, if_absent=if_absent)
            if name == "v1.1.0":
                self.push_manifest(name, other.content, other.media_type)

        saved = tmp_path / "saved"
        shutil.copytree(running.folder, saved)
        for quicker in (late, later):
            shutil.rmtree(running.folder)
            shutil.copytree(saved, running.folder)
            monkeypatch.setattr(Registry, "tag", quicker)
            with pytest.raises(AssertionError, match=r"the tag v1\.1\.0 is another image's"):
                publish(repository, running.host, "v1.1.0")
            assert client.manifest_digest("v1.1.0") == other.digest
            runs = [json.loads(path.read_text()) for path in (repository.root / ".mlops/runs").glob("*/run.json")]
            assert "v1.1.0" not in [run["released"] for run in runs]


def test_a_scanner_that_refuses_keeps_every_tag_away_and_what_passes_is_signed(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cryptography.hazmat.primitives import serialization as forms
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    secret = key.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.PKCS8, forms.NoEncryption()).decode()
    public = tmp_path / "cosign.pub"
    public.write_bytes(key.public_key().public_bytes(forms.Encoding.PEM, forms.PublicFormat.SubjectPublicKeyInfo))
    place = tmp_path / "registry"
    place.mkdir()
    with registry.running(place) as running:
        signed = ", sign: 'env://COSIGN_PRIVATE_KEY'"
        with pytest.raises(AssertionError, match="the variable COSIGN_PRIVATE_KEY is not set"):
            publish(repository, running.host, "v1.1.0", signed)
        monkeypatch.setenv("COSIGN_PRIVATE_KEY", secret)
        with pytest.raises(AssertionError, match="the scanner refuses the image"):
            publish(repository, running.host, "v1.1.0", signed + ", scan: 'test -z {image}'")
        assert Registry(running.host, NAME, None).tags() == []
        said = publish(repository, running.host, "v1.1.0", signed + ", scan: 'echo $COSIGN_PRIVATE_KEY > seen; test -n {image}'")
        assert "the scanner let it pass" in said
        assert (repository.root / "seen").read_text() == "\n"
        assert secret.splitlines()[1] not in said
        code, said = called(
            "verify", f"{running.host}/{NAME}:v1.1.0", "--key", str(public), "--require", "signature", "--require", "passed"
        )
        assert code == 0, said
