"""Settings come from flags, else variables, else defaults; everything wrong is said at once, and a secret is never a flag."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from mlops_toolkit.errors import ConfigErrors, UsageError
from mlops_toolkit.serve import settings
from mlops_toolkit.serve.settings import Settings


def read(*words: str, env: dict[str, str] | None = None, **more: str) -> Settings:
    parser = argparse.ArgumentParser()
    settings.add_flags(parser)
    return settings.read(parser.parse_args(words), env or {}, defaults=more)


def test_flags_before_variables_before_defaults() -> None:
    assert read() == Settings()
    env = {"MLOPS_SERVE_PORT": "1", "MLOPS_SERVE_MAX_WAIT": "250ms", "MLOPS_SERVE_REPOSITORY": "yes"}
    made = read("--port", "2", "--max-body", "2MiB", env=env, host="::1")
    assert (made.port, made.max_wait, made.max_body, made.repository, made.host) == (2, 0.25, 2 * 2**20, True, "::1")


def test_all_errors_at_once() -> None:
    env = {"MLOPS_SERVE_MAX_BACH": "3", "MLOPS_SERVE_TIME_LIMIT": "-1s"}
    with pytest.raises(ConfigErrors) as raised:
        read("--port", "70000", "--open", "health,door", "--tls-cert", "x", "--max-batch", "0", env=env)
    said = str(raised.value)
    for part in ("MLOPS_SERVE_MAX_BATCH", "--port", "--open", "MLOPS_SERVE_TIME_LIMIT", "--tls-cert, --tls-key", "--max-batch"):
        assert part in said, part


def test_what_kubernetes_puts_into_every_container_is_not_meant_for_us() -> None:
    """A Service called mlops-serve makes variables that begin like ours."""
    env = {
        "MLOPS_SERVE_PORT": "tcp://10.0.0.1:8080",
        "MLOPS_SERVE_SERVICE_HOST": "10.0.0.1",
        "MLOPS_SERVE_SERVICE_PORT_HTTP": "8080",
        "MLOPS_SERVE_PORT_8080_TCP_ADDR": "10.0.0.1",
    }
    assert read(env=env) == Settings()


def test_a_token_is_no_flag_and_is_not_shown(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        read("--token", "secret")
    made = read(env={"MLOPS_SERVE_TOKEN": "secret"})
    assert "secret" not in repr(made)
    assert settings.tokens(made) == ("secret",)
    (tmp_path / "tokens").write_text("# a\n one \n\ntwo\n")
    assert settings.tokens(Settings(token_file=str(tmp_path / "tokens"))) == ("one", "two")
    for name in ("none", "."):
        with pytest.raises(UsageError, match="cannot be read"):
            settings.tokens(Settings(token_file=str(tmp_path / name)))


@pytest.mark.parametrize(("text", "value"), [("50ms", 0.05), ("2s", 2), ("1.5m", 90), (" 3 ", 3), ("10us", 1e-5)])
def test_times(text: str, value: float) -> None:
    assert settings.seconds(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "s", "1 day", "-1s", "1e3", "1kB", "nan"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="not a length of time"):
        settings.seconds(text)


def test_sizes() -> None:
    assert [settings.size(text) for text in ("1", "1kB", "1KiB", "2MB", "1GiB")] == [1, 1000, 1024, 2_000_000, 2**30]
