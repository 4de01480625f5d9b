"""What another CI run hands over, judged where none of its code runs: on `workflow_run`, with a token that may write and no checkout.

A stranger's run (a fork's, Dependabot's) is judged by the base branch's configuration and examples, see `stranger`. One of our own
branches is judged as anywhere, but what its record says of its commit is believed only as far as git says it too.
"""

from __future__ import annotations

import argparse
import atexit
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from mlops_toolkit.ci import Context
from mlops_toolkit.ci.context import Event
from mlops_toolkit.ci.github import QUEUE_REF
from mlops_toolkit.compare import gather, heads, others, stranger, tries
from mlops_toolkit.compare.gather import STATE, Broken, Job
from mlops_toolkit.config import read
from mlops_toolkit.errors import EnvironmentFailure, MlopsError, UsageError
from mlops_toolkit.gate.loaded import Loaded
from mlops_toolkit.history import current, handed
from mlops_toolkit.history.apart import Apart, open_apart
from mlops_toolkit.history.base import History
from mlops_toolkit.history.handed import Found, Handed
from mlops_toolkit.history.remote import Remote
from mlops_toolkit.records.run import Run
from mlops_toolkit.world import World

# What may have started the run that is judged; others check out what their event does not tell.
SOURCES: Mapping[str, Event] = {
    "pull_request": "pull_request",
    "push": "push",
    "merge_group": "merge_group",
    "schedule": "schedule",
    "workflow_dispatch": "dispatch",
}
ENDED_WELL = ("success", "skipped", "neutral")
RUN = "- uses: org/mlops-actions/compare-to-main@v1\n  with: {run: handed}   # where actions/download-artifact put it"


@dataclass(frozen=True)
class Seat:
    """Where it is judged: an empty folder of ours with the configurations alone, the code's repository apart, and the source's context.

    wrong: why nothing can be judged, to be raised once there is a world to tell it with.
    """

    root: Path
    context: Context
    git: Apart | None = None
    wrong: MlopsError | None = None


def seat(args: argparse.Namespace, context: Context, env: Mapping[str, str], cwd: Path, token: Callable[[], str | None]) -> Seat:
    """Make one below RUNNER_TEMP; it goes with this process. Raises nothing of ours. cwd: the workspace, in which no git is run."""
    temporary = env.get("RUNNER_TEMP")
    folder = Path(tempfile.mkdtemp(prefix="mlops-", dir=temporary if temporary and Path(temporary).is_dir() else None))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    made = Seat(folder / "code", as_source(context))
    origin = f"{context.server_url}/{context.repository}"
    try:
        git = open_apart(folder, Remote(origin, context.server_url, token), env, long_ids=len(context.head or "") == 64)
        made = replace(made, git=git)
        write_configurations(git, _ruling(git, made.context), args.config)
        return replace(made, wrong=_trouble(args, context, cwd))
    except MlopsError as error:
        return replace(made, wrong=_trouble(args, context, cwd) or error)


def as_source(context: Context) -> Context:
    """The context that the run which ended had, as far as the event tells; its head is None where no check of it may be set. Pure."""
    source = context.source
    if source is None:
        return context
    event = SOURCES.get(source.event or "")
    queue = QUEUE_REF.match(f"refs/heads/{context.branch}") if event == "merge_group" else None
    judged = event is not None and (event == "pull_request" or not context.stranger)
    return replace(
        context,
        event=event or "other",
        head=context.head if judged else None,
        checkout=context.head,
        base=None,
        base_branch=queue["base"] if queue else context.base_branch,
        pull_request=context.pull_request if event == "pull_request" else None,
        read_only_token=False,
        run=source.run,
        attempt=source.attempt,
    )


