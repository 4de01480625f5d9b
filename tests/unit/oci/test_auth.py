"""Who we are at a registry, as people and machines leave it; and what each registry's challenge is answered with."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mlops_toolkit.oci.auth import Kind, Login, login
from mlops_toolkit.oci.challenge import parse
from mlops_toolkit.oci.identity import Identity

BASE = {"HOME": "/nowhere"}


def docker(folder: Path, document: Any) -> dict[str, str]:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(document))
    return {"DOCKER_CONFIG": str(folder)}


def coded(user: str, password: str) -> str:
    return base64.b64encode(f"{user}:{password}".encode()).decode()


def shown(found: Login | None) -> tuple[str, str, Kind] | None:
    return (found.user, found.password, found.kind) if found else None


@pytest.mark.parametrize(
    ("entry", "found"),
    [
        ({"auth": coded("u", "p:with:colons")}, ("u", "p:with:colons", "password")),
        ({"auth": coded("AWS", "eyJ" + "x" * 2000)}, ("AWS", "eyJ" + "x" * 2000, "password")),
        ({"auth": coded("_json_key", '{"type": "service_account"}')}, ("_json_key", '{"type": "service_account"}', "password")),
        ({"username": "oauth2accesstoken", "password": "ya29.x"}, ("oauth2accesstoken", "ya29.x", "password")),
        ({"auth": coded("00000000-0000-0000-0000-000000000000", ""), "identitytoken": "r"}, ("<token>", "r", "identity")),
        ({"registrytoken": "t"}, ("", "t", "token")),
        ({"auth": ""}, None),
        ({"auth": "%%%"}, None),
        ({"auth": coded("", "")}, None),
        ({"auth": 3}, None),
        ({}, None),
    ],
)
def test_what_docker_login_left_is_found(tmp_path: Path, entry: dict[str, Any], found: tuple[str, str, Kind] | None) -> None:
    for name in ("h", "https://h", "https://h/v1/", "https://h/v2/", "http://h"):
        assert shown(login("h", docker(tmp_path / "docker", {"auths": {name: entry}}), None, None)) == found
    assert login("other", docker(tmp_path / "docker", {"auths": {"h": entry}}), None, None) is None


@pytest.mark.parametrize(
    "document", [{"auths": []}, {"auths": {"h": 1}}, [], {"credHelpers": {"h": "../evil"}}, {"credHelpers": []}, {"credsStore": 3}]
)
def test_a_strange_docker_file_is_no_login(tmp_path: Path, document: Any) -> None:
    assert login("h", docker(tmp_path / "docker", document), None, None) is None


def test_docker_hub_is_kept_under_its_old_name(tmp_path: Path) -> None:
    env = docker(tmp_path / "docker", {"auths": {"https://index.docker.io/v1/": {"auth": coded("u", "p")}}})
    assert shown(login("docker.io", env, None, None)) == ("u", "p", "password")


def helper(tmp_path: Path, name: str, answers: Mapping[str, tuple[str, str]]) -> str:
    """A credential helper that knows these servers; returns the PATH on which it lies."""
    place = tmp_path / "bin" / f"docker-credential-{name}"
    place.parent.mkdir(exist_ok=True)
    cases = "\n".join(
        f"'{server}') echo '{json.dumps({'ServerURL': server, 'Username': u, 'Secret': s})}' ;;" for server, (u, s) in answers.items()
    )
    place.write_text(
        f'#!/bin/sh\n[ "$1" = get ] || exit 2\nread server\ncase "$server" in\n{cases}\n*) echo "credentials not found"; exit 1 ;;\nesac\n'
    )
    place.chmod(0o755)
    return f"{place.parent}:/usr/bin:/bin"


def test_helpers_are_asked_for_their_hosts_first(tmp_path: Path) -> None:
    path = helper(tmp_path, "ecr-login", {"1.dkr.ecr.eu-west-1.amazonaws.com": ("AWS", "ecr")})
    helper(tmp_path, "acr", {"x.azurecr.io": ("<token>", "refresh")})
    helper(tmp_path, "all", {"https://index.docker.io/v1/": ("hub", "s"), "h": ("u", "s")})
    document = {
        "credsStore": "all",
        "credHelpers": {"1.dkr.ecr.eu-west-1.amazonaws.com": "ecr-login", "x.azurecr.io": "acr", "gone.example": "not-installed"},
        "auths": {"plain.example": {"auth": coded("u", "p")}, "h": {}},
    }
    env = {**docker(tmp_path / "docker", document), "PATH": path}
    assert shown(login("1.dkr.ecr.eu-west-1.amazonaws.com", env, None, None)) == ("AWS", "ecr", "password")
    assert shown(login("x.azurecr.io", env, None, None)) == ("<token>", "refresh", "identity")
    assert shown(login("docker.io", env, None, None)) == ("hub", "s", "password")
    assert shown(login("h", env, None, None)) == ("u", "s", "password")
    assert shown(login("plain.example", env, None, None)) == ("u", "p", "password")
    assert login("gone.example", env, None, None) is None


def test_variables_alone_are_enough(tmp_path: Path) -> None:
    """No file and nothing on a command line; each password for its own host only."""
    ours = {**BASE, "MLOPS_REGISTRY": "Harbor.example:8443", "MLOPS_REGISTRY_USER": "robot$ci", "MLOPS_REGISTRY_PASSWORD": "p"}
    assert shown(login("harbor.example:8443", ours, None, None)) == ("robot$ci", "p", "password")
    assert login("harbor.example", ours, None, None) is None
    gitlab = {**BASE, "CI_REGISTRY": "registry.gitlab.com", "CI_REGISTRY_USER": "gitlab-ci-token", "CI_REGISTRY_PASSWORD": "j"}
    assert shown(login("registry.gitlab.com", gitlab, None, None)) == ("gitlab-ci-token", "j", "password")
    assert login("ghcr.io", gitlab, None, None) is None
    whole = {**BASE, "DOCKER_AUTH_CONFIG": json.dumps({"auths": {"h": {"auth": coded("u", "p")}}})}
    assert shown(login("h", whole, None, None)) == ("u", "p", "password")
    assert shown(login("h", {**BASE, "DOCKER_AUTH_CONFIG": "{"}, None, None)) is None


def test_the_forge_s_token_goes_to_its_own_registry_only(tmp_path: Path) -> None:
    assert shown(login("ghcr.io", BASE, "t", "octocat")) == ("octocat", "t", "password")
    assert login("registry.example.org", BASE, "t", "octocat") is None
    assert login("ghcr.io", BASE, None, None) is None
    env = docker(tmp_path / "docker", {"auths": {"ghcr.io": {"auth": coded("me", "mine")}}})
    assert shown(login("ghcr.io", env, "t", "octocat")) == ("me", "mine", "password")
    assert "mine" not in repr(login("ghcr.io", env, "t", "octocat"))


READ = ("repository:o/a:pull",)
ME = Login("u", "p")
ANSWER = {"token": "T"}


def asked(host: str, who: Login | None, challenge: str, answers: list[tuple[int, dict[str, Any]]], scopes: tuple[str, ...] = READ) -> Any:
    """What the token server was asked after a challenge, and what the registry is told then."""
    seen: list[Any] = []

    def fetch(method: str, url: str, fields: list[tuple[str, str]], authorization: str | None) -> tuple[int, dict[str, Any]]:
        seen.append((method, url, fields, authorization))
        return answers.pop(0)

    identity = Identity(host, who, fetch)
    assert identity.header(scopes) is None
    again = identity.challenged(parse(challenge), None, scopes)
    return seen, identity.header(scopes) if again else None


def test_each_registry_s_own_challenge_is_answered_as_it_wants() -> None:
    hub = 'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:o/a:pull"'
    fields = [("service", "registry.docker.io"), ("scope", "repository:o/a:pull")]
    assert asked("registry-1.docker.io", None, hub, [(200, ANSWER)]) == (
        [("GET", "https://auth.docker.io/token", fields, None)],
        "Bearer T",
    )
    assert asked("registry-1.docker.io", ME, hub, [(200, ANSWER)])[0][0][3] == ME.basic
    google = 'Bearer realm="https://eu-docker.pkg.dev/v2/token"'
    who = Login("oauth2accesstoken", "ya29")
    found, header = asked("eu-docker.pkg.dev", who, google, [(200, ANSWER)])
    assert (found, header) == ([("GET", "https://eu-docker.pkg.dev/v2/token", [("scope", READ[0])], who.basic)], "Bearer T")
    amazon = 'Basic realm="https://1.dkr.ecr.eu-west-1.amazonaws.com/",service="ecr.amazonaws.com"'
    aws = Login("AWS", "eyJ")
    assert asked("1.dkr.ecr.eu-west-1.amazonaws.com", aws, amazon, []) == ([], aws.basic)
    public = 'Bearer realm="https://public.ecr.aws/token/",service="public.ecr.aws",scope="aws"'
    found, _ = asked("public.ecr.aws", aws, public, [(200, ANSWER)])
    assert ("scope", "aws") in found[0][2]
    azure = 'Bearer realm="https://x.azurecr.io/oauth2/token",service="x.azurecr.io",scope="repository:o/a:pull"'
    found, header = asked("x.azurecr.io", Login("<token>", "R", "identity"), azure, [(200, {"access_token": "A"})])
    form = {"grant_type": "refresh_token", "service": "x.azurecr.io", "client_id": "mlops-toolkit", "scope": READ[0], "refresh_token": "R"}
    assert (found[0][0], found[0][1], dict(found[0][2]), found[0][3]) == ("POST", "https://x.azurecr.io/oauth2/token", form, None)
    assert header == "Bearer A"
    gitlab = 'Bearer realm="https://gitlab.com/jwt/auth",service="container_registry",scope="repository:o/a:pull,push"'
    found, _ = asked("registry.gitlab.com", ME, gitlab, [(200, ANSWER)])
    assert ("scope", "repository:o/a:pull,push") in found[0][2]
    both = 'Basic realm="r", Bearer realm="https://h.example/token"'
    assert asked("h.example", ME, both, [(200, ANSWER)])[1] == "Bearer T"
    assert asked("h.example", ME, 'Negotiate, Basic realm="r"', [])[1] == ME.basic


@pytest.mark.parametrize(
    ("host", "challenge"),
    [
        ("h.example", 'Bearer realm="http://h.example/token"'),
        ("h.example", 'Bearer realm="http://127.0.0.1/token"'),
        ("h.example", 'Bearer realm="http://localhost:80/token"'),
        ("h.example", 'Bearer realm="https://u:p@h.example/token"'),
        ("h.example", 'Bearer realm="token"'),
        ("h.example", 'Bearer realm="file:///etc/passwd"'),
        ("h.example", "Bearer"),
        ("h.example", "Negotiate"),
        ("h.example", ""),
        ("127.0.0.1:5000", 'Bearer realm="http://elsewhere.example/token"'),
    ],
)
def test_a_challenge_that_would_give_us_away_gets_nothing(host: str, challenge: str) -> None:
    assert asked(host, ME, challenge, []) == ([], None)


@pytest.mark.parametrize(
    "answer", [(401, {}), (200, {}), (200, {"token": 3}), (200, {"token": "a\r\nX: y"}), (200, {"token": ""}), (302, {"token": "x"})]
)
def test_a_token_server_that_gives_none_leaves_us_unknown(answer: tuple[int, dict[str, Any]]) -> None:
    assert asked("h.example", ME, 'Bearer realm="https://h.example/token"', [answer])[1] is None


def test_a_password_is_shown_once_and_not_again_after_it_was_refused() -> None:
    identity = Identity("h.example", ME, lambda *_: (500, {}))
    basic = parse('Basic realm="r"')
    assert identity.challenged(basic, None, READ)
    assert not identity.challenged(basic, ME.basic, READ)
    assert not Identity("h.example", None, lambda *_: (500, {})).challenged(basic, None, READ)
    assert not Identity("h.example", Login("", "T", "token"), lambda *_: (500, {})).challenged(basic, "Bearer T", READ)
