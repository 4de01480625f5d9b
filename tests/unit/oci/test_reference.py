"""Names of images are read as Docker reads them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_toolkit.errors import UsageError
from mlops_toolkit.oci.reference import Reference, api_host, is_digest, mirrored

SHA = "sha256:" + "a1" * 32


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("python:3.12-slim", "docker.io/library/python:3.12-slim"),
        ("python", "docker.io/library/python"),
        ("owner/app", "docker.io/owner/app"),
        ("docker.io/python", "docker.io/library/python"),
        ("index.docker.io/owner/app:v1", "docker.io/owner/app:v1"),
        ("registry-1.docker.io/owner/app:v1", "docker.io/owner/app:v1"),
        ("ghcr.io/owner/repo/app:v1.2.3", "ghcr.io/owner/repo/app:v1.2.3"),
        (f"ghcr.io/owner/app:v1@{SHA}", f"ghcr.io/owner/app:v1@{SHA}"),
        (f"python@{SHA}", f"docker.io/library/python@{SHA}"),
        ("localhost/app", "localhost/app"),
        ("localhost:5000/app", "localhost:5000/app"),
        ("[::1]:5000/app:x", "[::1]:5000/app:x"),
        ("GHCR.io/owner/app", "ghcr.io/owner/app"),
        ("a__b/c-d.e", "docker.io/a__b/c-d.e"),
        ("registry:5000/app", "registry:5000/app"),
        ("eu.gcr.io/p/r_x/i:_1", "eu.gcr.io/p/r_x/i:_1"),
    ],
)
def test_a_name_is_read_as_docker_reads_it(text: str, whole: str) -> None:
    found = Reference.parse(text)
    assert str(found) == whole
    assert Reference.parse(whole) == found


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "the repository is missing"),
        ("ghcr.io/", "the repository is missing"),
        ("ghcr.io/Owner/App", 'lower case, as "owner/app"'),
        ("Python", 'lower case, as "python"'),
        ("Owner/app", 'lower case, as "owner/app"'),
        ("https://ghcr.io/owner/app", "without ://"),
        ("docker://python", "without ://"),
        ("ghcr.io/owner/app:", "is no tag"),
        ("ghcr.io/owner/app:-x", "is no tag"),
        ("ghcr.io/owner/app:" + "x" * 129, "is no tag"),
        ("ghcr.io/owner/app@sha256:12", "is no digest"),
        (f"ghcr.io/owner/app@{SHA.upper()}", "is no digest"),
        ("ghcr.io/owner//app", "is no repository"),
        ("ghcr.io/owner/../app", "is no repository"),
        ("ghcr.io/owner/app?x=1", "is no repository"),
        ("u:p@ghcr.io/owner/app", "is no digest"),
        ("gh cr.io/owner/app", "is no host"),
        ("-x.io/app", "is no host"),
        ("ghcr.io/" + "a" * 255, "longer than 255"),
    ],
)
def test_what_names_no_image_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(UsageError) as caught:
        Reference.parse(text, where="mlops.yaml:12")
    assert caught.value.name == "bad-reference"
    assert why in caught.value.message
    assert str(caught.value).startswith("mlops.yaml:12: ")


@given(st.text(max_size=60))
def test_any_text_is_a_reference_or_refused(text: str) -> None:
    try:
        found = Reference.parse(text)
    except UsageError:
        return
    assert Reference.parse(str(found)) == found


def test_what_is_asked_for_is_the_digest_before_the_tag() -> None:
    found = Reference.parse(f"ghcr.io/o/a:v1@{SHA}")
    assert (found.target, found.at(tag="v2").target, found.at().target) == (SHA, "v2", "latest")
    assert found.name == "ghcr.io/o/a"
    assert (api_host("docker.io"), api_host("ghcr.io")) == ("registry-1.docker.io", "ghcr.io")


@pytest.mark.parametrize(
    ("name", "mirrors", "there"),
    [
        ("python:3.12", {}, "docker.io/library/python:3.12"),
        ("python:3.12", {"docker.io": "mirror.example.com"}, "mirror.example.com/library/python:3.12"),
        ("python:3.12", {"index.docker.io": "mirror.example.com/hub/"}, "mirror.example.com/hub/library/python:3.12"),
        (f"python@{SHA}", {"docker.io": "localhost:5000/hub"}, f"localhost:5000/hub/library/python@{SHA}"),
        ("python", {"docker.io": "a.example", "docker.io/library": "b.example/l"}, "b.example/l/python"),
        ("owner/app", {"docker.io": "a.example", "docker.io/library": "b.example/l"}, "a.example/owner/app"),
        ("owner/app", {"docker.io/own": "a.example"}, "docker.io/owner/app"),
        ("ghcr.io/o/a:v1", {"docker.io": "a.example"}, "ghcr.io/o/a:v1"),
    ],
)
def test_a_mirror_replaces_what_it_stands_for(name: str, mirrors: dict[str, str], there: str) -> None:
    assert str(mirrored(Reference.parse(name), mirrors)) == there


@pytest.mark.parametrize("address", ["", "mirror", "https://a.example", "a.example/UP", "a.example//x"])
def test_a_mirror_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match="is no mirror"):
        mirrored(Reference.parse("python"), {"docker.io": address}, where="publish.mirrors")


def test_digests_that_can_be_checked() -> None:
    assert is_digest(SHA)
    assert is_digest("sha512:" + "0" * 128)
    assert not any(is_digest(text) for text in ("sha256:" + "A" * 64, "sha256:" + "0" * 63, "md5:" + "0" * 32, "", SHA + "\n"))
