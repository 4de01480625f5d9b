"""Challenges as registries really give them, and as the grammar allows them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_toolkit.oci.challenge import Challenge, covers, parse, scope, united


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (
            'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/python:pull"',
            [
                (
                    "bearer",
                    {"realm": "https://auth.docker.io/token", "service": "registry.docker.io", "scope": "repository:library/python:pull"},
                )
            ],
        ),
        (
            'Bearer realm="https://ghcr.io/token",service="ghcr.io",scope="repository:o/a:pull,push"',
            [("bearer", {"realm": "https://ghcr.io/token", "service": "ghcr.io", "scope": "repository:o/a:pull,push"})],
        ),
        ('Bearer realm="https://eu-docker.pkg.dev/v2/token"', [("bearer", {"realm": "https://eu-docker.pkg.dev/v2/token"})]),
        (
            'Bearer realm="https://x.azurecr.io/oauth2/token",service="x.azurecr.io",scope="repository:a:pull",error="invalid_token"',
            [
                (
                    "bearer",
                    {
                        "realm": "https://x.azurecr.io/oauth2/token",
                        "service": "x.azurecr.io",
                        "scope": "repository:a:pull",
                        "error": "invalid_token",
                    },
                )
            ],
        ),
        (
            'Basic realm="https://123456789012.dkr.ecr.eu-west-1.amazonaws.com/",service="ecr.amazonaws.com"',
            [("basic", {"realm": "https://123456789012.dkr.ecr.eu-west-1.amazonaws.com/", "service": "ecr.amazonaws.com"})],
        ),
        (
            'Bearer realm="https://public.ecr.aws/token/",service="public.ecr.aws",scope="aws"',
            [("bearer", {"realm": "https://public.ecr.aws/token/", "service": "public.ecr.aws", "scope": "aws"})],
        ),
        ('Basic realm="Azure Container Registry"', [("basic", {"realm": "Azure Container Registry"})]),
        ('BASIC Realm="x"', [("basic", {"realm": "x"})]),
        ("Negotiate", [("negotiate", {})]),
        ('Negotiate, Basic realm="x"', [("negotiate", {}), ("basic", {"realm": "x"})]),
        ('NTLM TlRMTVNTUAAB==, Bearer realm="r"', [("ntlm", {}), ("bearer", {"realm": "r"})]),
        (
            'Basic realm="a, b=\\"c\\"", Bearer realm = "r" , scope=x',
            [("basic", {"realm": 'a, b="c"'}), ("bearer", {"realm": "r", "scope": "x"})],
        ),
        (', Basic realm="x",,', [("basic", {"realm": "x"})]),
        ('Bearer realm="one",realm="two"', [("bearer", {"realm": "one"})]),
        ("", []),
        ("=", []),
        ('Bearer realm="open', [("bearer", {})]),
    ],
)
def test_a_header_is_read_by_its_grammar(header: str, found: list[tuple[str, dict[str, str]]]) -> None:
    assert parse(header) == tuple(Challenge(scheme, parameters) for scheme, parameters in found)


@given(st.text(max_size=200) | st.text(alphabet='Basic="\\, rl', max_size=60))
def test_any_header_is_read_without_an_error(header: str) -> None:
    parse(header)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["Bearer", "Basic"]),
            st.dictionaries(
                st.sampled_from(["realm", "scope", "x"]), st.text(st.characters(min_codepoint=32, max_codepoint=126)), min_size=1
            ),
        ),
        min_size=1,
        max_size=3,
    )
)
def test_what_is_quoted_comes_back(challenges: list[tuple[str, dict[str, str]]]) -> None:
    def quoted(text: str) -> str:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    header = ", ".join(f"{scheme} " + ", ".join(f"{key}={quoted(value)}" for key, value in values.items()) for scheme, values in challenges)
    assert parse(header) == tuple(Challenge(scheme.lower(), values) for scheme, values in challenges)


def test_scopes_of_one_repository_become_one() -> None:
    assert united(["repository:a/b:push"], ["repository:a/b:pull", "aws"], ["repository:h:5000/x:pull"]) == (
        "repository:a/b:pull,push",
        "aws",
        "repository:h:5000/x:pull",
    )
    assert scope("a/b", "pull", "push") == "repository:a/b:pull,push"
    assert covers(["repository:a:pull,push"], ["repository:a:pull"])
    assert not covers(["repository:a:pull"], ["repository:a:pull,push"])
    assert not covers(["repository:a:pull"], ["repository:b:pull"])
    assert covers([], [])
