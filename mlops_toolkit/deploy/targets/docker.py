"""A Docker host, of this machine or over SSH: an agent in a container there carries the order out; we send it, and read what it says."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import tarfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from mlops_toolkit.config.deploying import amount
from mlops_toolkit.deploy.targets import Event, Outcome, Place, Standing, docker_cli, over
from mlops_toolkit.deploy.targets.docker_cli import Cli
from mlops_toolkit.deploy.targets.heard import heard
from mlops_toolkit.deploy.targets.seen import seen
from mlops_toolkit.errors import EnvironmentFailure, UsageError
from mlops_toolkit.oci.reference import Reference
from mlops_toolkit.rollout import bundle, docker_agent, tell
from mlops_toolkit.rollout.codec import dumps, loads, read
from mlops_toolkit.rollout.docker_spec import LABEL, Spec, names
from mlops_toolkit.rollout.order import Order
from mlops_toolkit.rollout.proxy import PROXIES, SLOTS

SILENCE_SECONDS = 20.0  # after so long without a word it is looked whether the agent still runs
AWAY_SECONDS = 600.0  # that a host may be away (its power, its engine) while it is followed
SAFE = (
    "--read-only",
    "--cap-drop",
    "ALL",
    "--security-opt",
    "no-new-privileges",
    "--pids-limit",
    "100",
    "--userns",
    "host",
    "--user",
    "0:0",
)


class DockerTarget:
    """See `targets.Target`."""

    def __init__(self, place: Place) -> None:
        self.place, self.options, self.name = place, place.options, place.name

    def spec(self, image: str) -> Mapping[str, Any]:
        """UsageError `too-many-replicas`, `no-such-image`."""
        options = self.options
        if options.replicas > SLOTS // 3:
            raise UsageError(
                "too-many-replicas", f"a Docker host has at most {SLOTS // 3} instances of one name", where=self.place.at("replicas")
            )
        looked = seen(image, self.place.login)
        return Spec(
            port=options.port,
            proxy=options.proxy,
            proxy_image=options.proxy_image,
            replicas=options.replicas,
            cpus=options.resources.cpu,
            memory=amount(options.resources.memory),
            gpus=options.gpus,
            env=tuple(options.env),
            agent_image=options.agent_image or looked.base or image,
            python="python3" if options.agent_image else looked.python,
        ).document()

    def give(self, order: Order) -> Iterator[Event]:
        """See `targets.Target`."""
        with self._cli() as cli:
            title = f"{names(self.name)['agent']}-{_hash(order.id)}"
            if not self._sent(cli, title):
                self._send(cli, title, order)
            yield from self._followed(cli, title, order)

    def status(self) -> Standing:
        """What the journal on the host knows, and what is seen there."""
        with self._cli() as cli:
            return self._standing(cli)

    def render(self, order: Order, to: Path) -> Sequence[Path]:
        """The order, and the agent that would carry it out."""
        to.mkdir(parents=True, exist_ok=True)
        (to / "order.json").write_text(dumps(order) + "\n", encoding="utf-8")
        return [to / "order.json", bundle.write(to)]

    def close(self) -> None:
        """Nothing is kept open between two calls."""

    # ── below

    def _standing(self, cli: Cli) -> Standing:
        runs = self._known(cli)
        if runs is None:
            return Standing()
        image, python = runs
        title = f"{names(self.name)['agent']}-status-{_hash(str(time.time_ns()))}"
        agent = bundle.data()
        words = [*self._words(agent), "", "status", "--name", self.name, "--driver", "docker", "--settings", f"/state/{title}.json"]
        self._create(cli, title, image, python, words, restart="no")
        try:
            cli.must("cp", "-", f"{title}:/state", data=_packed({**self._files(cli, agent), f"{title}.json": self._settings(cli, title)}))
            said = cli.must("start", "--attach", title)
        finally:
            cli.run("rm", "--force", title)
        return read(tell.Standing, loads(said.strip().splitlines()[-1], where=title), where=title)

    def _cli(self) -> AbstractContextManager[Cli]:
        options, place = self.options, self.place
        known = docker_cli.given(options.known_hosts, place.env, place.folder, place.at("known-hosts"))
        key = docker_cli.given(options.ssh_key, place.env, place.folder, place.at("ssh-key"))
        return docker_cli.opened(place.env, options.host, known, key, place.at)

    def _sent(self, cli: Cli, title: str) -> bool:
        """Whether this order is there already. What was made and never started is of a job that died in between: made anew."""
        for _ in range(10):
            done = cli.run("container", "inspect", "--format", "{{.State.Status}}", title)
            if done.status or done.text.strip() != "created":
                return done.status == 0
            time.sleep(1.0)
        cli.run("rm", title)
        return False

    def _send(self, cli: Cli, title: str, order: Order) -> None:
        """The agent's container, made and started; whoever is killed in between leaves one that is not started, and made anew."""
        image, python = self._images(cli, order)
        for old in cli.must("ps", "--all", "--quiet", *self._filters("agent"), "--filter", "status=exited").split():
            cli.run("rm", old)
        agent = bundle.data()
        key = _hash(order.id)
        files = {
            **self._files(cli, agent),
            f"{key}.order.json": dumps(order).encode(),
            f"{key}.settings.json": self._settings(cli, title),
        }
        if order.release is not None and self.place.secrets:
            files[f"env/{order.release.id}.json"] = json.dumps(dict(self.place.secrets)).encode()
        words = [
            *self._words(agent),
            title,
            "run",
            f"/state/{key}.order.json",
            "--driver",
            "docker",
            "--settings",
            f"/state/{key}.settings.json",
        ]
        for kind in ("state", "proxy"):
            cli.must("volume", "create", "--label", f"{LABEL}name={self.name}", self._volume(kind))
        self._create(cli, title, image, python, words, restart="unless-stopped")
        cli.must("cp", "-", f"{title}:/state", data=_packed(files))
        cli.must("start", title)

    def _create(self, cli: Cli, title: str, image: str, python: str, words: Sequence[str], *, restart: str) -> None:
        mounts = [f"{self._volume('state')}:/state", f"{self._volume('proxy')}:/proxy", f"{cli.socket}:{docker_cli.SOCKET}"]
        role = "agent" if restart != "no" else "status"
        labels = [f"{LABEL}name={self.name}", f"{LABEL}role={role}", f"{LABEL}agent={image}", f"{LABEL}python={python}"]
        cli.must(
            "create", "--name", title, "--restart", restart, *SAFE,
            *(word for one in labels for word in ("--label", one)),
            *(word for one in mounts for word in ("--volume", one)),
            "--entrypoint", python, image, *words,
        )  # fmt: skip

    def _words(self, agent: bytes) -> list[str]:
        """What the interpreter is told: nothing of the image's packages is read, and the file is run only if it is the one that was sent."""
        digest = bundle.digest(agent)
        return ["-I", "-S", "-B", "-c", docker_agent.START, f"/state/agent-{digest[:12]}.pyz", digest]

    def _files(self, cli: Cli, agent: bytes) -> dict[str, bytes]:
        return {f"agent-{bundle.digest(agent)[:12]}.pyz": agent}

    def _settings(self, cli: Cli, title: str) -> bytes:
        return json.dumps({"state": "/state", "proxy": "/proxy", "mount": self._volume("proxy"), "agent": title}).encode()

    def _volume(self, kind: str) -> str:
        return f"{names(self.name)['network']}-{kind}"

    def _filters(self, role: str) -> list[str]:
        return ["--filter", f"label={LABEL}name={self.name}", "--filter", f"label={LABEL}role={role}"]

    def _images(self, cli: Cli, order: Order) -> tuple[str, str]:
        """The agent's image and interpreter, on the host now; the release's and the proxy's, too, where we have the password and the host has not."""
        if order.release is not None and order.kind == "deploy":
            spec = Spec.read(order.release.spec)
            self._pull(cli, order.release.image)
            self._pull(cli, spec.agent_image)
            if spec.proxy_image:
                self._pull(cli, spec.proxy_image)
            return spec.agent_image, spec.python
        known = self._known(cli)
        if known is None:
            raise EnvironmentFailure("nothing-there", f"nothing of {self.name} runs on that host", hint="deploy a release first")
        return known

    def _known(self, cli: Cli) -> tuple[str, str] | None:
        """What the last agent ran in, or what the instances say; None where there are neither. EnvironmentFailure `agent-image-gone`."""
        gone = ""
        for role in ("agent", "instance"):
            form = f'{{{{index .Config.Labels "{LABEL}agent"}}}}\t{{{{index .Config.Labels "{LABEL}python"}}}}'
            for one in cli.must("ps", "--all", "--quiet", *self._filters(role)).split():
                image, _, python = cli.run("container", "inspect", "--format", form, one).text.partition("\t")
                if image and python and cli.image(image):
                    return image, python
                gone = image or gone
        if gone:
            raise EnvironmentFailure(
                "agent-image-gone",
                f"the image that the agent runs in is gone from the host: {gone}",
                hint=f"have it there again: docker pull {gone}",
            )
        return None

    def _pull(self, cli: Cli, image: str) -> None:
        if cli.image(image):
            return
        self.place.say(f"pulling {image}")
        cli.pull(image, self.place.login(Reference.parse(image).host))

    def _followed(self, cli: Cli, title: str, order: Order) -> Iterator[Event]:
        """What it says, to the end of the order, through restarts of its container and of the host."""
        known, away = 0, time.monotonic()
        while True:
            with cli.follow(title) as process:
                for number, line in enumerate(process.lines_until_silence(SILENCE_SECONDS)):
                    if number < known:
                        continue
                    known, away = number + 1, time.monotonic()
                    event = heard(line)
                    if event is None:
                        continue
                    yield event
                    if event.state == "over":
                        return
            outcome, there = self._looked(cli, title, time.monotonic() - away, order)
            away = time.monotonic() if there else away
            if outcome is not None:
                yield over(outcome)
                return
            time.sleep(1.0)

    def _looked(self, cli: Cli, title: str, silent: float, order: Order) -> tuple[Outcome | None, bool]:
        """Why the agent says nothing. Docker starts it again, unless it has ended for good: then its last words were lost, as on a disk that is
        full, and the log may be broken for good where half a line stands in it; the journal says what became of the order.

        The second: whether the host answered and the agent is at work.
        """
        done = cli.run(
            "container",
            "inspect",
            "--format",
            "{{.State.Status}} {{.HostConfig.RestartPolicy.Name}} {{.State.ExitCode}} {{.State.Pid}}",
            title,
        )
        if done.status == 0:
            status, policy, code, pid = [*done.text.split(), "", "", "", ""][:4]
            if status == "running" and pid != "0":
                return None, True
            if status == "running":  # it has ended, and Docker had no room to write that down
                with contextlib.suppress(EnvironmentFailure):
                    return self._standing(cli).ended.get(order.id), False
            if status == "exited" and policy == "no":
                outcome = None
                with contextlib.suppress(EnvironmentFailure):  # where even that is not to be had, what it said last is told
                    outcome = self._standing(cli).ended.get(order.id)
                if outcome is None:
                    hint = "`mlops status` says what is live there"
                    raise EnvironmentFailure(
                        "agent-ended", f"the agent on the host ended (exit status {code}): {_last(cli, title)}", hint=hint
                    )
                return outcome, False
        elif b"no such" in done.stderr.lower():
            raise EnvironmentFailure("agent-gone", f"the agent's container {title} is gone", hint="`mlops status` says what is live there")
        if silent > AWAY_SECONDS:
            raise EnvironmentFailure(
                "target-unreachable", f"the host was away for {silent:.0f} s", hint="the order goes on there by itself: `mlops status`"
            )
        return None, False


def _last(cli: Cli, title: str) -> str:
    done = cli.run("logs", "--tail", "3", title)
    text = (done.stdout + done.stderr).decode("utf-8", "replace")
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[-400:]


def _packed(files: Mapping[str, bytes]) -> bytes:
    """Files as a tar, root's, readable for root alone; the same bytes for the same files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for folder in sorted({name.rpartition("/")[0] for name in files} - {""}):
            info = tarfile.TarInfo(folder)
            info.type, info.mode = tarfile.DIRTYPE, 0o700
            archive.addfile(info)
        for name, content in sorted(files.items()):
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o600
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def open_target(place: Place) -> DockerTarget:
    """See `targets.TARGETS`."""
    if place.options.proxy not in PROXIES:
        raise UsageError(
            "unknown-proxy", f"there is no proxy {place.options.proxy} here", where=place.at("proxy"), hint=f"known: {', '.join(PROXIES)}"
        )
    return DockerTarget(place)
