"""A repository that Argo CD or Flux watches: a release is a pull request there, and whoever merges it deploys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mlops_toolkit.deploy import gitops
from mlops_toolkit.deploy.targets import Event, Outcome, Place, Standing, over
from mlops_toolkit.errors import EnvironmentFailure, UsageError
from mlops_toolkit.forge.base import Proposal
from mlops_toolkit.rollout.order import Order, Release


class GitopsTarget:
    """See `targets.Target`."""

    def __init__(self, place: Place) -> None:
        self.place, self.options = place, place.options

    def spec(self, image: str) -> Mapping[str, Any]:
        """All of it stands in the repository that is watched."""
        return {"target": "gitops", "path": self._path()}

    def give(self, order: Order) -> Iterator[Event]:
        """UsageError `no-image-line`, `no-path`; EnvironmentFailure `not-proposed`."""
        release = order.release
        if release is None:
            hint = "`mlops rollback --to VERSION`, or revert the pull request there"
            raise UsageError("no-rollback", "which release was good before is not known here", where=self.place.at("target"), hint=hint)
        yield Event("propose", "begins", f"propose {release.version or release.id} in {self.options.repository or 'this repository'}")
        posted = self.place.forge.propose(self._proposal(order, release), lambda text: self._changed(text, release))
        if posted.reason:
            raise EnvironmentFailure("not-proposed", posted.reason, where=self.place.at("repository"), hint=posted.hint)
        if posted.url is None:
            yield over(Outcome("same", release, release, reason=f"{self._path()} says {release.version or release.id} already"))
            return
        yield over(Outcome("proposed", reason=f"a pull request proposes it: {posted.url}", url=posted.url))

    def status(self) -> Standing:
        """What runs is known to whoever applies what the repository says."""
        return Standing(final=False, trouble=("what runs there is known to Argo CD or Flux, which applies what the repository says",))

    def render(self, order: Order, to: Path) -> Sequence[Path]:
        """Nothing is made here that the repository does not have."""
        raise UsageError(
            "nothing-to-render", "with gitops the manifests are those of the repository that is watched", where=self.place.at("target")
        )

    def close(self) -> None:
        """Nothing is open."""

    def _path(self) -> str:
        if self.options.path is None:
            hint = "for example `path: apps/spam-filter/deployment.yaml`"
            raise UsageError("no-path", "which file names the image is not said", where=self.place.at("path"), hint=hint)
        return self.options.path

    def _changed(self, text: str, release: Release) -> str:
        about = {"release": release.id, "version": release.version, "run": release.run, "commit": release.commit}
        return gitops.changed(text, release.image, {key: value for key, value in about.items() if value}, where=self._path())

    def _proposal(self, order: Order, release: Release) -> Proposal:
        version = release.version or release.id
        lines = [f"{self.place.name} {version} for {self.place.environment}.", "", f"* image: `{release.image}`"]
        lines += [
            f"* {key}: `{value}`"
            for key, value in (("run", release.run), ("commit", release.commit), ("verdict", release.verdict))
            if value
        ]
        lines += [f"* reason: {' '.join(order.reason.split())}"] if order.reason else []
        lines += ["", "Only the image's digest and its annotations change. Whoever merges it deploys it; reverting it goes back."]
        branch = f"mlops-{self.place.name}-{self.place.environment}-{release.id}"
        title = f"Deploy {self.place.name} {version} to {self.place.environment}"
        return Proposal(self._path(), branch, title, "\n".join(lines), self.options.repository, self.options.branch)


def open_target(place: Place) -> GitopsTarget:
    """The row of `targets.TARGETS`."""
    return GitopsTarget(place)
