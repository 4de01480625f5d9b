"""What comes between the job's token and the remote, on real git with a server that looks at the header it is sent."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from mlops_toolkit.doctor.checks.credentials import check, without_secrets
from mlops_toolkit.errors import MlopsError
from mlops_toolkit.history.bare import Bare
from mlops_toolkit.history.remote import Remote
from tests.unit.doctor.places import MODEL, environment, git, job, of, patient, repository
from tests.world.listening import listening


@dataclass
class Seen:
    """A server's address, and the credentials that git sent to it."""

    url: str
    headers: list[str | None] = field(default_factory=list)


@contextmanager
def server() -> Iterator[Seen]:
    seen = Seen("")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.headers.append(self.headers.get("authorization"))
            self.send_response(404)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            """They are in `seen`."""

    with listening(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as port:
        seen.url = f"http://127.0.0.1:{port}"
        yield seen


def sent(seen: Seen, env: dict[str, str], folder: Path) -> str | None:
    """What the history's own git sends to the remote, with a token; None: it did not ask there."""
    bare = Bare(folder / "bare.git", Remote(f"{seen.url}/acme/models", server=seen.url, token=lambda: "ghs_ours"), env, patience=30)
    bare.ready()
    seen.headers.clear()
    try:
        bare("ls-remote", "mlops", remote=True, check=False)
    except MlopsError:
        return None
    words = [base64.b64decode(header.split()[1]).decode() for header in seen.headers if header]
    return words[0].partition(":")[2] if words else None


SETTINGS = {
    "nothing": ("", True),
    "the user's header for everything": ("[http]\n\textraheader = AUTHORIZATION: basic eDp0aGVpcnM=\n", True),
    "the user's header for the server": ('[http "@/"]\n\textraheader = AUTHORIZATION: basic eDp0aGVpcnM=\n', True),
    "the user's header for the owner": ('[http "@/acme/"]\n\textraheader = AUTHORIZATION: basic eDp0aGVpcnM=\n', False),
    "the user's header for the repository": ('[http "@/acme/models"]\n\textraheader = AUTHORIZATION: basic eDp0aGVpcnM=\n', False),
    "the user's header for another owner": ('[http "@/other/"]\n\textraheader = AUTHORIZATION: basic eDp0aGVpcnM=\n', True),
    "taken by ssh": ('[url "ssh://git@127.0.0.1:1/"]\n\tinsteadOf = @/\n', False),
    "taken elsewhere": ('[url "http://mirror.invalid/"]\n\tinsteadOf = @/\n', False),
    "taken with a token": ('[url "HTTPWITH/"]\n\tinsteadOf = @/\n', True),
    "a helper": ('[credential]\n\thelper = "!echo username=x; echo password=theirs"\n', True),
}


@pytest.mark.parametrize(("config", "well"), SETTINGS.values(), ids=SETTINGS)
def test_it_says_so_exactly_where_the_history_s_git_would_not_send_our_token(tmp_path: Path, config: str, well: bool) -> None:
    with server() as seen:
        (tmp_path / "gitconfig").write_text(
            config.replace("HTTPWITH", seen.url.replace("//", "//x:ghp_theirs@")).replace("@/", f"{seen.url}/")
        )
        env = environment(tmp_path, GIT_CONFIG_GLOBAL=str(tmp_path / "gitconfig"), GIT_SSH_COMMAND="false")
        root = repository(tmp_path)
        git(root, "remote", "add", "origin", f"{seen.url}/acme/models")
        problems = of(list(check(patient(root, env, context=job(server_url=seen.url)))))
        assert (sent(seen, env, tmp_path) == "ghs_ours") == well
    assert (problems == []) == well
    assert all("theirs" not in said and "eDp0" not in said for said in problems)
    if not well:
        assert str(tmp_path / "gitconfig") in problems[0]


def test_what_the_checkout_left_does_us_no_harm_and_is_a_note_with_the_lines(tmp_path: Path) -> None:
    with server() as seen:
        env = environment(tmp_path)
        root = repository(tmp_path)
        git(root, "remote", "add", "origin", f"{seen.url}/acme/models")
        git(root, "config", f"http.{seen.url}/.extraheader", "AUTHORIZATION: basic eDpsZWZ0")
        found = list(check(patient(root, env, context=job(server_url=seen.url))))
        assert sent(seen, env, tmp_path) == "ghs_ours"
    (note,) = found
    assert (note.level, "persist-credentials: false" in (note.hint or "")) == ("note", True)
    assert "eDpsZWZ0" not in str(found)


@pytest.mark.parametrize(
    ("url", "held", "clean"),
    [
        ("https://x-access-token:ghs_a@github.com/acme/models", True, "https://github.com/acme/models"),
        ("https://ghp_aaaaaaaaaa@github.com/acme/models.git", True, "https://github.com/acme/models.git"),
        ("https://ada:p@ss/acme@github.com/acme/models", True, None),
        ("https://ada@github.com/acme/models", False, "https://github.com/acme/models"),
        ("https://github.com/acme/models", False, "https://github.com/acme/models"),
        ("git@github.com:acme/models.git", False, "git@github.com:acme/models.git"),
        ("ssh://git@github.com/acme/models.git", False, "ssh://git@github.com/acme/models.git"),
        ("/srv/models.git", False, "/srv/models.git"),
        ("https://[broken", False, "https://[broken"),
    ],
)
def test_a_token_in_the_remote_s_address_is_told_and_not_shown(tmp_path: Path, url: str, held: bool, clean: str | None) -> None:
    root = repository(tmp_path)
    git(root, "remote", "add", "origin", url)
    found = list(check(patient(root, environment(tmp_path))))
    assert [finding.level for finding in found] == (["note"] if held and clean else [] if clean else [finding.level for finding in found])
    assert all(secret not in str(found) for secret in ("ghs_a", "ghp_aaa", "p@ss"))
    if clean:
        assert without_secrets(url) == clean
        assert [finding.hint for finding in found] == ([f"git remote set-url origin {clean}"] if held else [])


@pytest.mark.parametrize(
    ("helper", "problem"),
    [("", True), ("[credential]\n\thelper = store\n", False), ('[http "https://git.example/"]\n\textraheader = A: b\n', False)],
)
def test_a_history_in_another_place_needs_credentials_of_its_own(tmp_path: Path, helper: str, problem: bool) -> None:
    (tmp_path / "gitconfig").write_text(helper)
    root = repository(tmp_path, {"mlops.yaml": MODEL + "history: {at: 'https://git.example/acme/records#runs'}\n"})
    git(root, "remote", "add", "origin", "https://github.com/acme/models")
    found = of(list(check(patient(root, environment(tmp_path, GIT_CONFIG_GLOBAL=str(tmp_path / "gitconfig")), context=job()))))
    assert ["nothing here gives git credentials for https://git.example/acme/records" in said for said in found] == (
        [True] if problem else []
    )


def test_on_a_laptop_nothing_of_ours_is_in_the_way_of_a_person_s_own_settings(tmp_path: Path) -> None:
    (tmp_path / "gitconfig").write_text('[url "git@github.com:"]\n\tinsteadOf = https://github.com/\n')
    root = repository(tmp_path)
    git(root, "remote", "add", "origin", "https://github.com/acme/models")
    assert list(check(patient(root, environment(tmp_path, GIT_CONFIG_GLOBAL=str(tmp_path / "gitconfig"))))) == []