def _trouble(args: argparse.Namespace, context: Context, cwd: Path) -> MlopsError | None:
    """Why the run that ended cannot be judged, None where it can."""
    source = context.source
    if source is None or context.head is None or not source.run:
        return UsageError("unjudged-event", "the event names no run that ended", where="workflow_run")
    head, run = context.head[:7], f"CI run {source.run}"
    if source.event not in SOURCES or (context.stranger and source.event != "pull_request"):
        what = f"{source.event}{' by somebody who may not write here' if source.event in SOURCES else ''}"
        return UsageError("unjudged-event", f"{run} was started by {what}: that is not judged here", where="workflow_run")
    if context.stranger and context.pull_request is None:
        return EnvironmentFailure(
            "no-open-pull-request",
            f"no open pull request has the head {head} (any more): it was closed, or moved on, or two have it; nothing was judged",
            hint="the newest push's own run is judged when it ends",
        )
    if args.verb == "plan":
        return None  # it has only begun: there is nothing to judge yet
    if source.concluded == "cancelled":
        return EnvironmentFailure("run-cancelled", f"{run} of {head} was cancelled before it was over", hint="run it again")
    if args.head or args.metrics or not args.run.strip():
        return UsageError("no-run", "only a run that was handed over can be judged here", where="input run", hint=RUN)
    folder = cwd / args.run.strip()
    if (not folder.exists() and source.concluded in ENDED_WELL) or (folder.is_dir() and not folder.is_symlink()):
        return None  # where nothing was handed over, nothing may have had to run
    ended = f"it ended with {source.concluded}" if source.concluded else "it did not end"
    return UsageError(
        "no-run",
        f"{run} of {head} handed nothing over ({ended})",
        where=args.run.strip()[:100],
        hint="its log says why; the job that trains uploads .mlops/run.json and .mlops/runs/ as the artifact mlops-run",
    )


def _ruling(git: Apart, context: Context) -> str:
    """The commit whose configuration counts: the head's of our own branches; the base branch's for strangers."""
    if not context.stranger and context.checkout:
        return git.look_at(context.checkout).sha
    branch = context.base_branch or context.default_branch
    tip = git.tip(f"refs/heads/{branch}") if branch else None
    if tip is None:
        raise EnvironmentFailure("no-such-commit", f"there is no branch {branch}", where="workflow_run")
    return tip.sha


def write_configurations(git: Apart, commit: str, pattern: str) -> None:
    """Write the files of a commit that `config` names below `git.root`: nothing else of it is on this machine."""
    pattern = str(PurePosixPath(pattern.strip() or read.DEFAULT))
    if re.search(r"[*?\[]", pattern):
        # Wider than a glob: what it does not mean, `read.discover` leaves out.
        wide = re.compile("".join(_wide(part) for part in re.findall(r"\*\*/?|\[[^\]]*\]|.", pattern, re.DOTALL)), re.DOTALL)
        paths: Sequence[str] = [path for path in git.listed(commit) if wide.fullmatch(path)]
    else:
        paths = [pattern]
    for path, content in git.contents(commit, paths).items():
        place = git.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)


def _wide(part: str) -> str:
    if part.startswith("**"):
        return ".*"
    return {"*": "[^/]*", "?": "[^/]"}.get(part, "[^/]" if len(part) > 1 else re.escape(part))


def jobs(args: argparse.Namespace, world: World) -> list[Job | Broken]:
    """One comparison for each configuration that rules here, and each leg of a matrix; what is wrong with one stands in its place."""
    assert isinstance(world.git, Apart)  # noqa: S101 -- a seat without one is wrong, and ended before
    assert world.apart is not None  # noqa: S101 -- as above
    found = handed.find(world.apart / args.run.strip())
    trees = _look(world.git, world.context, found)

    def make(loaded: read.Loaded) -> list[Job | Broken]:
        return _strangers(loaded, found, args, world) if world.context.stranger else _own(loaded, found, trees, args, world)

    return gather.each(read.discover(args.config, cwd=world.cwd, root=world.root), world, make)


def _look(git: Apart, context: Context, found: Found) -> frozenset[str]:
    """Make HEAD what the run checked out, as far as git says so; the trees that it may have had.

    That is the head, or the test merge that the forge keeps of the pull request, whose second parent is that head.
    """
    assert context.head is not None  # noqa: S101 -- see `_trouble`
    head = git.look_at(context.head)
    merge = git.tip(f"refs/pull/{context.pull_request}/merge") if context.pull_request else None
    if merge is None or len(merge.parents) != 2 or merge.parents[1] != head.sha:
        return frozenset([head.tree])
    # A stranger does not choose what it is compared with: the merge as it is now tells the tip of the base branch.
    if context.stranger or not found.runs or any(one.run.tree == merge.tree for one in found.runs):
        git.look_at(merge.sha)
    return frozenset([head.tree, merge.tree])


