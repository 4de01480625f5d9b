"""What docker and ssh say, as errors with a name; and where keys and passwords may come from."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlops_toolkit.config.deploying import amount
from mlops_toolkit.deploy.targets import docker, docker_cli
from mlops_toolkit.errors import UsageError


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("stderr=Host key verification failed.", "ssh-host-key"),
        ("stderr=me@host: Permission denied (publickey).", "ssh-denied"),
        ("Got permission denied while trying to connect to the Docker daemon socket", "no-docker-right"),
        ("stderr=bash: line 1: docker: command not found", "no-docker"),
        ("Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?", "no-docker"),
        ("write /var/lib/docker/x: no space left on device", "disk-full"),
        ("Error response from daemon: manifest unknown", "image-gone"),
        ("Error response from daemon: Head ...: unauthorized", "image-denied"),
        ('Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused', "registry-unreachable"),
        ("error during connect: Get: EOF", "target-unreachable"),
        ("something else\n\x1b[31m" + "x " * 400, "docker-refused"),
    ],
)
def test_what_goes_wrong_on_a_host_has_a_name(said: str, name: str) -> None:
    error = docker_cli.failure(said, "ssh://host")
    assert error.name == name
    assert error.where == "ssh://host"
    assert "\x1b" not in str(error)
    assert len(error.message) < 400


def test_a_key_is_a_file_or_a_variable(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("secret")
    assert docker_cli.given(None, {}, tmp_path, "ssh-key") is None
    assert docker_cli.given("key", {}, tmp_path, "ssh-key") == "secret"
    assert docker_cli.given("env://KEY", {"KEY": "hush"}, tmp_path, "ssh-key") == "hush"
    for value, name in (("other", "no-such-file"), ("env://KEY", "variable-empty")):
        with pytest.raises(UsageError) as caught:
            docker_cli.given(value, {"KEY": " "}, tmp_path, "ssh-key")
        assert caught.value.name == name


@pytest.mark.parametrize(
    ("text", "size"), [("512Mi", 512 * 2**20), ("2Gi", 2**31), ("1.5G", 1_500_000_000), ("100", 100), ("3k", 3000), (None, None)]
)
def test_amounts_of_memory(text: str | None, size: int | None) -> None:
    assert amount(text) == size


def test_what_is_sent_is_roots_alone_and_the_same_bytes() -> None:
    import io
    import tarfile

    files = {"env/a.json": b"{}", "order.json": b"[]"}
    packed = docker._packed(files)
    assert packed == docker._packed(dict(reversed(files.items())))
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        assert [(one.name, one.mode, one.uid) for one in archive] == [("env", 0o700, 0), ("env/a.json", 0o600, 0), ("order.json", 0o600, 0)]
