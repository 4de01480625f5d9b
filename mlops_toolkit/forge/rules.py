"""What GitHub asks of a branch: the checks that a merge waits for, and what would refuse our own push to it, in words. Pure, but for `ask`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mlops_toolkit.forge.base import BranchRules
from mlops_toolkit.forge.board import Refused, persist
from mlops_toolkit.forge.rest import Rest

if TYPE_CHECKING:
    from mlops_toolkit.forge.github import GitHub

Parameters = Mapping[str, Any]
# What our pushes to the history branch look like, to hold them against patterns: see history/branch.py and history/stream.py.
MESSAGE, EMAIL = "Record 20260301T120000-a1b2c3d", "mlops@localhost"
KINDS_OF_FILES = ("json", "jsonl", "md", "parquet", "png")
LONGEST_PATH = 100  # characters of a path on the history branch, at most
LARGEST_FILE = 5  # MB of a file there; larger predictions go to the models store
ONLY_PULLS = "only a pull request may change it"
SIGNED = "its commits must be signed"
BELONGS = {"starts_with": "start with", "ends_with": "end with", "contains": "contain", "regex": "match"}


def ask(forge: GitHub, rest: Rest, branch: str) -> BranchRules:
    """The rules and the protection of a branch, which need not be there. What could not be read is the `reason`. Raises Refused of a server
    in trouble; one that only does not answer this (an older Enterprise server knows no rules) is asked for the rest."""
    unread: list[str] = []
    rules: list[dict[str, Any]] = []
    try:
        rules = persist(forge.clock, lambda: rest.pages(forge.path("rules", "branches", branch)))
    except Refused as refused:
        if refused.status not in (403, 404):
            raise
        unread.append(f"its rules could not be read: {refused.reason}")
    there: Mapping[str, Any] | None = None
    protection: Mapping[str, Any] | None = None
    try:
        there = persist(forge.clock, lambda: rest.get(forge.path("branches", branch)))
        if _at(there, "protection", "enabled") is True:
            protection = persist(forge.clock, lambda: rest.get(forge.path("branches", branch, "protection")))
    except Refused as refused:
        if there is not None:
            unread.append(f"its protection could not be read: {refused.reason}")
        elif refused.status != 404:
            unread.append(f"whether it is there could not be read: {refused.reason}")
    return read(branch, rules, there=there, protection=protection, unread=unread)


def read(
    branch: str,
    rules: Sequence[Parameters],
    *,
    there: Parameters | None = None,
    protection: Parameters | None = None,
    unread: Sequence[str] = (),
) -> BranchRules:
    """What it all asks. there: the branch as GitHub describes it, None where it does not exist; protection: the older kind of rule, None
    where there is none or it could not be read; unread: what could not be asked."""
    shown = _mapping(_at(there or {}, "protection", "required_status_checks"))
    required = [*_contexts(shown), *_contexts(_mapping(_at(protection or {}, "required_status_checks")))]
    refuses: list[str] = []
    unknown: list[str] = []
    queue = False
    for rule in rules:
        kind, parameters = str(rule.get("type")), _mapping(rule.get("parameters"))
        queue = queue or kind == "merge_queue"
        names = [str(each.get("context")) for each in _mappings(parameters.get("required_status_checks"))]
        required += names if kind == "required_status_checks" else []
        if kind in PASSES or (kind in ON_CREATION and there is not None):
            continue
        if kind not in REFUSALS:
            unknown.append(kind)
        elif not (there is None and parameters.get("do_not_enforce_on_create") is True):
            refuses += filter(None, [REFUSALS[kind](parameters, branch)])
    refuses += _protected(protection or {}) if protection else [_checks(_contexts(shown))] if _contexts(shown) else []
    unread = [*unread, *([f"rules of a kind that is not known here: {', '.join(sorted(set(unknown)))}"] if unknown else [])]
    return BranchRules(tuple(dict.fromkeys(required)), tuple(dict.fromkeys(refuses)), queue, "; ".join(unread) or None)


def _protected(protection: Parameters) -> list[str]:
    """What the older kind of rule refuses."""
    found = []
    if _mapping(protection.get("required_pull_request_reviews")):
        found.append(ONLY_PULLS)
    if (restrictions := _mapping(protection.get("restrictions"))) or protection.get("restrictions") == {}:
        who = [
            *(str(each.get("login")) for each in _mappings(restrictions.get("users"))),
            *(str(each.get("slug")) for key in ("teams", "apps") for each in _mappings(restrictions.get(key))),
        ]
        found.append(f"only {_listed(who)} may push to it" if who else "nobody may push to it")
    if _at(protection, "required_signatures", "enabled") is True:
        found.append(SIGNED)
    if _at(protection, "lock_branch", "enabled") is True:
        found.append("it is locked: nobody may push to it")
    if names := _contexts(_mapping(protection.get("required_status_checks"))):
        found.append(_checks(names))
    return found


def _checks(names: Sequence[str]) -> str:
    return f"a commit may be pushed to it only after its checks passed ({_listed(names)})"


def _pattern(what: str, ours: str | None = None) -> Callable[[Parameters, str], str | None]:
    """A rule about a text; none where our text keeps it. ours None: the branch's name."""

    def words(parameters: Parameters, branch: str) -> str | None:
        operator, pattern = str(parameters.get("operator")), str(parameters.get("pattern"))
        negate = parameters.get("negate") is True
        matches = _matches(operator, pattern, branch if ours is None else ours)
        if matches is not None and matches is not negate:
            return None
        return f"{what} must {'not ' if negate else ''}{BELONGS.get(operator, operator)} “{pattern}”"

    return words


