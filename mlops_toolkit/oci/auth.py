"""Who we are at a registry: what `docker login` left, a credential helper, the CI's variables, or the forge's own token.

Amazon's, Google's and Azure's registries need nothing of their own: their helpers and `… get-login-password` give a user (`AWS`,
`oauth2accesstoken`, `_json_key`, `00000000-0000-0000-0000-000000000000`) and a password like any other.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from mlops_toolkit.errors import EnvironmentFailure
from mlops_toolkit.oci.reference import HUB, HUB_API
from mlops_toolkit.system import proc

Kind = Literal["password", "identity", "token"]
IDENTITY_USER = "<token>"  # as which credential helpers give an identity token
_HUB_KEY = "https://index.docker.io/v1/"  # under which Docker keeps its own hub


@dataclass(frozen=True)
class Login:
    """A user and a password; nothing of it is ever shown.

    kind  password  shown to the registry, or to its token server, as HTTP's Basic
          identity  a refresh token (Azure, Docker Hub by browser): given to the token server by OAuth2
          token     the registry's own bearer token, used as it is
    """

    user: str = field(repr=False)
    password: str = field(repr=False)
    kind: Kind = "password"

    @property
    def basic(self) -> str:
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()


def login(host: str, env: Mapping[str, str], token: str | None, actor: str | None) -> Login | None:
    """Who we are at a registry, None for nobody.

    In this order: the variables MLOPS_REGISTRY_USER and MLOPS_REGISTRY_PASSWORD for the host in MLOPS_REGISTRY; Docker's configuration
    (DOCKER_AUTH_CONFIG holds it, or DOCKER_CONFIG or ~/.docker hold the file): a helper for this host, the helper for all, what stands in
    the file; GitLab's own variables for its own registry; the forge's token at ghcr.io.
    """
    if env.get("MLOPS_REGISTRY", "").lower() == host and env.get("MLOPS_REGISTRY_PASSWORD"):
        return _made(env.get("MLOPS_REGISTRY_USER") or "token", env["MLOPS_REGISTRY_PASSWORD"])
    for config in _configs(env):
        if found := _from_config(config, host, env):
            return found
    if env.get("CI_REGISTRY", "").lower() == host and env.get("CI_REGISTRY_USER") and env.get("CI_REGISTRY_PASSWORD"):
        return _made(env["CI_REGISTRY_USER"], env["CI_REGISTRY_PASSWORD"])
    return Login(actor or "token", token) if token and host == "ghcr.io" else None


def _configs(env: Mapping[str, str]) -> list[dict[str, Any]]:
    home = env.get("DOCKER_CONFIG") or str(Path(env.get("HOME") or "~").expanduser() / ".docker")
    found: list[dict[str, Any]] = []
    for read in (lambda: env.get("DOCKER_AUTH_CONFIG") or "{}", lambda: (Path(home) / "config.json").read_bytes()):
        try:
            config = json.loads(read())
        except (OSError, ValueError, RecursionError):
            continue
        if isinstance(config, dict):
            found.append(config)
    return found


def _from_config(config: Mapping[str, Any], host: str, env: Mapping[str, str]) -> Login | None:
    names = [host, *(f"{scheme}://{host}{path}" for scheme in ("https", "http") for path in ("", "/", "/v1/", "/v2/"))]
    if host == HUB:
        names = [_HUB_KEY, "index.docker.io", HUB_API, *names]
    helpers, auths = (part if isinstance(part, dict) else {} for part in (config.get("credHelpers"), config.get("auths")))
    for helper in (next((helpers[name] for name in names if name in helpers), None), config.get("credsStore")):
        if isinstance(helper, str) and re.fullmatch(r"[A-Za-z0-9._-]+", helper):
            found = _from_helper(helper, _HUB_KEY if host == HUB else host, env)
            if found:
                return found
    return next((found for name in names if isinstance(auths.get(name), dict) and (found := _from_entry(auths[name]))), None)


def _from_entry(entry: Mapping[str, Any]) -> Login | None:
    """An entry of `auths`: what it holds besides, user and password may be empty."""
    if entry.get("registrytoken"):
        return Login("", str(entry["registrytoken"]), "token")
    if entry.get("identitytoken"):
        return Login(IDENTITY_USER, str(entry["identitytoken"]), "identity")
    if entry.get("auth"):
        try:
            user, colon, password = base64.b64decode(entry["auth"], validate=True).decode().partition(":")
        except (binascii.Error, ValueError, TypeError):
            return None
        return _made(user, password.rstrip("\0")) if colon and user else None
    return _made(str(entry["username"]), str(entry.get("password", ""))) if entry.get("username") else None


def _from_helper(helper: str, server: str, env: Mapping[str, str]) -> Login | None:
    try:
        done = proc.run([f"docker-credential-{helper}", "get"], env=env, data=server.encode(), timeout_seconds=60)
        data = json.loads(done.stdout) if done.status == 0 else {}
    except (EnvironmentFailure, ValueError, RecursionError):
        return None
    return _made(str(data["Username"]), str(data.get("Secret", ""))) if isinstance(data, dict) and data.get("Username") else None


def _made(user: str, password: str) -> Login:
    return Login(user, password, "identity" if user == IDENTITY_USER else "password")
