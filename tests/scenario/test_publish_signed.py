"""Published with a key and a scanner, and verified by somebody who has nothing but the public key and the registry."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization as forms

from tests.check import ROOT
from tests.scenario.test_publish import MAY, Publisher, configured
from tests.world.proven import KEY, OTHER
from tests.world.registry import Running
from tests.world.team import Step, team

pytestmark = pytest.mark.registry

SECRET = KEY.key.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.PKCS8, forms.BestAvailableEncryption(b"hush-hush")).decode()
SIGNED = ", sign: 'env://COSIGN_PRIVATE_KEY', scan: 'env > %s/seen; echo looked at {image}; test ! -e %s/refuse'"


def verify(publisher: Publisher, folder: Path, tag: str, *words: str, code: int = 0) -> dict[str, Any]:
    (folder / "cosign.pub").write_bytes(KEY.public.pem)
    (folder / "other.pub").write_bytes(OTHER.public.pem)
    env = {**os.environ, "PYTHONPATH": str(ROOT), **publisher.registry.docker_config(folder / "docker")}
    command = [sys.executable, "-m", "mlops_toolkit", "verify", f"{publisher.registry.host}/{publisher.name}:{tag}", "--json", *words]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == code, done.stdout + done.stderr
    data: dict[str, Any] = json.loads(done.stdout)
    return data


def test_whoever_has_the_public_key_can_tell(tmp_path: Path, locked_registry: Running) -> None:
    """First the scanner refuses it, then it is out, signed; and the secret is nowhere."""
    (tmp_path / "team").mkdir()
    more = SIGNED % (tmp_path, tmp_path)
    with team(tmp_path / "team", {"mlops.yaml": configured(tmp_path, locked_registry, "acme/signed", more)}, may=MAY) as made:
        publisher = Publisher(made, locked_registry, "acme/signed")

        def publish(tag: str, *, code: int = 0, again: bool = False) -> Step:
            if not again:
                publisher.tagged(tag)
            job = publisher.job(tag)
            job.env |= {"COSIGN_PRIVATE_KEY": SECRET, "COSIGN_PASSWORD": "hush-hush"}
            return job.step("publish", code=code)

        made.reviewed(made.push())
        publisher.wrong(28)
        (tmp_path / "refuse").touch()
        refused = publish("v0.9.0", code=5)
        assert "refuses the image" in refused.err
        assert publisher.tags() == {}

        (tmp_path / "refuse").unlink()
        done = publish("v1.0.0")
        found = verify(publisher, tmp_path, "v1.0.0", "--key", "cosign.pub", "--require", "passed", "--require", "repository=acme/models")
        assert (found["proven"], found["digest"], found["form"]) == (True, done.outputs["digest"], "artifact")
        assert (found["says"]["run"], found["says"]["tag"], found["says"]["decision"]) == (done.outputs["run"], "v1.0.0", "passed")
        wrong = verify(publisher, tmp_path, "v1.0.0", "--key", "other.pub", code=5)
        assert [one["name"] for one in wrong["errors"]] == ["wrong-signature", "unsigned-provenance", "unsigned-verdict"]

        # The same image under another tag: what the scanner knows of it by now keeps that one away.
        (tmp_path / "refuse").touch()
        assert "refuses the image" in publish("v1.0.1", code=5).err
        assert "v1.0.1" not in publisher.tags()
        assert "no blob sent" in publish("v1.0.0", again=True).err
    for place in tmp_path.rglob("*"):
        if place.is_file() and place.stat().st_size < 1_000_000:
            assert b"hush-hush" not in place.read_bytes(), place
