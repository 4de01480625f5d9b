"""What `deploy:` of mlops.yaml says: where releases run, and how a new one takes over there."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import Literal

from mlops_toolkit.config.quantities import Duration, Margin, doc

Measured = Literal["errors", "latency", "predictions"]
VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"
UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
AMOUNT = r"^[0-9]+(\.[0-9]+)?(Ki|Mi|Gi|Ti|k|M|G|T)?$"
SHARE = r"^(100|[0-9]{1,2})(\.[0-9]{1,2})?%$"
FROM = r"^(env://[A-Za-z_][A-Za-z0-9_]*|(?!env:)[^:]+)$"
FROM_LIKE = "a file, or env://NAME"
LONGEST_NAME = 40


@dataclass(frozen=True)
class StepOptions:
    """A part of the traffic for a while."""

    share: str = field(
        metadata=doc("Its part of the requests; `25%` says it alone.", example="25%", pattern=SHARE, like="a share like 25%")
    )
    hold: Duration = field(default=Duration("2m", 120.0), metadata=doc("How long it has this part at least.", example="5m"))
    most: Duration = field(
        default=Duration("10m", 600.0), metadata=doc("How long it has it at most, while too few requests came to decide.", example="30m")
    )


@dataclass(frozen=True)
class LimitOptions:
    """How much worse than the old release, in the same minutes, the new one may be."""

    errors: Margin = field(
        default=Margin("0.5pp", 0.005), metadata=doc("How much larger a part of its requests may fail. Default: 0.5pp.", example="0.5pp")
    )
    latency: Margin = field(
        default=Margin("20%", 0.2, relative=True), metadata=doc("How much slower its 95th percentile may be. Default: 20%.", example="20%")
    )
    max_latency_ms: float | None = field(
        default=None, metadata=doc("What its 95th percentile may be at most, whatever the old one's was.", example="250", above=0)
    )
    predictions: float = field(
        default=0.02,
        metadata=doc("How differently it may answer: the effect size φ² between both releases' answers.", example="0.05", above=0, most=1),
    )
    memory: str | None = field(
        default=None, metadata=doc("What one instance may hold in memory.", example="2Gi", pattern=AMOUNT, like="an amount like 512Mi")
    )
    confidence: float = field(
        default=0.95, metadata=doc("Of every interval that is held against a limit, two-sided.", example="0.99", least=0.5, most=0.9999)
    )
    ignore: tuple[Measured, ...] = field(default=(), metadata=doc("What is not looked at.", example="[predictions]"))


@dataclass(frozen=True)
class RolloutOptions:
    """How a new release takes over from the old one."""

    strategy: Literal["canary", "blue-green", "all-at-once", "shadow"] = field(
        default="canary",
        metadata=doc(
            "`canary`: by growing parts of the traffic. `blue-green`: beside the old one, then all traffic at once. `all-at-once`: as that, "
            "without a look at how it does before. `shadow`: it is first asked a copy of the traffic, and nobody gets its answers.",
            example="blue-green",
        ),
    )
    steps: tuple[StepOptions, ...] = field(
        default=(StepOptions("5%"), StepOptions("25%"), StepOptions("50%")),
        metadata=doc(
            "The parts of the traffic that a canary (or a shadow) gets, one after the other. Default: 5%, 25%, 50%.",
            example="[5%, {share: 25%, hold: 5m}]",
        ),
    )
    limits: LimitOptions = field(default_factory=LimitOptions, metadata=doc("What sends it back."))
    when_uncertain: Literal["go-on", "go-back"] = field(
        default="go-on", metadata=doc("What a step does that had too few requests to decide when its time was over.", example="go-back")
    )
    start: Duration = field(
        default=Duration("2m", 120.0), metadata=doc("In what time it must answer, with its golden examples right.", example="5m")
    )
    drain: Duration = field(default=Duration("30s", 30.0), metadata=doc("How long the old one may take to end the requests it has."))


@dataclass(frozen=True)
class Resources:
    """What one instance may use."""

    cpu: float | None = field(default=None, metadata=doc("Processor cores.", example="2", above=0, most=1024))
    memory: str | None = field(default=None, metadata=doc("Memory.", example="2Gi", pattern=AMOUNT, like="an amount like 512Mi"))


@dataclass(frozen=True)
class Deploy:
    """Where releases of this model run, and how a new one takes over."""

    target: Literal["docker", "kubernetes", "helm", "gitops"] = field(metadata=doc("What runs them.", example="docker"))
    name: str | None = field(
        default=None,
        metadata=doc(
            "What it is called there. Default: the model's name.",
            example="spam-filter",
            pattern=r"^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$",
            like="lower-case letters, digits and `-`, at most 40, the first and last a letter or digit",
        ),
    )
    url: str | None = field(
        default=None,
        metadata=doc(
            "Where people find it, for links.", example="https://spam.example.com", pattern=r"^https?://[!-~]+$", like="an http(s) address"
        ),
    )
    # ── a Docker host
    host: str | None = field(
        default=None,
        metadata=doc(
            targets="docker",
            text="The Docker host, over SSH. Default: the one of this machine.",
            example="ssh://deploy@gpu1.example.com",
            pattern=r"^ssh://([A-Za-z0-9._-]+@)?[A-Za-z0-9][A-Za-z0-9._-]*(:[0-9]{1,5})?$",
            like="ssh://USER@HOST",
        ),
    )
    known_hosts: str | None = field(
        default=None,
        metadata=doc(
            targets="docker",
            text="The SSH host's keys, as `ssh-keyscan` prints them. Default: this user's own file.",
            example="deploy/known_hosts",
            pattern=FROM,
            like=FROM_LIKE,
        ),
    )
    ssh_key: str | None = field(
        default=None,
        metadata=doc(
            targets="docker",
            text="The private key that opens it. Default: the SSH agent's.",
            example="env://DEPLOY_SSH_KEY",
            pattern=FROM,
            like=FROM_LIKE,
        ),
    )
    port: int = field(
        default=8080, metadata=doc(targets="docker kubernetes helm", text="The port that it answers at.", example="80", least=1, most=65535)
    )
    proxy: Literal["haproxy", "nginx"] = field(
        default="haproxy",
        metadata=doc(
            targets="docker",
            text="What hands out the traffic on a Docker host. nginx does it by reloads, which close idle connections.",
            example="nginx",
        ),
    )
    proxy_image: str | None = field(
        default=None,
        metadata=doc(targets="docker", text="The proxy's image, best by digest.", example="docker.io/library/haproxy:3.2-alpine"),
    )
    agent_image: str | None = field(
        default=None,
        metadata=doc(
            "The image with a Python 3.10 or newer in which a release is watched over. Default: what the release stands on.",
            example="docker.io/library/python:3.12-slim",
        ),
    )
    # ── a cluster
    namespace: str = field(
        default="default",
        metadata=doc(
            targets="kubernetes helm gitops",
            text="The cluster's namespace.",
            example="models",
            pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
            like="a namespace",
        ),
    )
    context: str | None = field(
        default=None, metadata=doc(targets="kubernetes helm", text="The context of the kubeconfig.", example="production")
    )
    kubeconfig: str | None = field(
        default=None,
        metadata=doc(
            targets="kubernetes helm",
            text="How the cluster is reached. Default: this user's own.",
            example="env://KUBECONFIG_CONTENT",
            pattern=FROM,
            like=FROM_LIKE,
        ),
    )
    runs: Literal["there", "here"] = field(
        default="there",
        metadata=doc(
            targets="kubernetes",
            text="Where a release is watched over: by a Job in the cluster, or, where that may not be, by this job, which must then last.",
            example="here",
        ),
    )
    pull_secrets: tuple[str, ...] = field(
        default=(),
        metadata=doc(targets="kubernetes helm", text="Secrets of the namespace that images are pulled with.", example="[registry]"),
    )
    gateway: str | None = field(
        default=None,
        metadata=doc(
            targets="kubernetes",
            text="A Gateway (NAMESPACE/NAME) whose HTTPRoute hands out the traffic by weights.",
            example="infra/public",
        ),
    )
    chart: str | None = field(
        default=None, metadata=doc(targets="helm", text="Your own Helm chart. Default: ours.", example="deploy/chart", holds="path")
    )
    values: tuple[str, ...] = field(
        default=(), metadata=doc(targets="helm", text="Files of values for the chart.", example="[deploy/values.yaml]")
    )
    # ── a repository that Argo CD or Flux watches
    repository: str | None = field(
        default=None,
        metadata=doc(
            targets="gitops",
            text="The repository that is watched. Default: this one.",
            example="org/deployments",
            pattern=r"^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$",
            like="OWNER/NAME",
        ),
    )
    branch: str | None = field(default=None, metadata=doc(targets="gitops", text="Its branch. Default: its main one.", example="main"))
    path: str | None = field(
        default=None,
        metadata=doc(targets="gitops", text="The file that names the image.", example="apps/spam-filter/deployment.yaml", holds="path"),
    )
    # ── what runs
    replicas: int = field(default=1, metadata=doc("How many instances.", example="3", least=1, most=1000))
    max_replicas: int | None = field(
        default=None,
        metadata=doc(
            "In a cluster: how many instances at most, by how busy their processors are (needs `resources.cpu`).",
            example="10",
            least=1,
            most=1000,
        ),
    )
    resources: Resources = field(default_factory=Resources, metadata=doc("What each may use."))
    gpus: int = field(default=0, metadata=doc("How many GPUs each gets.", example="1", least=0, most=64))
    env: tuple[str, ...] = field(
        default=(),
        metadata=doc(
            "Variables of the deploying job that the model's server gets; their values are recorded nowhere.",
            example="[MLOPS_SERVE_TOKEN]",
            pattern=VARIABLE,
            like="the name of a variable",
        ),
    )
    # ── how
    rollout: RolloutOptions = field(default_factory=RolloutOptions, metadata=doc("How a new release takes over."))
    watch: Duration = field(
        default=Duration("10m", 600.0),
        metadata=doc("How long after it has all traffic a release that turns out worse is still taken back by itself.", example="1h"),
    )
    keep: int = field(default=3, metadata=doc("How many earlier releases can be gone back to at once.", example="5", least=1, most=50))
    require: tuple[Literal["signature", "passed"], ...] = field(
        default=(),
        metadata=doc(
            "What an image must have beside a verdict that let it through: a `signature` of `key`; `passed`: its gate passed by itself.",
            example="[signature, passed]",
        ),
    )
    key: str | None = field(
        default=None,
        metadata=doc("The public key that signatures are checked with.", example="cosign.pub", pattern=FROM, like=FROM_LIKE),
    )
    wait: Duration = field(
        default=Duration("30m", 1800.0), metadata=doc("How long a release that is still being published is waited for.", example="1h")
    )


def fit(name: str) -> str:
    """A model's name as hosts and clusters take it: lower case, letters, digits and `-`; two different names never become one. Pure."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if plain and plain == name and len(plain) <= LONGEST_NAME:
        return plain
    mark = hashlib.sha256(name.encode()).hexdigest()[:6]
    return f"{plain[: LONGEST_NAME - 7].strip('-')}-{mark}".lstrip("-")


def amount(text: str | None) -> int | None:
    """`512Mi` in bytes; None where nothing is said. text: as AMOUNT lets it through. Pure."""
    if text is None:
        return None
    number = text.rstrip("KMGTik")
    return int(float(number) * UNITS[text[len(number) :]])
