"""What follows a decision: files beside the run, the record in the history, the comment, status, summary, annotations and outputs.

Nothing here changes a verdict or an exit code: what cannot be posted is kept on disk and said.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_toolkit import public
from mlops_toolkit.announce import Trouble
from mlops_toolkit.compare import posting
from mlops_toolkit.compare.gather import Job
from mlops_toolkit.errors import PRECEDENCE, MlopsError
from mlops_toolkit.forge.base import check_name
from mlops_toolkit.history.base import Bundle, History, Recorded
from mlops_toolkit.history.local import prepare
from mlops_toolkit.records import codec
from mlops_toolkit.records.result import Result
from mlops_toolkit.records.run import GateOutcome, Run
from mlops_toolkit.report import comment, rows, terminal
from mlops_toolkit.system.files import write_atomic
from mlops_toolkit.world import World

if TYPE_CHECKING:
    from mlops_toolkit.report.charts import Chart

Outcome = tuple[Job, Result]


def perform(outcomes: Sequence[Outcome], args: argparse.Namespace, world: World, without: Sequence[Result] = ()) -> None:
    """Show, keep and post every outcome. without: results of models that have no verdict, shown among the others and posted elsewhere."""
    pictures = bool(getattr(args, "html", False)) or world.context.ci
    shown, reports, written = [], list[posting.Report](), []
    worst = {job.state: result for job, result in sorted(outcomes, key=lambda outcome: PRECEDENCE.index(outcome[1].exit), reverse=True)}
    for job, result in outcomes:
        drawn = _drawn(result) if pictures and job.request.config.comment.charts else ()
        recorded, unkept = _keep(job, result, drawn, world)
        urls = _urls(job, recorded, drawn, world)
        text = comment.comment(
            result, chart_urls=urls, chart_alts={c.name: c.alt for c in drawn}, examples=job.request.config.comment.examples
        )
        # Of several legs that share a folder the worst one's report stands there.
        written.append(result is worst[job.state] and write_files(result, text, drawn, job.state, world, html=pictures))
        reports.append(posting.Report(job, result, text, (unkept,)))
        shown.append(text)
    url = posting.post(reports, args, world)
    shown += [comment.comment(result) for result in without]
    _show([*(result for _, result in outcomes), *without], shown, args, world)
    if getattr(args, "html", False):
        for (job, _), whole in zip(outcomes, written, strict=True):
            _say_where(job.state, world, whole=whole)
    _outputs(outcomes, url, world)


def _drawn(result: Result) -> tuple[Chart, ...]:
    """The charts; matplotlib is not loaded for anything else."""
    from mlops_toolkit.report.charts import charts

    return charts(result)


def _show(results: Sequence[Result], texts: Sequence[comment.Comment], args: argparse.Namespace, world: World) -> None:
    """On standard output: one JSON document, or the comments as this terminal (or log, or pipe) shows them."""
    if getattr(args, "json", False):
        made = [codec.to_json(result) for result in results]
        document = made[0] if len(made) == 1 else {"schema": 1, "results": made}
        print(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False), file=world.out)
        return
    able = world.out.isatty() and world.env.get("TERM") != "dumb"
    color = (able or world.env.get("FORCE_COLOR", "0") != "0") and "NO_COLOR" not in world.env
    for text in texts:
        print(terminal.terminal(text.text, width=shutil.get_terminal_size((100, 24)).columns, color=color), file=world.out, end="")


def write_files(result: Result, text: comment.Comment, drawn: Sequence[Chart], state: Path, world: World, *, html: bool) -> bool:
    """report.json, comment.md and, with pictures, junit.xml, report.html and charts/ in the `.mlops` folder; whether they are there now."""
    try:
        prepare(state)
        write_atomic(state / "report.json", codec.dumps(result))
        write_atomic(state / "comment.md", text.text)
        for chart in drawn:
            write_atomic(state / "charts" / f"{chart.name}.png", chart.png)
        if html:
            from mlops_toolkit.report import previews
            from mlops_toolkit.report.junit import junit
            from mlops_toolkit.report.page import page

            write_atomic(state / "junit.xml", junit(result))
            found = previews.read(result, folder=state.parent)
            write_atomic(state / "report.html", page(result, previews=found, charts=drawn))
    except OSError as error:
        print(f"mlops compare: the report could not be written to {state}: {error.strerror or error}", file=world.err)
        return False
    return True


def _say_where(state: Path, world: World, *, whole: bool) -> None:
    if whole:
        print(f"report: {state / 'report.html'}", file=world.err)


def rewrite(result: Result, state: Path, args: argparse.Namespace, world: World) -> None:
    """A result that was read back: files, page and pictures again, and the comment on standard output."""
    drawn = _drawn(result)
    urls = {c.name: f"charts/{c.name}.png" for c in drawn}
    text = comment.comment(result, chart_urls=urls, chart_alts={c.name: c.alt for c in drawn})
    whole = write_files(result, text, drawn, state, world, html=True)
    _show([result], [text], args, world)
    _say_where(state, world, whole=whole)


def _keep(job: Job, result: Result, drawn: Sequence[Chart], world: World) -> tuple[Recorded | None, Trouble]:
    """Record the run with its outcome: on this machine, and from a CI that may write also on the history branch; and what of it failed."""
    if job.look is not None and job.history is not None:
        return None, _looked(job.look, job.history, result)
    if not job.keep or job.run is None or job.history is None:
        return None, (None, None)
    said_yes = rows.said_yes(result)
    outcome = GateOutcome(
        result.gate, result.verdict, accepted=bool(said_yes) and not result.blocks, sentence=result.sentence, said_yes=said_yes
    )
    run = replace(job.run, gate=outcome, ended=job.run.ended or job.run.started)
    try:
        prepare(job.state)
        job.history.record(Bundle(run, result), remote=False)
        if job.head.run is not None and not world.context.read_only_token:
            write_atomic(job.state / "run.json", codec.dumps(run))
        if not world.context.ci or world.context.read_only_token:
            return None, (None, None)
        kept, files = public.of(run, job.head.tables, job.request.config, job.history, job.state, world, job.head.seeds)
        files |= {chart_path(chart): chart.png for chart in drawn}
        recorded = job.history.record(Bundle(kept, result, files), remote=True)
    except OSError as error:
        return None, (f"the run's outcome could not be kept in {job.state}: {error.strerror or error}", None)
    except MlopsError as error:
        recorded = Recorded(pushed=False, reason=str(error))
    # Where nothing is checked out, our folder goes with this process; the run that was handed over can be judged again.
    what = "the run is not recorded, run this job again" if world.apart else "the run waits on this machine"
    return recorded, (f"{what}: {recorded.reason}" if recorded.reason else None, recorded.hint)


def _looked(look: Run, history: History, result: Result) -> Trouble:
    """Record that a stranger's model was judged, so that the next one of its pull request is another look."""
    try:
        recorded = history.record(Bundle(replace(look, gate=GateOutcome(result.gate, result.verdict))), remote=True)
    except (OSError, MlopsError) as error:
        recorded = Recorded(pushed=False, reason=str(error))
    return (f"this look is not counted: {recorded.reason}" if recorded.reason else None), recorded.hint


