"""Proofs in the real docker-registry, which keeps no list of referrers: found again, by us and by programs that nobody here wrote."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.layered import Reader
from mlops_toolkit.oci.reference import Reference
from mlops_toolkit.oci.registry import Registry
from mlops_toolkit.supply import sign, words
from mlops_toolkit.supply.decide import Required, decide, refused
from mlops_toolkit.supply.gather import gather
from tests.needs import require, tool
from tests.world import proven
from tests.world.fake_registry import FakeRegistry
from tests.world.kills import MOMENTS, Gate
from tests.world.proven import KEY, OTHER, Proven
from tests.world.registry import PASSWORD, USER, Running


@pytest.fixture(scope="module")
def found(locked_registry: Running) -> Iterator[Proven]:
    made = proven.published(locked_registry.host, "supply/spam", login=locked_registry.login)
    yield made
    made.registry.close()


def names(registry: Registry, **more: Any) -> list[str]:
    facts = gather(registry, Reference.parse(f"{registry.name}:v1.2.3"), key=KEY.public, deep=True, reader=Reader)
    return [error.name for error in refused(decide(facts, Required(**more)))]


def skopeo(*words_: str, expected: int = 0) -> str:
    program = require("registry", "skopeo")["skopeo"]
    done = subprocess.run([program, *words_], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == expected, done.stderr
    return done.stdout


@pytest.mark.registry
def test_it_is_found_again_and_a_second_time_nothing_is_sent(found: Proven) -> None:
    assert names(found.registry, passed=True, signature=True) == []
    sent = found.registry.sent_blobs
    assert found.prove().sent == 0
    assert found.registry.sent_blobs == sent


@pytest.mark.registry
def test_without_a_key_the_statements_are_there_too(locked_registry: Running) -> None:
    made = proven.published(locked_registry.host, "supply/plain", login=locked_registry.login, key=None)
    assert made.prove(None).sent == 0
    facts = gather(made.registry, Reference.parse(f"{made.registry.name}:v1.2.3"), key=None, deep=False, reader=Reader)
    assert refused(decide(facts, Required())) == []
    assert {claim.statement.predicate_type for claim in facts.claims} == {words.PROVENANCE, words.GATE}
    assert facts.signatures == ()
    assert names(made.registry) == ["missing-signature", "unsigned-provenance", "unsigned-verdict"]
    assert made.prove(KEY).sent > 0  # signed later, by whoever has the key
    assert names(made.registry) == []
    made.registry.close()


@pytest.mark.registry
def test_signatures_of_others_stay(found: Proven) -> None:
    assert sign.sign(found.registry, found.subject.digest, OTHER)
    assert not sign.sign(found.registry, found.subject.digest, OTHER)
    assert not sign.sign(found.registry, found.subject.digest, KEY)
    held, spoiled = sign.signatures(found.registry, found.subject.digest, KEY.public)
    assert ([one.state for one in held], spoiled) == (["ok", "wrong"], ())


@pytest.mark.registry
def test_other_programs_read_it(found: Proven, locked_registry: Running, tmp_path: Path) -> None:
    """skopeo fetches a signature, a bill of materials and an attestation as the artifacts they are; OpenSSL verifies the signature."""
    login = ["--tls-verify=false", f"--creds={USER}:{PASSWORD}"]
    image = f"docker://{found.registry.name}"
    kinds = set()
    for _, digest in found.proof.attached if found.proof else ():
        if digest.startswith("sha256:"):
            document = json.loads(skopeo("inspect", "--raw", *login, f"{image}@{digest}"))
            assert document["subject"]["digest"] == found.subject.digest
            kinds.add(document["artifactType"])
    assert kinds == {words.SBOM, words.BUNDLE}
    tag = words.tag_of(found.subject.digest, "sig")
    skopeo("copy", "--src-tls-verify=false", f"--src-creds={USER}:{PASSWORD}", f"{image}:{tag}", f"dir:{tmp_path}/sig")
    (layer, *_) = json.loads((tmp_path / "sig" / "manifest.json").read_text())["layers"]
    (tmp_path / "pub").write_bytes(KEY.public.pem)
    (tmp_path / "raw").write_bytes(base64.b64decode(layer["annotations"][words.SIGNATURE]))
    payload = tmp_path / "sig" / layer["digest"].removeprefix("sha256:")
    assert json.loads(payload.read_text())["critical"]["image"]["docker-manifest-digest"] == found.subject.digest
    openssl = require("registry", "openssl")["openssl"]
    asked = [openssl, "dgst", "-sha256", "-verify", str(tmp_path / "pub"), "-signature", str(tmp_path / "raw"), str(payload)]
    assert subprocess.run(asked, capture_output=True, check=False).stdout == b"Verified OK\n"


@pytest.mark.registry
def test_cosign_verifies_it(found: Proven, locked_registry: Running, tmp_path: Path) -> None:
    """Where cosign is: it is no small program, and no test installs it. Without a network, so without its log."""
    cosign = tool("cosign")
    if cosign is None:
        pytest.skip("cosign is not installed")
    env = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", **locked_registry.docker_config(tmp_path / "docker")}
    (tmp_path / "pub").write_bytes(KEY.public.pem)
    (tmp_path / "other").write_bytes(proven.OTHER.public.pem)
    (tmp_path / "root.json").write_text('{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}')
    image = f"{found.registry.name}@{found.subject.digest}"
    for verb in (["verify"], ["verify-attestation", "--type", "slsaprovenance1"], ["verify-attestation", "--type", words.GATE]):
        for key, good in (("pub", True), ("other", False)):
            given = ["--key", str(tmp_path / key), "--trusted-root", str(tmp_path / "root.json")]
            alone = ["--insecure-ignore-tlog", "--allow-http-registry"]
            done = subprocess.run([cosign, *verb, *given, *alone, image], env=env, capture_output=True, text=True, timeout=60, check=False)
            signed_by_other_too = verb == ["verify"] and key == "other"  # test_signatures_of_others_stay leaves one in the older layout
            assert (done.returncode == 0) == good or signed_by_other_too, done.stderr


def test_killed_at_any_moment_it_is_mended_by_the_next_run() -> None:
    """Half a proof lacks something; it never says something else. The next run sends what is missing."""

    def at_once(_: float) -> None: ...

    def prove(host: str) -> None:
        registry = Registry(host, "owner/spam", None, sleep=at_once)
        Proven(registry, made.subject, made.platforms, made.sbom, made.documents).prove()
        registry.close()

    with FakeRegistry(referrers=False).serving() as fake:
        made = proven.published(fake.host, "owner/spam", prove_it=False, sleep=at_once)
        before = dict(fake.blobs), dict(fake.manifests)
        with Gate(fake.host).open() as gate:
            prove(gate.host)
        requests = len(gate.requests)
        for number, moment in enumerate((*MOMENTS, *MOMENTS), 1):
            fake.blobs, fake.manifests = dict(before[0]), dict(before[1])
            with Gate(fake.host, number * requests // 8, moment).open() as gate, pytest.raises(EnvironmentFailure):
                prove(gate.host)
            lacking = set(names(made.registry))
            assert lacking or number > 3  # at the end only the platforms' own signatures are missing
            assert lacking <= {"missing-signature", "missing-provenance", "missing-verdict", "missing-sbom"}
            made.prove()
            assert names(made.registry) == []
        made.registry.close()
