"""Who we are at a registry: what `docker login` left, a credential helper, or the forge's own token."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.system import proc


@dataclass(frozen=True)
class Login:
    """A user and a password (or token); neither is ever shown."""

    user: str = field(repr=False)
    password: str = field(repr=False)

    @property
    def basic(self) -> str:
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()


def login(host: str, env: Mapping[str, str], token: str | None, actor: str | None) -> Login | None:
    """Who we are at a registry: DOCKER_CONFIG (or ~/.docker) as `docker login` left it, else the forge's token at ghcr.io."""
    home = env.get("DOCKER_CONFIG") or str(Path(env.get("HOME") or "~").expanduser() / ".docker")
    try:
        config = json.loads((Path(home) / "config.json").read_bytes())
    except (OSError, ValueError):
        config = {}
    config = config if isinstance(config, dict) else {}
    names = (host, f"https://{host}", f"https://{host}/v1/", f"https://{host}/v2/")
    helpers, auths = config.get("credHelpers") or {}, config.get("auths") or {}
    helper = next((helpers[name] for name in names if name in helpers), config.get("credsStore"))
    if isinstance(helper, str) and re.fullmatch(r"[A-Za-z0-9._-]+", helper) and (found := _from_helper(helper, host, env)):
        return found
    entry: dict[str, Any] = next((auths[name] for name in names if isinstance(auths.get(name), dict)), {})
    if entry.get("identitytoken"):
        return Login("<token>", str(entry["identitytoken"]))
    if entry.get("auth"):
        try:
            user, colon, password = base64.b64decode(entry["auth"], validate=True).decode().partition(":")
        except (binascii.Error, ValueError, TypeError):
            return None
        return Login(user, password) if colon else None
    if entry.get("username"):
        return Login(str(entry["username"]), str(entry.get("password", "")))
    return Login(actor or "token", token) if token and host == "ghcr.io" else None


def _from_helper(helper: str, host: str, env: Mapping[str, str]) -> Login | None:
    try:
        done = proc.run([f"docker-credential-{helper}", "get"], env=env, data=host.encode(), timeout_seconds=30)
        data = json.loads(done.stdout) if done.status == 0 else {}
    except (EnvironmentFailure, ValueError):
        return None
    return Login(str(data["Username"]), str(data.get("Secret", ""))) if isinstance(data, dict) and data.get("Username") else None
