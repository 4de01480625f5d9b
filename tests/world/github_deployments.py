"""The deployments of a GitHub in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.world.github_releases import REPOSITORY, Answer, Token, may, page
from tests.world.openapi import example

STATUSES = f"{REPOSITORY}/deployments/{{deployment_id}}/statuses"


@dataclass
class Deployments:
    """All of a repository, oldest first, each with its statuses by id. failing: contexts of statuses that are red, which an asker may wait for."""

    made: list[dict[str, Any]] = field(default_factory=list)
    statuses: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    failing: tuple[str, ...] = ()

    def told(self, environment: str) -> list[tuple[str, list[str]]]:
        """(description, its states in order) of each of an environment, oldest first."""
        mine = [each for each in self.made if each["environment"] == environment]
        return [(each["description"], [one["state"] for one in self.statuses[each["id"]]]) for each in mine]

    def all(self, verb: str, query: dict[str, str], body: dict[str, Any], token: Token) -> tuple[int, Any]:
        if verb == "get":
            if "deployments" not in token.may_read | token.may:
                raise Answer(403, "Resource not accessible by integration")
            return 200, page([each for each in reversed(self.made) if query.get("environment") in (None, each["environment"])], query)
        may(token, "deployments")
        if body.get("auto_merge", True):
            return 202, {"message": "Auto-merged main into topic-branch on deployment."}
        if self.failing and body.get("required_contexts") != []:
            raise Answer(409, "Conflict: Commit status checks failed for master")
        made: dict[str, Any] = example("post", f"{REPOSITORY}/deployments", 201)
        environment = body.get("environment", "production")
        made |= {"id": 7000 + len(self.made), "ref": body["ref"], "task": body.get("task", "deploy"), "payload": body.get("payload", "")}
        made |= {"environment": environment, "original_environment": environment, "description": body.get("description")}
        made |= {"production_environment": body.get("production_environment", environment == "production")}
        self.made.append(made)
        self.statuses[made["id"]] = []
        return 201, made

    def of(self, verb: str, number: int, query: dict[str, str], body: dict[str, Any], token: Token) -> tuple[int, Any]:
        if number not in self.statuses:
            raise Answer(404, "Not Found")
        listed = self.statuses[number]
        if verb == "get":
            return 200, page(list(reversed(listed)), query)
        may(token, "deployments")
        if len(body.get("description", "")) > 140:
            error = {"resource": "DeploymentStatus", "code": "custom", "message": "description is too long (maximum is 140 characters)"}
            raise Answer(422, "Validation Failed", errors=[error])
        if body.get("auto_inactive", True) and body["state"] == "success":
            self._inactive(number)
        made: dict[str, Any] = example("post", STATUSES, 201)
        keys = ("state", "description", "environment", "environment_url", "log_url")
        made |= {"id": 1 + sum(map(len, self.statuses.values()))} | {key: body.get(key, "") for key in keys}
        listed.append(made)
        return 201, made

    def _inactive(self, number: int) -> None:
        """As GitHub does by itself: earlier ones of the environment that are live, but for production's."""
        mine = next(each for each in self.made if each["id"] == number)
        for each in self.made:
            before = self.statuses[each["id"]]
            same = each["environment"] == mine["environment"] and not each["production_environment"]
            if each["id"] < number and same and before and before[-1]["state"] == "success":
                before.append(before[-1] | {"state": "inactive", "id": before[-1]["id"] + 100_000})
