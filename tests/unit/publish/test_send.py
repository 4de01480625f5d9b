"""Where an image goes, and what a tag's message names."""

from __future__ import annotations

import pytest

from mlops_toolkit.errors import UsageError
from mlops_toolkit.publish.send import own, repository
from mlops_toolkit.publish.target import named

HUB = "https://github.com"


@pytest.mark.parametrize(
    ("image", "server", "slug", "remote", "expected"),
    [
        (None, HUB, "Acme/Spam", None, "ghcr.io/acme/spam/spam-filter"),
        (None, None, None, "git@github.com:Acme/Spam.git", "ghcr.io/acme/spam/spam-filter"),
        (None, None, None, "https://x:secret@github.com/acme/spam", "ghcr.io/acme/spam/spam-filter"),
        (None, None, None, "ssh://git@github.com/acme/spam.git", "ghcr.io/acme/spam/spam-filter"),
        ("registry.example.com:5000/team/x", HUB, "acme/spam", None, "registry.example.com:5000/team/x"),
        ("team/x", HUB, "acme/spam", None, "docker.io/team/x"),
    ],
)
def test_an_image_goes_where_it_is_told_or_beside_the_code(
    image: str | None, server: str | None, slug: str | None, remote: str | None, expected: str
) -> None:
    assert repository(image, server=server, slug=slug, remote=remote, name="Spam-Filter", where="mlops.yaml:9").name == expected


@pytest.mark.parametrize(
    ("image", "server", "remote", "name"),
    [
        (None, "https://github.example.com", None, "no-image-name"),
        (None, None, "https://gitlab.com/acme/spam", "no-image-name"),
        (None, None, "https://evilgithub.com/acme/spam", "no-image-name"),
        (None, None, None, "no-image-name"),
        ("ghcr.io/acme/spam:v1", HUB, None, "bad-reference"),
        ("ghcr.io/Acme/Spam", HUB, None, "bad-reference"),
    ],
)
def test_what_cannot_be_an_image_s_place_is_refused(image: str | None, server: str | None, remote: str | None, name: str) -> None:
    with pytest.raises(UsageError) as caught:
        repository(image, server=server, slug="acme/spam" if server else None, remote=remote, name="spam", where="mlops.yaml:9")
    assert caught.value.name == name


def test_each_leg_of_a_matrix_has_a_repository_of_its_own() -> None:
    plain = repository("ghcr.io/acme/spam", server=None, slug=None, remote=None, name="spam", where="")
    assert own(plain, None) == plain
    assert own(plain, "Large, v2").repository == "acme/spam-large--v2"


def test_the_lines_of_a_tag_s_message_name_runs() -> None:
    run = "20261124-092057-3f9a1c"
    assert named(f"Version 2\n\nmlops-run: {run}\r\n  MLOPS-RUN:\t{run}\nsee mlops-run: {run[:-1]}0\nmlops-run: {run}x\n") == (run,)
    assert named("") == ()