def _own(loaded: read.Loaded, found: Found, trees: frozenset[str], args: argparse.Namespace, world: World) -> list[Job | Broken]:
    """The runs of one of our own branches: judged, and recorded, as where they were made."""
    state, config = loaded.folder / STATE, loaded.config
    history = world.history(state, config.history.at)
    here = world.git.commit("HEAD") if world.git else None
    # The record's tree is compared with what git knows further down.
    alike = Found(tuple(replace(one, run=replace(one.run, tree=here.tree if here else None)) for one in found.runs), found.refused)
    claimed = {one.run.id: one.run.tree for one in found.runs}
    made: list[Job | Broken] = []
    try:
        runs = current.handed_over(
            alike, history=history, git=world.git, context=world.context, config=loaded.where, model=config.name, state=state
        )
    except UsageError as error:
        if error.name != "no-run":
            raise
        head, run = _untouched(error, loaded, world, history)
        return [_placed(gather.against(loaded, head, run, args, world, history), loaded, world)]
    for run in runs:
        tree = claimed.get(run.id)
        with gather.standing_in(made, loaded.path, world, run.matrix):
            head, judged = heads.judged(replace(run, tree=tree if tree in trees else None), world, history, state)
            made.append(_placed(gather.against(loaded, head, judged, args, world, history), loaded, world))
    return made


def _strangers(loaded: read.Loaded, found: Found, args: argparse.Namespace, world: World) -> list[Job | Broken]:
    """A stranger's runs: of those nothing is recorded but that they were judged, so that nothing is ever compared with them or taken from
    them."""
    config, context = loaded.config, world.context
    history = world.history(loaded.folder / STATE, config.history.at)
    made: list[Job | Broken] = []
    for leg, one in stranger.legs(found, history.entries(), context, config=loaded.where, model=config.name).items():
        with gather.standing_in(made, loaded.path, world, leg):
            if one is None:
                error = stranger.absent(config.name, found, context)
                made.append(_strangers_untouched(error, loaded, leg, args, world, history))
            else:
                made.append(_strangers_leg(loaded, leg, stranger.usable(one), args, world))
    return made


def _untouched(error: UsageError, loaded: read.Loaded, world: World, history: History) -> tuple[Loaded, Run]:
    """Where nothing was handed over of a model: the recorded run of the same inputs, as git knows them, else `error`."""
    assert isinstance(world.git, Apart)  # noqa: S101 -- see `jobs`
    world.git.fill()
    return heads.recorded(error, world, loaded, history, loaded.folder / STATE)


def _strangers_untouched(
    error: UsageError, loaded: read.Loaded, leg: str | None, args: argparse.Namespace, world: World, history: History
) -> Job:
    """As for our own branches, but that no stranger's run answers. It is the stranger's configuration that says what the model reads: only
    where that names the very files and commands that the recorded run had is it the same model."""
    here = world.git.commit("HEAD") if world.git else None
    text = world.git.show(here.sha, loaded.where) if world.git and here else None
    if text is None:
        raise error
    theirs = read.parse(text, where=f"{loaded.where} of {here.sha[:7] if here else ''}", path=loaded.path, root=world.root)
    theirs = replace(theirs, where=loaded.where, config=replace(theirs.config, name=loaded.config.name))
    inside = replace(world, context=replace(world.context, matrix=leg, fork=False, dependabot=False))
    head, run = _untouched(error, theirs, inside, history)
    job = gather.against(loaded, head, run, args, inside, history)
    return _placed(replace(job, request=replace(job.request, base_config=None), keep=False), loaded, world)


def _strangers_leg(loaded: read.Loaded, leg: str | None, one: Handed, args: argparse.Namespace, world: World) -> Job:
    context = replace(world.context, matrix=leg)
    history = world.history(loaded.folder / STATE, loaded.config.history.at)
    fresh = current.fresh(world.git, context, world.clock, model=loaded.config.name, config=loaded.where)
    run = replace(fresh, status="succeeded")
    job = gather.against(loaded, stranger.NOBODY, run, args, world, history)
    config, notes = stranger.judgeable(loaded.config, job.baseline, loaded.where)
    assert job.baseline is not None  # noqa: S101 -- `judgeable` has looked
    salt = history.salt() if job.baseline.hashed else None
    head = stranger.head(one, job.baseline, config, salt=salt, context=context)
    # The configuration is the base branch's: there is no other gate to be held against it.
    look, entries = stranger.look(fresh, head, job.baseline), history.entries()
    request = replace(job.request, config=config, base_config=None, forks_gate=False, evaluation={}, notes=(*job.request.notes, *notes))
    request = tries.counted(request, entries, look)
    found = others.hashed_alike([replace(one, evaluation={}) for one in job.others], head, history)
    job = replace(job, request=request, head=head, salt=None, keep=False, others=found)
    return _placed(replace(job, look=None if tries.known(entries, look) else look), loaded, world)


def _placed(job: Job, loaded: read.Loaded, world: World) -> Job:
    """The job with its outcome where the next steps look for it: in the workspace."""
    return replace(job, state=world.state(loaded.folder), configuration=loaded.path)
