"""Where this repository comes from, and the forge that can be asked about it: the CI's own, or on a laptop GitHub with GITHUB_TOKEN."""

from __future__ import annotations

from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from mlops_toolkit.forge.base import Forge, connect
from mlops_toolkit.history.remote import SSH
from mlops_toolkit.world import World

GITHUB, API = "https://github.com", "https://api.github.com"


@dataclass(frozen=True)
class Origin:
    """The remote `origin`. url as git has it (it may hold credentials: never shown); slug: OWNER/NAME where it looks like one; web: http(s)."""

    url: str
    host: str | None = None
    slug: str | None = None
    web: bool = False


def origin(world: World) -> Origin | None:
    """The remote of this clone, None where there is none."""
    url = world.git.remote_url() if world.git else None
    if not url:
        return None
    try:
        parts = urlsplit(url)
        host, path = parts.hostname, parts.path
    except ValueError:
        return Origin(url)
    if parts.scheme not in ("http", "https", "ssh", "git"):
        match = SSH.fullmatch(url)
        host, path = (match["host"], match["path"]) if match and "://" not in url else (None, "")
    slug = path.strip("/").removesuffix(".git")
    return Origin(url, host, slug if host and slug.count("/") == 1 else None, parts.scheme in ("http", "https") and bool(host))


def api_url(world: World) -> str | None:
    """The address of the forge's API: the CI's, else GitHub's where the remote is there; a laptop may name its own server's by GITHUB_API_URL."""
    if world.context.ci:
        return world.context.api_url
    here = origin(world)
    if here is None or here.slug is None:
        return None
    server = world.env.get("GITHUB_SERVER_URL") or GITHUB
    if here.host != urlsplit(server).hostname:
        return None
    return world.env.get("GITHUB_API_URL") or (API if server.rstrip("/") == GITHUB else None)


def forge(world: World) -> Forge | None:
    """Whom to ask about rights and rules; None where nobody can be asked. A laptop's token goes to its own server and to no other."""
    if world.context.ci:
        return world.forge
    here, token, address = origin(world), world.env.get("GITHUB_TOKEN"), api_url(world)
    if not token or here is None or here.slug is None or address is None:
        return None
    server = world.env.get("GITHUB_SERVER_URL") or GITHUB
    context = replace(world.context, repository=here.slug, api_url=address.rstrip("/"), server_url=server.rstrip("/"))
    return connect(context=context, env={"GITHUB_TOKEN": token}, token=token, clock=world.clock, err=world.err, name="github")
