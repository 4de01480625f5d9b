"""The words of the command line: what each verb may be told, and what is said of it."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from mlops_toolkit._version import __version__

Parser = argparse.ArgumentParser


def _config(parser: Parser) -> None:
    parser.add_argument(
        "--config", default="mlops.yaml", metavar="FILE", help="the configuration file, or a glob of several (default: mlops.yaml)"
    )


def _again(parser: Parser) -> None:
    parser.add_argument("--again", action="store_true", help="train even if nothing changed since an earlier run")


def _matrix(parser: Parser) -> None:
    parser.add_argument(
        "--matrix", default="", metavar="LEG", help="which leg of a matrix this is, where one configuration runs in several"
    )


def _json(parser: Parser, what: str, form: str = "document") -> None:
    parser.add_argument("--json", action="store_true", help=f"print {what} as one JSON {form}, and nothing else, on standard output")


def _doctor(parser: Parser) -> None:
    _config(parser)
    _json(parser, "what was found", "list")


def _plan(parser: Parser) -> None:
    parser.description = (
        "Say which models must be trained or evaluated here, without a GPU or data: those whose inputs are not recorded yet."
    )
    _config(parser)
    _matrix(parser)
    _json(parser, "the plan")


def _report(parser: Parser) -> None:
    _config(parser)
    _matrix(parser)
    parser.add_argument(
        "--close", action="store_true", help="say of checks that a cancelled or lost job left pending that they have no verdict"
    )
    _outcome(parser)


def _record(parser: Parser) -> None:
    parser.description = (
        "Register a model that was trained elsewhere (on a cluster, in a notebook, by a vendor), and write the committed pointer that "
        "`model:` in mlops.yaml names."
    )
    parser.add_argument("uri", metavar="URI", help="where the model is: a path, s3://…, gs://…, az://…, oci://…, https://…, or vendor:NAME")
    _config(parser)
    _matrix(parser)
    parser.add_argument("--predictions", action="append", default=[], metavar="[SUITE=]FILE", help="what it answered: one row per example")
    parser.add_argument("--measures", default="", metavar="FILE", help="numbers to go with it: {name: number or [numbers]}")
    parser.add_argument("--metrics", default="", metavar="FILE", help="a metrics file, where there are no predictions")
    parser.add_argument("--params", default="", metavar="FILE", help="the parameters it was trained with")
    parser.add_argument(
        "--prompt", action="append", default=[], metavar="FILE", help="a file that is part of the model, like a prompt (repeatable)"
    )
    parser.add_argument("--tried", type=int, default=1, metavar="N", help="how many candidates it was chosen from")
    parser.add_argument("--commit", default="", metavar="COMMIT", help="the commit of the code that trained it (default: HEAD)")


def _run(parser: Parser) -> None:
    parser.add_argument("--run", default="", metavar="RUN", help="the run to continue: its id or record (default: this checkout's)")


def _outcome(parser: Parser) -> None:
    _json(parser, "the result")
    parser.add_argument("--html", action="store_true", help="also draw the charts and write .mlops/report.html (a CI always does)")


def _compare(parser: Parser) -> None:
    parser.description = (
        "Compare two models on the same examples. BASE and HEAD are each a run, a commit or branch, a run.json, a predictions file or a "
        "metrics file; without them, the baseline of this branch and the run of this checkout."
    )
    parser.add_argument("base", nargs="?", default="", metavar="BASE")
    parser.add_argument("head", nargs="?", default="", metavar="HEAD")
    _config(parser)
    _matrix(parser)
    _run(parser)
    parser.add_argument("--metrics", default="", metavar="FILE", help="a metrics file to compare, where there is no mlops.yaml")
    parser.add_argument("--task", choices=("classification", "regression"), help="what the predictions are")
    parser.add_argument(
        "--metric",
        action="append",
        default=[],
        metavar="NAME",
        help='as in mlops.yaml: accuracy, recall:spam, "mean:score better=higher" (repeatable)',
    )
    parser.add_argument("--slice", action="append", default=[], metavar="COLUMN", help='a column, or "NAME=CONDITION" (repeatable)')
    parser.add_argument(
        "--gate",
        action="append",
        default=[],
        metavar="RULE",
        help="METRIC:max-drop=1pp[,min=0.8], METRIC:improve-by=1pp[,max-gain=10pp] (repeatable)",
    )
    parser.add_argument("--positive", default=None, metavar="LABEL", help="the positive class of binary metrics")
    _outcome(parser)


def _bisect(parser: Parser) -> None:
    parser.add_argument("metric", metavar="METRIC", help="as in mlops.yaml and the comment: accuracy, f1:spam, safety/refusal-rate")
    _config(parser)
    _matrix(parser)
    parser.add_argument("--slice", default="", metavar="SLICE", help="on one slice alone: language=de")
    parser.add_argument("--since", default="", metavar="COMMIT", help="from this commit or tag on (default: from the first recorded run)")
    _json(parser, "what was found")


def _review(parser: Parser) -> None:
    parser.add_argument("base", nargs="?", default="", metavar="BASE", help="what to compare with (default: the baseline of this branch)")
    _config(parser)
    _matrix(parser)
    _again(parser)
    _outcome(parser)


def _measure(parser: Parser) -> None:
    from mlops_toolkit.config.quantities import Duration

    def budget(text: str) -> Duration:
        try:
            return Duration.parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    parser.description = (
        "Run CMD for the baseline's model and for this run's in turn (A B, B A, …) on this machine, with MLOPS_MODEL naming the model, and "
        "record its wall time (latency), its peak memory (memory) or the numbers that it prints, for compare to judge."
    )
    parser.add_argument("what", choices=("latency", "memory"), help="what is measured of each run of CMD")
    parser.add_argument("command", nargs="+", metavar="CMD", help="the command, behind --")
    _config(parser)
    _matrix(parser)
    _run(parser)
    parser.add_argument("--name", default="", metavar="NAME", help="the measure's name (default: latency-ms, peak-memory-mb)")
    parser.add_argument("--rounds", type=int, default=30, metavar="N", help="how many rounds, one run of each model a round (default: 30)")
    parser.add_argument("--warm-up", type=int, default=3, metavar="N", help="runs of each model that do not count (default: 3)")
    parser.add_argument("--budget", type=budget, default=Duration("10m", 600.0), metavar="TIME", help="no new round after this long (10m)")
    parser.add_argument(
        "--from-output",
        action="store_true",
        help='take the numbers that CMD prints: one a line, or JSON like {"latency-ms": 12.1}; its start-up does not count then',
    )


def _inspect(parser: Parser) -> None:
    parser.description = (
        "Say what a stored model is, without loading it: its format, what goes in and comes out, its files by digest, what it was trained "
        "with and what serves it."
    )
    parser.add_argument("model", metavar="MODEL", help="a folder that mlops.save wrote, a model's file, or the id of a recorded run")
    _config(parser)
    parser.add_argument(
        "--golden", action="store_true", help="load it and see whether it answers its golden examples as it did (needs its packages)"
    )
    _json(parser, "it")


def _verify(parser: Parser) -> None:
    parser.description = (
        "Say whether an image (or a model as an artifact) is what `mlops publish` made of a recorded run: its bytes, its model, who signed it, "
        "where it comes from and what the gate said. It asks the registry alone. Exit code 5: something is wrong."
    )
    parser.add_argument("image", metavar="IMAGE", help="ghcr.io/owner/repo/model:v1.2.3, or better by digest: …@sha256:…")
    parser.add_argument(
        "--key", default="", metavar="FILE", help="the public key (cosign.pub, or env://NAME); without one nothing attached is proven"
    )
    parser.add_argument(
        "--require",
        action="append",
        default=[],
        metavar="WHAT",
        help="signature, passed (by itself: no yes, no override, nothing undecided), commit=SHA, repository=OWNER/REPO (repeatable)",
    )
    parser.add_argument("--deep", action="store_true", help="read every layer, not the model's alone")
    _json(parser, "what was found")


def _serve(parser: Parser) -> None:
    from mlops_toolkit.serve import settings

    parser.description = (
        "Answer requests with stored models, on this machine, as their image would: the Open Inference Protocol (v2), POST /predict, and a "
        "page to try them. Every option is also a variable, MLOPS_SERVE_…; a bearer token is only that (MLOPS_SERVE_TOKEN), or a file's."
    )
    parser.add_argument(
        "models", nargs="+", metavar="MODEL", help="a folder that mlops.save wrote, a folder of such, or the id of a recorded run"
    )
    _config(parser)
    settings.add_flags(parser, defaults=settings.LAPTOP)


def _publish(parser: Parser) -> None:
    parser.description = (
        "Publish the recorded model of a commit that may be released: as an image that serves it, or as an artifact. REF is a tag, a commit or "
        "a branch; without it, what the CI's event is about, or HEAD."
    )
    parser.add_argument("ref", nargs="?", default="", metavar="REF", help="what is published; a tag gives the image its version")
    _config(parser)
    _matrix(parser)
    parser.add_argument("--run", default="", metavar="RUN", help="the run whose model it is, where the commit has several")
    parser.add_argument("--model", default="", metavar="NAME", help="the model, where the commit has runs of several")
    parser.add_argument(
        "--override", default="", metavar="REASON", help="publish it although its gate says no; recorded, and printed on the image"
    )
    parser.add_argument("--by", default="", metavar="NAME", help="who decided that (in a CI: who started the run)")
    parser.add_argument("--dry-run", action="store_true", help="say what would be published, and send nothing")
    _json(parser, "what was done")


def _monitor(parser: Parser) -> None:
    parser.description = (
        "Write what watches the models of this repository in production: rules and scraping for Prometheus, routing for Alertmanager, a "
        "dashboard for Grafana, a pipeline for the log lines, and a compose file that starts it all."
    )
    _config(parser)
    parser.add_argument("--out", default="", metavar="DIR", help="the folder that is written; what a person changed there stays")
    parser.add_argument(
        "--environment", default="", metavar="NAME", help="as `deploy:` of mlops.yaml names it (default: its only one, else production)"
    )
    parser.add_argument("--target", choices=("docker", "kubernetes"), help="where the models run (default: as `deploy:` says, else docker)")
    parser.add_argument("--force", action="store_true", help="write over what was changed by hand, too")
    _json(parser, "what was written")
    parser.set_defaults(alerts="", ask="", dispatch="")  # an action's inputs are put there
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    issue = actions.add_parser("issue", help="open, update or close the one issue about alarms that ring")
    _config(issue)
    issue.add_argument(
        "--alerts", default="", metavar="FILE", help="the body that Alertmanager sends to a webhook (default: standard input)"
    )
    issue.add_argument("--from", dest="ask", default="", metavar="URL", help="ask this Prometheus instead what rings now")
    issue.add_argument("--environment", default="", metavar="NAME", help="of this environment alone (with --from, default: production)")
    issue.add_argument("--dispatch", default="", metavar="WORKFLOW", help="where features drifted, start this workflow once: model.yml")
    _json(issue, "what was done")


def _environment(parser: Parser) -> None:
    _config(parser)
    _matrix(parser)
    parser.add_argument(
        "--environment", default="", metavar="NAME", help="where, as `deploy:` of mlops.yaml names it; needed where it names several"
    )
    parser.add_argument("--model", default="", metavar="NAME", help="which model, where several can be deployed")


def _deploy(parser: Parser) -> None:
    parser.description = (
        "Deploy what was published of a tag or commit, by its digest: beside what runs, asked its golden examples, given the traffic step by "
        "step, watched, and taken back by itself where it is worse. REF is a tag or commit; without it, what the CI's event is about, or HEAD."
    )
    parser.add_argument("ref", nargs="?", default="", metavar="REF", help="what is deployed")
    _environment(parser)
    parser.add_argument("--image", default="", metavar="NAME@sha256:…", help="this very image, whatever the history says")
    parser.add_argument("--allow-older", action="store_true", help="although it is older than what is live")
    parser.add_argument("--allow-withdrawn", action="store_true", help="although it was taken back before")
    parser.add_argument(
        "--render", default="", metavar="DIR", help="write what would be sent there (manifests, settings), and send nothing"
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and change nothing")
    parser.set_defaults(rollback="", reason="", to="", status=False, tell=True)
    _json(parser, "what was done")


def _rollback(parser: Parser) -> None:
    parser.description = "Go back to an earlier release, by what the target itself keeps of it. What is taken back is withdrawn: nothing is compared with it any more."
    _environment(parser)
    parser.add_argument("--to", default="", metavar="RELEASE", help="its version, id or digest (default: the last good one)")
    parser.add_argument("--reason", default="", metavar="REASON", help="why; it is recorded with what is taken back")
    parser.add_argument("--allow-withdrawn", action="store_true", help="although what is gone back to was taken back itself")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and change nothing")
    _json(parser, "what was done")


def _status(parser: Parser) -> None:
    parser.description = "Say what runs where, since when, from which pull request, with which verdict: asked of the targets themselves."
    _environment(parser)
    parser.add_argument("--tell", action="store_true", help="also tell the history, and in a CI GitHub, of rollouts that ended unseen")
    _json(parser, "it", "list")


def _power(parser: Parser) -> None:
    parser.description = (
        "Say how many examples a margin needs, or which margin so many examples decide, before the test set exists: from what you expect of "
        "two models (--disagree), from this model's recorded comparisons (a metric's name), or from the predictions of one or two models."
    )
    parser.add_argument(
        "of", nargs="*", metavar="METRIC|FILE", help="a metric that was compared here before; or predictions of one or two models"
    )
    _config(parser)
    _matrix(parser)
    parser.add_argument(
        "--margin", default="", metavar="MARGIN", help="how much worse is allowed: 1pp, 2%% of the value, a number (default: the gate's)"
    )
    parser.add_argument("--examples", type=int, default=None, metavar="N", help="so many examples: which margin do they decide?")
    parser.add_argument(
        "--disagree", default="", metavar="SHARE", help="how many examples two models answer differently right or wrong: 4%%"
    )
    parser.add_argument("--accuracy", default="", metavar="SHARE", help="how good the models are: 0.9")
    parser.add_argument("--metric", default="", metavar="NAME", help="accuracy (the default), f1-macro, recall:spam, … as in mlops.yaml")
    parser.add_argument("--classes", default="", metavar="SHARES", help="how large the classes are: 0.1,0.9 or spam=0.1,ham=0.9")
    parser.add_argument("--power", default="0.8", metavar="SHARE", help="how many harmless changes shall pass (default: 0.8)")
    parser.add_argument("--confidence", type=float, default=None, metavar="SHARE", help="of the interval (default: mlops.yaml's, or 0.95)")
    parser.add_argument("--clusters", type=int, default=None, metavar="M", help="the examples come from so many users, documents, …")
    parser.add_argument(
        "--alike", type=float, default=None, metavar="R", help="how alike two examples of one cluster are, 0 to 1 (default: 0.1)"
    )
    parser.add_argument("--task", choices=("classification", "regression"), help="what the predictions are")
    parser.add_argument("--positive", default=None, metavar="LABEL", help="the positive class of binary metrics")
    parser.add_argument("--png", default="", metavar="FILE", help="where the curve is drawn (default: .mlops/power.png)")
    _json(parser, "the answer")


def _history(parser: Parser) -> None:
    _config(parser)
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    listing = actions.add_parser("list", help="the runs, newest first")
    listing.add_argument("--json", action="store_true")
    show = actions.add_parser("show", help="one run's record and outcome")
    show.add_argument("id")
    show.add_argument("--json", action="store_true")
    actions.add_parser("push", help="send what waits on this machine to the remote")
    prune = actions.add_parser("prune", help="drop old runs of closed pull requests and branches")
    prune.add_argument("--days", type=int, default=90)
    for name, text in (("forget", "remove a run and its predictions for good"), ("withdraw", "keep a run, but never as a baseline")):
        one = actions.add_parser(name, help=text)
        one.add_argument("id")
        one.add_argument("--reason", default="")
    released = actions.add_parser("release", help="say that a run's model was released: what `against: release` means")
    released.add_argument("id")
    released.add_argument("--as", dest="name", default="", metavar="NAME", help="what it was released as, like v1.2")


def _demo(parser: Parser) -> None:
    from mlops_toolkit.demo import flags

    flags.add(parser)


def _with(*parts: Callable[[Parser], None]) -> Callable[[Parser], None]:
    def add(parser: Parser) -> None:
        for part in parts:
            part(parser)

    return add


HELP: dict[str, tuple[str, Callable[[Parser], None]]] = {
    "init": ("look at this repository and write a first mlops.yaml and workflow", _config),
    "validate": ("check mlops.yaml; all errors at once", _config),
    "doctor": ("find what would go wrong before it does", _doctor),
    "plan": ("say which models must be trained or evaluated", _plan),
    "train": ("run the training command and record what it made", _with(_config, _matrix, _again)),
    "evaluate": ("run the evaluation and compute the metrics", _with(_config, _matrix, _run)),
    "compare": ("compare two models, judge the gate, write the report", _compare),
    "bisect": ("name the commits of the base branch where a metric really moved", _bisect),
    "report": ("write the last result again as comment, page and charts", _report),
    "review": ("train, evaluate and compare", _review),
    "record": ("register a model that was trained elsewhere", _record),
    "measure": ("measure latency or memory of both models in turn, on one machine", _measure),
    "power": ("how many examples a margin needs, before the test set exists", _power),
    "publish": ("publish the model of a commit that may be released, as an image", _publish),
    "deploy": ("let a published release take over, step by step, and take it back if it is worse", _deploy),
    "rollback": ("go back to an earlier release", _rollback),
    "status": ("what runs where, since when, from which pull request", _status),
    "inspect": ("what a stored model is: format, inputs and outputs, files", _inspect),
    "verify": ("check an image: its bytes, model, signature, provenance, verdict", _verify),
    "serve": ("answer requests with a stored model", _serve),
    "monitor": ("write what watches a model in production: alarms, a dashboard, logs", _monitor),
    "history": ("the recorded runs: list, show, push, prune, forget, withdraw, release", _history),
    "demo": ("see it work on real data in a throw-away repository", _demo),
}

EPILOG = "exit codes: 0 passed, 1 the gate failed, 2 configuration or usage, 3 undecided, 4 environment, 5 your command or its file, 70 our defect, 130/143 cancelled"


def parser() -> Parser:
    """The whole command line."""
    top = Parser(prog="mlops", description="Pull requests for models.", epilog=EPILOG)
    top.add_argument("--version", action="version", version=f"mlops {__version__}")
    verbs = top.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name, (text, add) in HELP.items():
        add(verbs.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".", epilog=EPILOG))
    return top
