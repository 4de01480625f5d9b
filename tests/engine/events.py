"""What happens in a repository, as GitHub tells it to a workflow: the event's name, its payload, and what is checked out.

A payload is one of GitHub's own examples, with what happened here laid over it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.world.github import FakeGitHub
from tests.world.project import Project
from tests.world.slice_webhooks import payload as example

EXAMPLES = {
    "push": "push of a branch",
    "pull_request": "pull_request synchronize",
    "pull_request_target": "pull_request labeled",
    "issue_comment": "issue_comment created",
    "merge_group": "merge_group",
    "workflow_run": "workflow_run completed",
}


@dataclass(frozen=True)
class Event:
    """name, payload: of the webhook · sha, ref: GITHUB_SHA and GITHUB_REF, whose workflow file is run"""

    name: str
    payload: dict[str, Any]
    sha: str
    ref: str
    actor: str = "octocat"


@dataclass
class Happenings:
    """Makes events of one project, and what GitHub knows of them."""

    project: Project
    github: FakeGitHub

    def _repository(self) -> dict[str, Any]:
        return {"full_name": self.github.repository, "private": True, "default_branch": "main", "owner": {"login": "acme"}}

    def _event(self, name: str, payload: dict[str, Any], sha: str, ref: str, actor: str = "octocat") -> Event:
        whole = {"repository": self._repository(), "sender": {"login": actor}, **payload}
        return Event(name, laid_over(example(EXAMPLES[name]) if name in EXAMPLES else {}, whole), sha, ref, actor)

    def _main(self) -> str:
        return self.project.git("rev-parse", "main")

    def push(self, branch: str = "main") -> Event:
        """A push to the branch, whose commits are on the remote."""
        sha, ref = self.project.git("rev-parse", branch), f"refs/heads/{branch}"
        return self._event("push", {"ref": ref, "after": sha, "deleted": False}, sha, ref)

    def tag(self, name: str) -> Event:
        """The push of a tag that is there."""
        sha = self.project.git("rev-parse", f"{name}^{{commit}}")
        ref = f"refs/tags/{name}"
        return self._event("push", {"ref": ref, "after": sha, "commits": [], "head_commit": {"id": sha}}, sha, ref)

    def dispatch(self, **inputs: str) -> Event:
        """A workflow that somebody started on main by the button."""
        return self._event("workflow_dispatch", {"inputs": inputs, "ref": "refs/heads/main"}, self._main(), "refs/heads/main")

    def pull_request(
        self, number: int, head: str, branch: str, *, fork: bool = False, base: str = "main", author: str = "octocat"
    ) -> Event:
        """A pull request whose head is pushed: GitHub merges it into its base, and runs the workflow of the merge."""
        payload = self._pull(number, head, branch, fork=fork, base=base, author=author)
        before = self.project.git("rev-parse", "--abbrev-ref", "HEAD")
        merge = self.project.test_merge(head, base)
        self.project.git("push", "-q", "-f", "origin", f"{merge}:refs/pull/{number}/merge")
        if before != "HEAD":
            self.project.git("checkout", "-q", before)
        payload |= {"action": "synchronize"}
        return self._event("pull_request", payload, merge, f"refs/pull/{number}/merge", author)

    def labelled(self, number: int, head: str, branch: str, label: str, *, fork: bool = False, by: str = "octocat") -> Event:
        """A label that somebody set (only who may write or triage can), as `pull_request_target` tells it."""
        payload = self._pull(number, head, branch, fork=fork, base="main", author="stranger" if fork else "octocat")
        payload |= {"action": "labeled", "label": {"name": label}}
        return self._event("pull_request_target", payload, self._main(), "refs/heads/main", by)

    def commented(self, number: int, text: str, *, by: str = "octocat", at: str = "2026-03-01T13:00:00Z") -> Event:
        """A comment on a pull request."""
        issue = {"number": number, "pull_request": {"url": f"{self.github.url}/repos/{self.github.repository}/pulls/{number}"}}
        comment = {"body": text, "user": {"login": by}, "created_at": at, "author_association": "NONE"}
        return self._event("issue_comment", {"action": "created", "issue": issue, "comment": comment}, self._main(), "refs/heads/main", by)

    def queue(self, number: int, head: str, onto: str = "main") -> Event:
        """A merge group: the head merged into what stands before it in the queue (`onto`), on a branch of GitHub's."""
        base = self.project.git("rev-parse", onto)
        before = self.project.git("rev-parse", "--abbrev-ref", "HEAD")
        merge = self.project.test_merge(head, base)
        ref = f"refs/heads/gh-readonly-queue/main/pr-{number}-{base}"
        self.project.git("push", "-q", "-f", "origin", f"{merge}:{ref}")
        if before != "HEAD":
            self.project.git("checkout", "-q", before)
        group = {"head_sha": merge, "head_ref": ref, "base_sha": base, "base_ref": "refs/heads/main"}
        return self._event("merge_group", {"action": "checks_requested", "merge_group": group}, merge, ref, "github-merge-queue[bot]")

    def schedule(self) -> Event:
        return self._event("schedule", {"schedule": "17 3 * * *"}, self._main(), "refs/heads/main")

    def ended(self, event: Event, run: int, *, concluded: str | None = "success", attempt: int = 1) -> Event:
        """The end of the workflow run that `event` started (None: its begin), told to a workflow of the default branch."""
        pull = event.payload.get("pull_request")
        head: dict[str, Any] = (
            pull["head"] if pull else {"sha": event.sha, "ref": event.ref.removeprefix("refs/heads/"), "repo": self._repository()}
        )
        theirs = head["repo"]["full_name"]
        ours = theirs == self.github.repository
        told = {
            "id": run,
            "run_attempt": attempt,
            "event": event.name,
            "status": "completed" if concluded else "queued",
            "conclusion": concluded,
            "head_sha": head["sha"],
            "head_branch": head["ref"],
            "head_repository": {"full_name": theirs, "owner": {"login": theirs.partition("/")[0]}, "fork": not ours},
            "repository": self._repository(),
            "actor": {"login": event.actor},
            "triggering_actor": {"login": event.actor},
            "pull_requests": [{"number": event.payload["number"]}] if pull and ours else [],  # of a fork, GitHub names none
        }
        return self._event(
            "workflow_run",
            {"action": "completed" if concluded else "requested", "workflow_run": told},
            self._main(),
            "refs/heads/main",
            event.actor,
        )

    def _pull(self, number: int, head: str, branch: str, *, fork: bool, base: str, author: str) -> dict[str, Any]:
        self.github.add_pull(number, head=head, head_branch=branch, fork=fork, base_branch=base)
        self.project.git("push", "-q", "-f", "origin", f"{head}:refs/pull/{number}/head")
        ours = {"full_name": self.github.repository, "owner": {"login": "acme"}}
        theirs = {"full_name": "someone/models", "owner": {"login": "someone"}, "fork": True}
        sides = {
            "head": {"sha": head, "ref": branch, "repo": theirs if fork else ours},
            "base": {"sha": self.project.git("rev-parse", base), "ref": base, "repo": ours},
        }
        about = {"number": number, "state": "open", "user": {"login": author}, "updated_at": "2026-03-01T13:00:00Z"}
        return {"number": number, "pull_request": {**about, **sides}}


def laid_over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """`above`, and what it does not say as `below` has it."""
    both = {
        key: laid_over(below[key], value) for key, value in above.items() if isinstance(value, dict) and isinstance(below.get(key), dict)
    }
    return {**below, **above, **both}