def _matches(operator: str, pattern: str, text: str) -> bool | None:
    """Whether a text has the pattern; None where that cannot be told, which keeps no rule."""
    if operator == "regex":
        try:
            return re.search(pattern, text) is not None
        except re.error:
            return None
    plain = {"starts_with": text.startswith, "ends_with": text.endswith, "contains": text.__contains__}.get(operator)
    return plain(pattern) if plain else None


def _extensions(parameters: Parameters, branch: str) -> str | None:
    given = parameters.get("restricted_file_extensions")
    named = {str(each).rpartition(".")[2].casefold() for each in given} if isinstance(given, list) else set()
    found = [each for each in KINDS_OF_FILES if each in named]
    return f"files of these kinds may not be pushed: {_listed(['.' + each for each in found])}" if found else None


def _paths(parameters: Parameters, branch: str) -> str | None:
    given = parameters.get("restricted_file_paths")
    return f"these paths may not be pushed: {_listed(list(map(str, given)))}" if isinstance(given, list) and given else None


def _above(key: str, ours: int, words: str) -> Callable[[Parameters, str], str | None]:
    def said(parameters: Parameters, branch: str) -> str | None:
        limit = parameters.get(key)
        return words.format(limit) if isinstance(limit, int) and limit < ours else None

    return said


# Rules that let our push through: it neither deletes, rewrites, merges nor makes a tag. (`history prune` and `forget` do rewrite.)
PASSES = {
    "deletion",
    "non_fast_forward",
    "required_linear_history",
    "tag_name_pattern",
    "copilot_code_review",
    "license_compliance_scanning",
}
ON_CREATION = {"creation", "branch_name_pattern"}
REFUSALS: dict[str, Callable[[Parameters, str], str | None]] = {
    "creation": lambda p, b: "only those who may bypass its rule may create it",
    "update": lambda p, b: "only those who may bypass its rule may push to it",
    "pull_request": lambda p, b: ONLY_PULLS,
    "merge_queue": lambda p, b: "only its merge queue may change it",
    "required_signatures": lambda p, b: SIGNED,
    "required_status_checks": lambda p, b: _checks([str(each.get("context")) for each in _mappings(p.get("required_status_checks"))]),
    "required_deployments": lambda p, b: (
        f"a commit may be pushed to it only after it was deployed to {_listed(list(map(str, _list(p.get('required_deployment_environments')))))}"
    ),
    "workflows": lambda p, b: "a commit may be pushed to it only after the workflows passed that its rule requires",
    "code_scanning": lambda p, b: "a commit may be pushed to it only after code scanning",
    "commit_message_pattern": _pattern("a commit's message", MESSAGE),
    "commit_author_email_pattern": _pattern("the address of a commit's author", EMAIL),
    "committer_email_pattern": _pattern("the address of a commit's committer", EMAIL),
    "branch_name_pattern": _pattern("a branch's name"),
    "file_path_restriction": _paths,
    "file_extension_restriction": _extensions,
    "max_file_path_length": _above("max_file_path_length", LONGEST_PATH, "paths may have no more than {} characters"),
    "max_file_size": _above("max_file_size", LARGEST_FILE, "files may have no more than {} MB"),
}


def _contexts(checks: Parameters) -> list[str]:
    """Names of checks in a protection: the older list, and the newer one of objects."""
    return [
        *(str(each) for each in _list(checks.get("contexts"))),
        *(str(each.get("context")) for each in _mappings(checks.get("checks"))),
    ]


def _listed(names: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(names))


def _at(data: Parameters, *path: str) -> Any:
    value: Any = data
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _mapping(value: Any) -> Parameters:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _mappings(value: Any) -> list[Parameters]:
    return [each for each in _list(value) if isinstance(each, Mapping)]
