"""Cuts GitHub's own examples of webhook payloads down to the events that workflows of ours are started by.

    npm pack @octokit/webhooks-examples@7.6.1 && tar xzf octokit-webhooks-examples-7.6.1.tgz
    python -m tests.world.slice_webhooks package

The package is MIT-licensed (its package.json says so; it has no licence file of its own), which the slice names.
"""

from __future__ import annotations

import gzip
import json
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

SLICE = Path(__file__).parent / "github-webhooks.json.gz"
CLOUD, SERVER = "api.github.com", "ghes-35"
# our name -> (folder of the package, event, which of its examples)
CHOSEN = {
    "pull_request opened": (CLOUD, "pull_request", 0),
    "pull_request closed": (CLOUD, "pull_request", 3),
    "pull_request labeled": (CLOUD, "pull_request", 8),
    "pull_request synchronize": (CLOUD, "pull_request", 22),
    "pull_request_review submitted": (CLOUD, "pull_request_review", 0),
    "pull_request_review_comment created": (CLOUD, "pull_request_review_comment", 0),
    "push of a tag": (CLOUD, "push", 0),
    "push of a branch": (CLOUD, "push", 4),
    "merge_group": (CLOUD, "merge_group", 0),
    "workflow_dispatch": (CLOUD, "workflow_dispatch", 0),
    "repository_dispatch": (CLOUD, "repository_dispatch", 0),
    "workflow_run completed": (CLOUD, "workflow_run", 1),
    "workflow_run completed with a pull request": (CLOUD, "workflow_run", 2),
    "workflow_run requested": (CLOUD, "workflow_run", 3),
    "workflow_run of an organization": (CLOUD, "workflow_run", 0),
    "issue_comment created": (CLOUD, "issue_comment", 0),
    "issue_comment edited": (CLOUD, "issue_comment", 7),
    "issue_comment deleted": (CLOUD, "issue_comment", 5),
    "release published": (CLOUD, "release", 0),
    "ghes pull_request opened": (SERVER, "pull_request", 0),
    "ghes push of a tag": (SERVER, "push", 0),
    "ghes workflow_run completed": (SERVER, "workflow_run", 0),
    "ghes issue_comment created": (SERVER, "issue_comment", 0),
}


@lru_cache(maxsize=1)
def _whole() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(gzip.decompress(SLICE.read_bytes()))
    return loaded


def payload(name: str) -> dict[str, Any]:
    """A fresh copy of one of the payloads in the slice."""
    copied: dict[str, Any] = json.loads(json.dumps(_whole()["payloads"][name]))
    return copied


def names() -> list[str]:
    """What the payloads in the slice are called; the first word is the event's name (behind `ghes`)."""
    return sorted(_whole()["payloads"])


def cut(package: Path) -> dict[str, Any]:
    """The chosen examples, with where they are from."""
    about = json.loads((package / "package.json").read_text())
    events = {
        folder: {e["name"]: e["examples"] for e in json.loads((package / folder / "index.json").read_text())} for folder in (CLOUD, SERVER)
    }
    return {
        "source": f"{about['name']} {about['version']}",
        "licence": about["license"],
        "payloads": {name: events[folder][event][place] for name, (folder, event, place) in CHOSEN.items()},
    }


def main(package: Path) -> None:
    """Write the slice."""
    raw = json.dumps(cut(package), separators=(",", ":"), sort_keys=True).encode()
    SLICE.write_bytes(gzip.compress(raw, 9, mtime=0))
    sys.stdout.write(f"{len(raw):,} bytes, {SLICE.stat().st_size:,} compressed\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
