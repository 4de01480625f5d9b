"""Other tools send pictures or usage numbers to their maker: ours speaks to the API's address and to nobody else."""

from __future__ import annotations

import subprocess
import sys

from tests.world.github import FakeGitHub, Fault, Token

PROGRAM = """
import io, sys
from datetime import datetime, timezone

allowed, seen = ("127.0.0.1", int(sys.argv[1])), set()

def hook(event, arguments):
    if event in ("socket.connect", "socket.sendto"):
        seen.add(arguments[1])
        if arguments[1] != allowed:
            raise OSError(f"denied: {arguments[1]}")
    if event == "socket.getaddrinfo" and arguments[0] != allowed[0]:
        seen.add(arguments[0])
        raise OSError(f"denied: {arguments[0]}")

sys.addaudithook(hook)
from mlops_toolkit.ci import Context
from mlops_toolkit.forge.base import Annotation, Section, connect
from mlops_toolkit.system.clock import FixedClock

context = Context("github", "pull_request", "acme/models", "a" * 40, pull_request=7, api_url=f"http://127.0.0.1:{sys.argv[1]}", private=True)
forge = connect(context=context, env={}, token="ghs_job", clock=FixedClock(datetime.now(timezone.utc)), err=io.StringIO())
answers = [
    forge.comment(7, Section("k", "✅ k ![](https://elsewhere.example/x.png)", ("https://elsewhere.example/",))),
    forge.status("a" * 40, "k", "success", "fine", "https://elsewhere.example/"),
    forge.pull_request(7),
    forge.issue(Section("k", "❌ k", ("https://elsewhere.example/",)), failing=True),
]
forge.find_pull_request("a" * 40, branch="https://elsewhere.example/", owner="elsewhere.example")
forge.may_write("elsewhere.example/x")
forge.checks("a" * 40), forge.rules("main"), forge.lacks(("statuses: write", "issues: write"))
forge.annotate((Annotation("error", "x"),))
print(seen == {allowed}, [getattr(a, "reason", "none there") for a in answers])
"""


def test_no_byte_goes_anywhere_but_to_the_api(fake: FakeGitHub) -> None:
    fake.tokens["ghs_job"] = Token(may=frozenset({"pull-requests", "statuses", "issues"}))
    comment = "POST .*/issues/7/comments"
    fake.fail(comment, Fault(302, "", headers={"location": "https://elsewhere.example/x"}))
    port = fake.url.rsplit(":", 1)[1]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, port], capture_output=True, text=True, check=False, env={"HTTPS_PROXY": "", "PATH": ""}, timeout=60
    )
    assert done.stderr == ""
    assert done.stdout == "True [None, None, 'none there', None]\n"
    assert all(name in ("/user", "/graphql") or name.startswith("/repos/acme/models/") for _, name, _ in fake.requests)
