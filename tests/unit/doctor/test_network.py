"""Proxy, certificate, name, port and silence, each met on a real server and told apart, for the API and for git."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from mlops_toolkit.doctor import network
from mlops_toolkit.doctor.checks.network import check, git
from tests.unit.doctor import places
from tests.unit.doctor.places import environment, job, of, patient, repository
from tests.world import trouble

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
SETTINGS = (*PROXIES, "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "GIT_SSL_CAINFO")
PATIENCE = 5.0


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return trouble.certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def servers(signed: tuple[Path, Path]) -> Iterator[dict[str, str]]:
    """Address by what is wrong with it. All at once: each case says which it means."""
    with ExitStack() as stack:
        yield {
            "tls": stack.enter_context(trouble.tls(signed)),
            "plain": stack.enter_context(trouble.plain()),
            "p403": stack.enter_context(trouble.plain(403)),
            "p407": stack.enter_context(trouble.plain(407)),
            "p502": stack.enter_context(trouble.plain(502)),
            "closed": stack.enter_context(trouble.closed()),
            "ca": str(signed[0]),
        }


# url, variables, what is said, what to do; {name} is a server above. First of the API, then of git.
CASES = [
    ("https://{tls}/", {}, "the certificate of {tls} is signed by itself", "export REQUESTS_CA_BUNDLE=/path"),
    ("https://{tls}/", {"SSL_CERT_FILE": "{ca}"}, "is signed by itself", "SSL_CERT_FILE is not read here:\nexport REQUESTS_CA_BUNDLE={ca}"),
    ("https://{tls}/", {"REQUESTS_CA_BUNDLE": "/no/such.pem"}, "REQUESTS_CA_BUNDLE is /no/such.pem, and there is no such file", "PEM file"),
    ("https://{tls}/", {"REQUESTS_CA_BUNDLE": "{ca}"}, None, None),
    ("https://{ip}/", {"REQUESTS_CA_BUNDLE": "{ca}"}, "the certificate of {ip} is another server's", "GITHUB_API_URL"),
    ("https://{plain}/", {}, "{plain} does not speak TLS", "is the port right"),
    (
        "https://{tls}/",
        {"https_proxy": "http://{p403}"},
        "the proxy http://{p403} (https_proxy) on the way to localhost does not let us through to it (403)",
        "no_proxy=localhost",
    ),
    (
        "https://{tls}/",
        {"HTTPS_PROXY": "http://u:pass@{p407}"},
        "the proxy http://{p407} (HTTPS_PROXY) on the way to localhost asks for a user and password (407)",
        "HTTPS_PROXY must",
    ),
    (
        "https://{tls}/",
        {"https_proxy": "http://{closed}"},
        "(https_proxy) on the way to localhost does not take the connection",
        "no_proxy=localhost",
    ),
    (
        "https://{tls}/",
        {"all_proxy": "http://no.such.invalid:3128"},
        "(all_proxy) on the way to localhost has a name that nobody knows",
        "all_proxy must",
    ),
    (
        "http://{plain}/",
        {"http_proxy": "http://u:pass@{p407}"},
        "(http_proxy) on the way to localhost asks for a user and password (407)",
        "http_proxy must",
    ),
    ("https://{tls}/", {"https_proxy": "http://{p403}", "no_proxy": "localhost", "REQUESTS_CA_BUNDLE": "{ca}"}, None, None),
    (
        "https://api.invalid/",
        {"https_proxy": "http://{closed}"},
        "on the way to api.invalid does not take the connection",
        "no_proxy=api.invalid",
    ),
    ("https://{closed}/", {}, "{closed} cannot be reached: the connection is refused", "https_proxy="),
    ("https://no.such.invalid/", {}, "nobody knows the name no.such.invalid here (DNS)", "https_proxy="),
    ("http://{plain}/", {}, None, None),
    ("http://{p502}/", {}, None, None),
]
GIT = [
    ("https://{tls}/o/r", {}, "git: the certificate of {tls} is signed by nobody who is known here", "http.sslCAInfo"),
    (
        "https://{tls}/o/r",
        {"GIT_SSL_CAINFO": "/no/such.pem"},
        "git: GIT_SSL_CAINFO is /no/such.pem, and it is no file of certificates",
        "http.sslCAInfo",
    ),
    ("https://{tls}/o/r", {"GIT_SSL_CAINFO": "{ca}"}, None, None),
    ("https://{ip}/o/r", {"GIT_SSL_CAINFO": "{ca}"}, "git: the certificate of {ip} is another server's", "git remote -v"),
    ("https://{plain}/o/r", {}, "git: {plain} does not speak TLS", "is the port right"),
    (
        "https://{tls}/o/r",
        {"https_proxy": "http://{p403}"},
        "the proxy http://{p403} (https_proxy) on the way to localhost does not let us through to it (403)",
        "no_proxy=localhost",
    ),
    (
        "https://{tls}/o/r",
        {"https_proxy": "http://u:pass@{p407}"},
        "the proxy http://{p407} (https_proxy) on the way to localhost asks for a user and password (407)",
        "no_proxy",
    ),
    (
        "https://{tls}/o/r",
        {"https_proxy": "http://{closed}"},
        "(https_proxy) on the way to localhost does not take the connection",
        "no_proxy=localhost",
    ),
    (
        "https://{tls}/o/r",
        {"https_proxy": "http://no.such.invalid:3128"},
        "(https_proxy) on the way to localhost has a name that nobody knows",
        "no_proxy",
    ),
    ("https://{closed}/o/r", {}, "cannot be reached: the connection is refused", "https_proxy="),
    ("https://no.such.invalid/o/r", {}, "nobody knows the name no.such.invalid here (DNS)", "https_proxy="),
    ("http://{plain}/o/r", {}, None, None),
]


def filled(text: str, servers: dict[str, str]) -> str:
    return text.format(**servers, ip=servers["tls"].replace("localhost", "127.0.0.1"))


def judged(found: network.Trouble | None, said: str | None, hint: str | None, servers: dict[str, str]) -> None:
    if said is None or hint is None:
        assert found is None
        return
    assert found is not None
    assert filled(said, servers) in found.message
    assert filled(hint, servers) in found.hint
    assert "pass" not in found.message.replace("password", "")
    assert "u:pass" not in found.hint


@pytest.mark.parametrize(("url", "env", "said", "hint"), CASES)
def test_what_stands_between_us_and_the_api(
    servers: dict[str, str], monkeypatch: pytest.MonkeyPatch, url: str, env: dict[str, str], said: str | None, hint: str | None
) -> None:
    settings = {name: filled(value, servers) for name, value in env.items()}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    judged(network.api(filled(url, servers), settings, PATIENCE), said, hint, servers)


@pytest.mark.parametrize(("url", "env", "said", "hint"), GIT)
def test_what_stands_between_git_and_the_remote(
    tmp_path: Path, servers: dict[str, str], url: str, env: dict[str, str], said: str | None, hint: str | None
) -> None:
    settings = {name: filled(value, servers) for name, value in env.items()}
    world = patient(repository(tmp_path), environment(tmp_path, **settings)).world
    judged(git(world, filled(url, servers), PATIENCE), said, hint, servers)


def test_git_s_own_proxy_is_named_as_such_and_found_by_its_setting(tmp_path: Path, servers: dict[str, str]) -> None:
    config = tmp_path / "gitconfig"
    config.write_text(f"[http]\n\tproxy = http://me:pass@{servers['p403']}\n")
    world = patient(repository(tmp_path), environment(tmp_path, GIT_CONFIG_GLOBAL=str(config))).world
    found = git(world, f"https://{servers['tls']}/o/r", PATIENCE)
    assert found is not None
    assert f"the proxy http://{servers['p403']} (http.proxy) on the way to localhost does not let us through" in found.message
    assert "git config --show-origin --get http.proxy" in found.hint


def test_a_certificate_that_has_expired_or_a_clock_that_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = trouble.certificate(tmp_path, days=-1)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(old[0]))
    world = patient(repository(tmp_path), environment(tmp_path, GIT_SSL_CAINFO=str(old[0]))).world
    with trouble.tls(old) as address:
        for found in (network.api(f"https://{address}/", dict(os.environ), PATIENCE), git(world, f"https://{address}/o/r", PATIENCE)):
            assert found is not None
            assert "has expired" in found.message


def test_silence_is_told_from_a_refusal_and_ends_within_its_time(tmp_path: Path) -> None:
    """Git's own patience is five minutes, and the helper that it waits for would outlive it."""
    world = patient(repository(tmp_path), environment(tmp_path)).world
    with trouble.hole() as address:
        began = time.monotonic()
        for found in (network.api(f"https://{address}/", {}, 0.3), git(world, f"https://{address}/o/r", 0.5)):
            assert found is not None
            assert f"{address} gives no answer within" in found.message
        assert time.monotonic() - began < 60
        listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
        assert [line for line in listed.splitlines() if address in line and "git" in line] == []


