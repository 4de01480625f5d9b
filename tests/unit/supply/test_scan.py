"""The user's scanner: its exit status decides, it sees no secret, and what it prints obeys nobody."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlops_toolkit.errors import CommandFailed
from mlops_toolkit.supply.scan import Scanned, environment, scan

IMAGE = f"ghcr.io/owner/spam@sha256:{'a' * 64}"
ENV = {"PATH": "/usr/bin:/bin", "HOME": "/root", "COSIGN_PASSWORD": "hush", "GITHUB_TOKEN": "hush", "AWS_SECRET_ACCESS_KEY": "hush"}


def run(tmp_path: Path, command: str, *, seconds: float = 30) -> Scanned:
    return scan(command, IMAGE, env=ENV, cwd=tmp_path, log=tmp_path / ".mlops" / "scan.log", timeout_seconds=seconds)


def test_a_scanner_that_finds_nothing_lets_it_pass(tmp_path: Path) -> None:
    found = run(tmp_path, "echo looked at {image}; env > seen")
    assert found.lines == (f"looked at {IMAGE}",)
    seen = (tmp_path / "seen").read_text()
    assert "hush" not in seen
    assert "HOME=/root" in seen


def test_a_scanner_that_finds_something_refuses_it(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="refuses the image \\(exit status 3\\)") as refused:
        run(tmp_path, "printf 'CVE-1\\n\\033[2J\\033[31mCVE-2\\033[0m\\n::error::x\\n' && echo {image} && exit 3")
    assert (refused.value.name, refused.value.code) == ("scan-refused", 5)
    said = str(refused.value)
    assert "CVE-2" in said
    assert "\x1b" not in said
    assert "\n::" not in said
    assert "\n  ::" not in said
    assert "no tag was moved" in said


@pytest.mark.parametrize(
    ("command", "name"),
    [("no-such-scanner {image}", "command-not-found"), ("sleep 30 # {image}", "time-limit"), ("trivy image", "no-image-in-scan")],
)
def test_a_scan_that_does_not_happen_refuses_it_too(tmp_path: Path, command: str, name: str) -> None:
    with pytest.raises(CommandFailed) as refused:
        run(tmp_path, command, seconds=0.5)
    assert refused.value.name == name


def test_the_image_is_one_word(tmp_path: Path) -> None:
    """A repository's name comes from a configuration; it is quoted all the same."""
    found = scan("echo {image}", "x; echo ran $(id)", env=ENV, cwd=tmp_path, log=tmp_path / "log")
    assert found.lines == ("x; echo ran $(id)",)


def test_what_a_scanner_sees() -> None:
    kept = {
        "PATH": "p",
        "DOCKER_CONFIG": "d",
        "HTTPS_PROXY": "h",
        "https_proxy": "h",
        "TRIVY_CACHE_DIR": "c",
        "SSL_CERT_FILE": "s",
        "LC_ALL": "C",
    }
    hidden = {"TRIVY_TOKEN": "t", "GRYPE_DB_PASSWORD": "p", "MLOPS_REGISTRY_PASSWORD": "p", "DOCKER_AUTH_CONFIG": "a", "ANYTHING": "x"}
    assert environment({**kept, **hidden}) == kept


def test_a_flood_is_kept_in_the_log_alone(tmp_path: Path) -> None:
    found = run(tmp_path, "seq 100000 # {image}")
    assert len(found.lines) <= 20
    assert (tmp_path / ".mlops" / "scan.log").stat().st_size > 500_000
