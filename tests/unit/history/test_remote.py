"""Addresses of remotes: what browsers are shown, what is never shown, and what a refusal means."""

from __future__ import annotations

import pytest

from mlops_toolkit.history.remote import Remote, in_words, parse_at, refusal


@pytest.mark.parametrize(
    ("url", "server", "page"),
    [
        ("https://github.com/org/repo", None, "https://github.com/org/repo"),
        ("https://github.com/org/repo.git", "https://github.com", "https://github.com/org/repo"),
        ("https://me:secret@github.com/org/repo.git", None, "https://github.com/org/repo"),
        ("git@github.com:org/repo.git", None, "https://github.com/org/repo"),
        ("ssh://git@github.com:22/org/repo.git", None, "https://github.com/org/repo"),
        ("https://git.corp.example:8443/org/repo", "https://git.corp.example:8443", "https://git.corp.example:8443/org/repo"),
        ("git@git.corp.example:org/repo.git", "https://git.corp.example", "https://git.corp.example/org/repo"),
        ("https://gitlab.com/org/repo.git", None, None),
        ("https://github.com/org", None, None),
        ("/srv/git/repo.git", None, None),
        ("file:///srv/git/repo.git", None, None),
        ("https://github.com.evil.example/org/repo", None, None),
        ("https://github.com/org/re)po](x", None, "https://github.com/org/re%29po%5D%28x"),
    ],
)
def test_a_repositorys_page_is_known_for_the_forges_whose_pages_we_know(url: str, server: str | None, page: str | None) -> None:
    assert Remote(url, server).page() == page


def test_where_the_address_does_not_tell_its_page_the_ci_does() -> None:
    assert Remote("git@work:models", "https://github.com", home="https://github.com/o/r").page() == "https://github.com/o/r"
    assert Remote("https://github.com/a/b", "https://github.com", home="https://github.com/o/r").page() == "https://github.com/a/b"


def test_a_files_address_is_quoted() -> None:
    raw = Remote("https://github.com/o/r").raw("runs/spam #1", "charts/a b-0f.png")
    assert raw == "https://github.com/o/r/raw/runs/spam%20%231/charts/a%20b-0f.png"


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("mlops-history", ("ORIGIN", "mlops-history")),
        ("runs/spam", ("ORIGIN", "runs/spam")),
        ("https://example.org/o/r.git#main", ("https://example.org/o/r.git", "main")),
        ("git@example.org:o/r.git#a/b", ("git@example.org:o/r.git", "a/b")),
    ],
)
def test_a_history_is_a_branch_of_the_origin_or_of_another_repository(at: str, expected: tuple[str, str]) -> None:
    assert parse_at(at, "ORIGIN") == expected


@pytest.mark.parametrize(
    ("url", "server", "given"),
    [
        ("https://github.com/o/r", "https://github.com", True),
        ("https://GitHub.com/o/r", "https://github.com", True),
        ("http://github.com/o/r", "https://github.com", False),
        ("https://github.com:444/o/r", "https://github.com", False),
        ("https://github.com.evil.example/o/r", "https://github.com", False),
        ("https://github.com@evil.example/o/r", "https://github.com", False),
        ("https://evil.example/github.com/o/r", "https://github.com", False),
        ("ssh://git@github.com/o/r", "https://github.com", False),
        ("git@github.com:o/r", "https://github.com", False),
        ("https://github.com/o/r", None, False),
        ("file:///srv/r.git", "https://github.com", False),
    ],
)
def test_the_token_is_for_the_cis_server_alone(url: str, server: str | None, given: bool) -> None:
    settings = dict(Remote(url, server, lambda: "secret").config())
    assert any("AUTHORIZATION" in value for value in settings.values()) == given


def test_an_inherited_header_is_emptied_before_ours() -> None:
    settings = Remote("https://github.com/o/r", "https://github.com", lambda: "t").config()
    assert [(key, value.split()[0] if value else "") for key, value in settings[1:]] == [
        ("http.https://github.com/.extraheader", ""),
        ("http.https://github.com/.extraheader", "AUTHORIZATION:"),
    ]


def test_a_message_shows_no_credentials() -> None:
    remote = Remote("https://me:hunter2@github.com/o/r", "https://github.com", lambda: "ghs_token")
    header = remote.config()[-1][1]
    text = remote.clean(f"fatal: 'https://me:hunter2@github.com/o/r' ghs_token {header} {header.split()[-1]}")
    for secret in ("hunter2", "ghs_token", header.split()[-1]):
        assert secret not in text


@pytest.mark.parametrize(
    "words",
    ["HTTP 500", "The requested URL returned error: 502", "RPC failed; curl 92", "fatal: early EOF", "Connection timed out", "HTTP 429"],
)
def test_a_passing_trouble_is_told_from_a_refusal(words: str) -> None:
    assert refusal(words) == "passing"


def test_the_reason_is_the_line_that_tells_not_the_last_one() -> None:
    trouble = "To https://x\n!\tabc:refs/heads/h\t[remote rejected] (pre-receive hook declined)\nDone\nerror: failed to push some refs"
    assert in_words(trouble).startswith("the branch rules refuse it")
    assert in_words("") == "no reason given"
    assert in_words("warning: x\nfatal: odd thing\nhint: do this") == "fatal: odd thing"


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (
            "git@github.com: Permission denied (publickey).\nfatal: Could not read from remote repository.\n\nPlease make sure",
            "ssh was refused",
        ),
        (
            "ssh: Could not resolve hostname x: Name or service not known\nfatal: Could not read from remote repository.",
            "the remote cannot be reached (ssh: Could not resolve hostname x",
        ),
        ("remote: Repository not found.\nfatal: repository 'https://github.com/o/r/' not found", "there is no such repository"),
        (
            "ERROR: Repository not found.\nfatal: Could not read from remote repository.",
            "there is no such repository, or no right to see it (ERROR: Repository not found.)",
        ),
        (
            "remote: Write access to repository not granted.\nfatal: unable to access 'x': The requested URL returned error: 403",
            "the token may not read here: give the job `permissions: contents: read`",
        ),
    ],
)
def test_a_history_that_cannot_be_read_says_why(trouble: str, said: str) -> None:
    assert in_words(trouble, verb="read").startswith(said)
