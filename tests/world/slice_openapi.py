"""Cuts GitHub's official OpenAPI description down to the calls the fake in `github.py` answers.

    npm pack @octokit/openapi@23.0.2 && tar xzf octokit-openapi-23.0.2.tgz
    python -m tests.world.slice_openapi package

The package is MIT-licensed; its licence text travels inside the slice.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Any

SLICE = Path(__file__).parent / "github-openapi.json.gz"
CALLS = {
    "/user": ["get"],
    "/repos/{owner}/{repo}/issues": ["get", "post"],
    "/repos/{owner}/{repo}/issues/{issue_number}": ["get", "patch"],
    "/repos/{owner}/{repo}/issues/{issue_number}/comments": ["get", "post"],
    "/repos/{owner}/{repo}/issues/comments/{comment_id}": ["get", "patch", "delete"],
    "/repos/{owner}/{repo}/statuses/{sha}": ["post"],
    "/repos/{owner}/{repo}/commits/{ref}/statuses": ["get"],
    "/repos/{owner}/{repo}/commits/{ref}/status": ["get"],
    "/repos/{owner}/{repo}/commits/{commit_sha}/pulls": ["get"],
    "/repos/{owner}/{repo}": ["get"],
    "/repos/{owner}/{repo}/contents/{path}": ["get", "put"],
    "/repos/{owner}/{repo}/git/matching-refs/{ref}": ["get"],
    "/repos/{owner}/{repo}/git/ref/{ref}": ["get"],
    "/repos/{owner}/{repo}/git/refs": ["post"],
    "/repos/{owner}/{repo}/pulls": ["get", "post"],
    "/repos/{owner}/{repo}/pulls/{pull_number}": ["get", "patch"],
    "/repos/{owner}/{repo}/collaborators/{username}/permission": ["get"],
    "/repos/{owner}/{repo}/actions/workflows/{workflow_id}/dispatches": ["post"],
    "/repos/{owner}/{repo}/branches/{branch}": ["get"],
    "/repos/{owner}/{repo}/branches/{branch}/protection": ["get"],
    "/repos/{owner}/{repo}/rules/branches/{branch}": ["get"],
    "/repos/{owner}/{repo}/releases": ["get", "post"],
    "/repos/{owner}/{repo}/releases/tags/{tag}": ["get"],
    "/repos/{owner}/{repo}/releases/{release_id}": ["get", "patch"],
    "/repos/{owner}/{repo}/deployments": ["get", "post"],
    "/repos/{owner}/{repo}/deployments/{deployment_id}/statuses": ["get", "post"],
}


def references(node: Any) -> set[str]:
    """Every component that `node` names."""
    if isinstance(node, dict):
        own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return own.union(*map(references, node.values()))
    if isinstance(node, list):
        return set().union(*map(references, node))
    return set()


def cut(whole: dict[str, Any], licence: str) -> dict[str, Any]:
    """The calls of CALLS with every component they reach."""
    paths = {
        path: {key: value for key, value in whole["paths"][path].items() if key in verbs or key == "parameters"}
        for path, verbs in CALLS.items()
    }
    components: dict[str, dict[str, Any]] = {}
    todo, done = references(paths), set()
    while todo:
        name = todo.pop()
        done.add(name)
        _, _, kind, key = name.split("/")
        components.setdefault(kind, {})[key] = whole["components"][kind][key]
        todo |= references(components[kind][key]) - done
    return {
        "openapi": whole["openapi"],
        "info": {"title": whole["info"]["title"], "version": whole["info"]["version"], "license": {"name": "MIT"}},
        "x-licence-text": licence,
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": components,
    }


def main(package: Path) -> None:
    """Write the slice."""
    whole = json.loads((package / "generated" / "api.github.com.json").read_text())
    slim = cut(whole, (package / "LICENSE").read_text())
    raw = json.dumps(slim, separators=(",", ":"), sort_keys=True).encode()
    SLICE.write_bytes(gzip.compress(raw, 9, mtime=0))
    sys.stdout.write(f"{len(raw):,} bytes, {SLICE.stat().st_size:,} compressed\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