def chart_path(chart: Chart) -> str:
    """Named by content, so that a picture's address never shows an older one."""
    return f"charts/{chart.name}-{hashlib.sha256(chart.png).hexdigest()[:12]}.png"


def _urls(job: Job, recorded: Recorded | None, drawn: Sequence[Chart], world: World) -> Mapping[str, str]:
    """Where the comment's pictures are: on the history branch, or (on a laptop) files beside the comment; none otherwise."""
    if recorded is not None and recorded.pushed:
        return {c.name: recorded.urls[chart_path(c)] for c in drawn if chart_path(c) in recorded.urls}
    return {} if world.context.ci else {c.name: f"charts/{c.name}.png" for c in drawn}


def _outputs(outcomes: Sequence[Outcome], url: str | None, world: World) -> None:
    """Of several models the worst one's verdict, and a line a run."""
    if not (world.context.ci and outcomes):
        return
    job, worst = min(outcomes, key=lambda outcome: PRECEDENCE.index(outcome[1].exit))
    numbers = [
        (check_name(r.model, r.matrix), {check.metric: check.head for check in r.checks if check.slice is None and check.against is None})
        for _, r in outcomes
    ]
    runs = "\n".join(r.head.run or "" for _, r in outcomes)
    world.forge.output(
        {
            "verdict": worst.verdict or "",
            "gate": worst.gate,
            "report": str(job.state / "report.json"),
            "run": runs,
            "run-id": runs,
            "metrics": json.dumps(numbers[0][1] if len(numbers) == 1 else dict(numbers), separators=(",", ":"), allow_nan=False),
            "comment-url": url or "",
            "exit": str(worst.exit),
        }
    )
