"""Where this project itself is at home: what its actions are called by, and the addresses of its pages."""

from __future__ import annotations

OURS = "org/mlops-actions"
VERSION = "v1"


def page(path: str) -> str:
    """The address of a page of ours, as a comment in any repository can link to it: `docs/intervals.md`."""
    return f"https://github.com/{OURS}/blob/{VERSION}/{path}"


def raw(path: str) -> str:
    """The address of one of our files as it is."""
    return f"https://raw.githubusercontent.com/{OURS}/{VERSION}/{path}"
