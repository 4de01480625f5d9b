"""An image that was put together without Docker is pulled and run by a real Docker engine, and answers as the training process did."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlops_toolkit.errors import CommandFailed
from mlops_toolkit.image import docker as built
from mlops_toolkit.image import engine
from mlops_toolkit.image.wanted import Pushed, Wanted
from tests.docker.conftest import Container, arrays, asked
from tests.world import images

pytestmark = pytest.mark.docker
Publish = Callable[..., tuple[Wanted, Pushed]]
Start = Callable[..., Container]


def at(wanted: Wanted, made: Pushed) -> str:
    return f"{wanted.repository.name}@{made.digest}"


# Served by TensorFlow itself, whose packages take minutes to bring and to pack.
TENSORFLOW = [pytest.param(name, marks=pytest.mark.long) for name in ("keras-itself", "tensorflow-module")]


@pytest.mark.parametrize("name", ["sklearn-pipeline", "xgboost", "torch-module", "keras", "topics", *TENSORFLOW])
def test_a_container_answers_as_the_training_process_did(name: str, saved: Path, published: Publish, start: Start) -> None:
    """scikit-learn, XGBoost, PyTorch, Keras, a SavedModel and a text handler with a package, on real data: labels and texts exactly, numbers to
    what single precision carries; run read-only, without rights, as nobody.
    """
    container = start(at(*published(name)))
    container.until_ready(300)  # TensorFlow takes its time to be imported
    rows, wanted = asked(saved, name)
    found = container.infer(name, rows)
    for output, value in wanted.items():
        if value.dtype.kind == "f":
            np.testing.assert_allclose(found[output], value, rtol=1e-3, atol=1e-4)
        else:
            assert found[output].astype(value.dtype).tolist() == value.tolist(), output
    golden = saved / name / "model"
    kept = arrays(golden / "golden.npz")
    told = json.loads((golden / "mlops-model.json").read_text())
    inputs = {one["name"]: kept[f"i{place}"] for place, one in enumerate(told["inputs"])}
    answers = container.infer(name, inputs)
    for place, one in enumerate(told["outputs"]):
        value = kept[f"o{place}"]
        if value.dtype.kind == "f":
            np.testing.assert_allclose(answers[one["name"]], value, rtol=1e-3, atol=1e-4)
        else:
            assert answers[one["name"]].astype(value.dtype).tolist() == value.tolist()


def test_nobody_writes_nothing_and_it_ends_when_told(published: Publish, start: Start, docker: Callable[..., str]) -> None:
    """Without a network Docker finds it healthy; no shell, a fixed user without rights, no file that it could change; SIGTERM ends it with 0."""
    wanted, made = published("sklearn-pipeline")
    container = start(at(wanted, made), "--env", "MLOPS_SERVE_GRACE=0s", network=False)
    container.until_healthy()
    assert "no such file" in docker("exec", container.id, "/bin/sh", "-c", "true", expected=126 if _old(docker) else 127)
    code = (
        "import os,pathlib;print(os.getuid(),os.getgid(),os.listdir('/models'));"
        "print([str(p) for top in ('/opt/mlops','/models') for p in pathlib.Path(top).rglob('*') if os.access(p,os.W_OK)])"
    )
    assert docker("exec", container.id, "/usr/bin/python3.11", "-c", code).splitlines() == ["10001 10001 ['sklearn-pipeline']", "[]"]
    compiled = "import sys;sys.path[:0]=['/opt/mlops/app','/opt/mlops/lib'];import numpy;print(numpy.__cached__,numpy.__spec__.cached)"
    assert "cpython-311.pyc" in docker("exec", container.id, "/usr/bin/python3.11", "-c", compiled)
    assert docker("diff", container.id) == ""
    docker("stop", "--time", "30", container.id)
    assert container.state()["ExitCode"] == 0


def _old(docker: Callable[..., str]) -> bool:
    """Engines before 23 say 126 where a program is not there."""
    return int(docker("version", "--format", "{{.Server.Version}}").split(".")[0]) < 23


def test_a_new_version_is_one_layer_for_whoever_pulls(published: Publish, start: Start, saved: Path, docker: Callable[..., str]) -> None:
    """Two models of one framework share everything below; Docker fetches the second's own layer alone."""
    wanted, made = published("sklearn-pipeline")
    start(at(wanted, made))
    other, second = published("keras")
    assert [one.digest for one in made.layers[:-1]] == [one.digest for one in second.layers[:-1]]
    said = docker("pull", at(other, second))
    assert said.count("Already exists") == len(second.layers) - 1, said
    assert said.count("Pull complete") == 1
    docker("rmi", "--force", at(other, second))


DOCKERFILE = """ARG BASE
FROM ${BASE}
ARG MODEL
COPY words.txt /opt/words.txt
RUN ["/usr/bin/python3.11", "-c", "import os; open('/opt/made', 'w').write(os.environ['MODEL'])"]
USER 0
ENTRYPOINT ["/bin/false"]
ENV EXTRA=1
"""


def test_a_dockerfile_of_the_users_is_what_it_stands_on(
    published: Publish, start: Start, tmp_path: Path, docker: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Built by BuildKit; hardened like any other whatever the Dockerfile says; built again from nothing, and by the engine's own interface, it
    is whole; a step that fails is an error with its last words.
    """
    (tmp_path / "words.txt").write_text("words")
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    wanted, plain = published("sklearn-pipeline")
    program = {"PATH": "/usr/bin:/bin"} if Path("/usr/bin/docker").exists() else None
    recipe = built.Recipe(tmp_path / "Dockerfile", tmp_path)
    first = built.build(wanted, recipe, images.registries(), lambda _: None, env=program)
    run: Any = engine.CommandLine._run
    monkeypatch.setattr(engine.CommandLine, "_run", lambda self, *words, **more: run(self, *words[:1], *_anew(words), **more))
    again = built.build(wanted, recipe, images.registries(), lambda _: None, env=program)
    assert (again.digest, again.sent_bytes) == (first.digest, 0)
    shared = {one.digest for one in plain.layers}
    assert [one.what for one in first.layers if one.digest not in shared] == ["base layer 2 of 3", "base layer 3 of 3"]
    container = start(at(wanted, first))
    container.until_ready()
    code = "import os;print(os.getuid(),open('/opt/made').read(),open('/opt/words.txt').read(),os.environ['EXTRA'])"
    assert docker("exec", container.id, "/usr/bin/python3.11", "-c", code) == "10001 sklearn-pipeline words 1"
    by_interface = built.build(wanted, recipe, images.registries(), lambda _: None, env={"PATH": "/nowhere"})
    assert [one.what for one in by_interface.layers] == [one.what for one in first.layers]
    (tmp_path / "Dockerfile").write_text(DOCKERFILE + 'RUN ["/usr/bin/python3.11", "-c", "raise SystemExit(chr(98) * 9)"]\n')
    for env in (program, {"PATH": "/nowhere"}):
        with pytest.raises(CommandFailed, match="could not build") as caught:
            built.build(wanted, recipe, images.registries(), lambda _: None, env=env)
        assert caught.value.name == "docker-build-failed"
    assert "bbbbbbbbb" in str(caught.value)


def _anew(words: tuple[str, ...]) -> tuple[str, ...]:
    return ("--no-cache", *words[1:]) if words[0] == "build" else words[1:]
