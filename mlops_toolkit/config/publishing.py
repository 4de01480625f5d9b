"""What `publish:` of mlops.yaml says: where a model that passed goes, as what, and under which tags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from mlops_toolkit.config.quantities import Duration, doc

Tag = Literal["version", "minor", "major", "latest", "sha"]


@dataclass(frozen=True)
class Publish:
    """How a model that passed its gate is published."""

    image: str | None = field(
        default=None,
        metadata=doc(
            "The repository that it goes to. Default: ghcr.io/OWNER/REPOSITORY/NAME of a repository on GitHub.",
            example="registry.example.com/team/spam-filter",
        ),
    )
    as_: Literal["image", "artifact"] = field(
        default="image",
        metadata=doc(
            "`image`: it runs, and serves the model. `artifact`: the model alone (ModelPack), for vLLM, Triton, KServe.", example="artifact"
        ),
    )
    base: str | None = field(
        default=None,
        metadata=doc(
            "The image that it stands on, best by digest. Default: an official slim Python of the version that saved the model.",
            example="docker.io/library/python:3.12-slim",
        ),
    )
    python: str | None = field(
        default=None,
        metadata=doc("The base's Python, where it does not show.", example="3.12", pattern=r"^3\.[0-9]{1,2}$", like="a version like 3.12"),
    )
    platforms: tuple[str, ...] = field(
        default=("linux/amd64",),
        metadata=doc(
            "What it runs on.",
            example="[linux/amd64, linux/arm64]",
            pattern=r"^[a-z0-9]+/[a-z0-9]+(/[a-z0-9]+)?$",
            like="OS/ARCHITECTURE, like linux/arm64",
        ),
    )
    packages: tuple[str, ...] = field(
        default=(),
        metadata=doc(
            "Python packages beside those that the model names.",
            example="[tokenizers==0.22.1]",
            pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*(\[[A-Za-z0-9,._-]+\])?==[A-Za-z0-9.!+_-]+$",
            like="a package with its version, NAME==VERSION",
        ),
    )
    system_packages: tuple[str, ...] = field(
        default=(),
        metadata=doc(
            "Packages of the base's own distribution; Docker installs them.",
            example="[libgomp1]",
            pattern=r"^[a-z0-9][a-z0-9+.:~-]*(=[A-Za-z0-9][A-Za-z0-9+.:~-]*)?$",
            like="a package's name",
        ),
    )
    dockerfile: str | None = field(
        default=None,
        metadata=doc(
            "A Dockerfile that makes what the model's image stands on; it is given the build arguments BASE, MODEL and SOURCE_DATE_EPOCH.",
            example="Dockerfile",
            holds="path",
        ),
    )
    mirrors: Mapping[str, str] = field(
        default_factory=dict,
        metadata=doc("Registries that are asked in another's place.", example="{docker.io: mirror.example.com/hub}"),
    )
    tags: tuple[Tag, ...] = field(
        default=("version", "minor", "sha"),
        metadata=doc(
            "Its tags, of git's tag v1.2.3: `version` v1.2.3 and `sha` sha-…, which stay; `minor` 1.2, `major` 1 and `latest`, which move forward.",
            example="[version, minor, sha, latest]",
        ),
    )
    ungated: Literal["refuse", "allow"] = field(
        default="refuse", metadata=doc("Whether a model is published that no `gate:` judged.", example="allow")
    )
    wait: Duration = field(
        default=Duration("30m", 1800.0), metadata=doc("How long a run of the commit that is still going is waited for.", example="2h")
    )
    sign: str | None = field(
        default=None,
        metadata=doc(
            "The key that signs it, as `cosign generate-key-pair` makes it: a file, or env://NAME; its password is $COSIGN_PASSWORD.",
            example="env://COSIGN_PRIVATE_KEY",
        ),
    )
    scan: str | None = field(
        default=None,
        metadata=doc(
            "A command that looks at it, by digest, before it gets any tag; its exit status decides.",
            example='"trivy image --exit-code 1 {image}"',
            holds="command",
        ),
    )