def test_without_a_remote_or_a_forge_nobody_is_asked(tmp_path: Path) -> None:
    assert list(check(patient(repository(tmp_path), environment(tmp_path)))) == []


def test_a_job_asks_its_own_server_and_its_remote(tmp_path: Path, servers: dict[str, str]) -> None:
    root = repository(tmp_path)
    places.git(root, "remote", "add", "origin", f"http://x:ghs_secret@{servers['plain']}/acme/models")
    found = list(check(patient(root, environment(tmp_path), context=job(api_url=f"http://{servers['closed']}"))))
    assert of(found) == [f"{servers['closed']} cannot be reached: the connection is refused"]
    assert of(found, "fine") == ["git reaches localhost"]
    assert "ghs_secret" not in str(found)


@pytest.mark.parametrize(
    ("env", "host", "through"),
    [
        ({"https_proxy": "http://p:1"}, "api.github.com", "https_proxy"),
        ({"https_proxy": "http://p:1", "no_proxy": "github.com"}, "api.github.com", None),
        ({"https_proxy": "http://p:1", "no_proxy": ".github.com, x"}, "api.github.com", None),
        ({"https_proxy": "http://p:1", "no_proxy": "hub.com"}, "github.com", "https_proxy"),
        ({"https_proxy": "http://p:1", "NO_PROXY": "*"}, "github.com", None),
        ({"HTTP_PROXY": "http://p:1"}, "github.com", None),
        ({"ALL_PROXY": "socks5://p:1"}, "github.com", "ALL_PROXY"),
        ({}, "github.com", None),
    ],
)
def test_which_variable_names_the_proxy(env: dict[str, str], host: str, through: str | None) -> None:
    found = network.proxy_of(f"https://{host}/x", env)
    assert (found[0] if found else None) == through
