"""The actions' inputs: one definition for action.yml, the reference and what reads them."""

from __future__ import annotations

from dataclasses import dataclass, field

from mlops_toolkit.config.quantities import doc


@dataclass(frozen=True)
class Inputs:
    """The actions' inputs, all text as CI gives them; each action uses those whose `actions` name it."""

    config: str = field(default="mlops.yaml", metadata=doc("The configuration file, or a glob of several.", actions="all"))
    token: str = field(
        default="",
        repr=False,
        metadata=doc("The token that comments and records; never given to your commands.", actions="all", given="${{ github.token }}"),
    )
    run: str = field(
        default="",
        metadata=doc(
            "The run to continue, as `train` put it out (default: this checkout's); of publish-image the id of the run that is published.",
            actions="evaluate compare-to-main publish-image",
        ),
    )
    metrics: str = field(default="", metadata=doc("A metrics file to compare, where there is no mlops.yaml.", actions="compare-to-main"))
    base: str = field(
        default="",
        metadata=doc(
            "What to compare with: a commit, branch, run or file; default: found by the rules of docs/baseline.md.",
            actions="compare-to-main review",
        ),
    )
    again: str = field(
        default="false", metadata=doc("`true`: train even if nothing changed.", actions="train review", one_of=("true", "false"))
    )
    comment: str = field(
        default="true",
        metadata=doc("`false`: no comment on the pull request.", actions="compare-to-main review", one_of=("true", "false")),
    )
    matrix: str = field(
        default="",
        metadata=doc(
            "Which leg of a matrix this is, where one configuration runs in several: give it `matrix.size`, say. Each has its own baseline, section and check.",
            actions="train evaluate compare-to-main plan report publish-image deploy review",
        ),
    )
    close: str = field(
        default="false",
        metadata=doc(
            "`true`: where a check still says pending because its job was cancelled or lost, say that it ended without a verdict.",
            actions="report",
            one_of=("true", "false"),
        ),
    )
    ref: str = field(
        default="",
        metadata=doc(
            "What is published or deployed: a tag, commit or branch; default: what the event is about.", actions="publish-image deploy"
        ),
    )
    model: str = field(default="", metadata=doc("The model that is meant, where there are several.", actions="publish-image deploy"))
    environment: str = field(
        default="",
        metadata=doc("Where, as `deploy:` of mlops.yaml names it; needed where that names several.", actions="deploy monitor"),
    )
    prometheus: str = field(
        default="",
        metadata=doc(
            "The Prometheus that is asked what rings; default: what a relay sent in the event's client_payload.alerts.", actions="monitor"
        ),
    )
    dispatch: str = field(
        default="", metadata=doc("The workflow that is started where features drifted, once for as long as they do.", actions="monitor")
    )
    image: str = field(
        default="", metadata=doc("The image to deploy, NAME@sha256:…; default: what was published of `ref`.", actions="deploy")
    )
    older: str = field(
        default="false",
        metadata=doc("`true`: deploy it although it is older than what is live.", actions="deploy", one_of=("true", "false")),
    )
    rollback: str = field(
        default="",
        metadata=doc("Go back instead of deploying: `last` to the last good release, or to this version, id or digest.", actions="deploy"),
    )
    reason: str = field(default="", metadata=doc("Why it is taken back; recorded with the release.", actions="deploy"))
    status: str = field(
        default="false",
        metadata=doc(
            "`true`: deploy nothing; say what runs there, and tell GitHub and the history what became of rollouts whose job did not live to tell it.",
            actions="deploy",
            one_of=("true", "false"),
        ),
    )
    override: str = field(
        default="",
        metadata=doc(
            "The reason to publish it although its gate says no; it is recorded with the name of who started the run, and printed on the image.",
            actions="publish-image",
        ),
    )
    python: str = field(default="python3", metadata=doc("The Python (3.10 or newer) our own environment is made with.", actions="all"))
