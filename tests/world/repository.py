"""A throw-away git repository with a model in it: real git, plain Python scripts, nothing to install.

The "model" is a text file that says how many of the examples it gets wrong, so that a test decides the outcome by one number.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.world import ready

TRAIN = """\
import json, pathlib
params = json.loads(pathlib.Path("params.json").read_text())
pathlib.Path("model").mkdir(exist_ok=True)
pathlib.Path("model/weights.json").write_text(json.dumps(params, sort_keys=True))
print("trained", params)
"""
EVALUATE = """\
import json, os, pathlib
wrong = json.loads(pathlib.Path("model/weights.json").read_text())["wrong"]
n = int(os.environ.get("EXAMPLES", "2000"))
rows = ["id,target,prediction,language,text"]
for i in range(n):
    target = "spam" if i % 3 == 0 else "ham"
    prediction = target if i >= wrong else {"spam": "ham", "ham": "spam"}[target]
    rows.append(f"mail-{i},{target},{prediction},{'de' if i % 4 == 0 else 'en'},text of mail {i}")
pathlib.Path(os.environ["MLOPS_PREDICTIONS"]).write_text("\\n".join(rows) + "\\n")
pathlib.Path(os.environ["MLOPS_MEASURES"]).write_text(json.dumps({"latency-ms": [10.0, 10.1, 9.9], "parameters": 1000}))
"""
# A model of a given accuracy: of its errors most are those of the model before, as in a real line of models.
MOVING = """\
import json, os, pathlib, random
said = json.loads(pathlib.Path("model/weights.json").read_text())
rows = ["id,target,prediction,language"]
for i in range(int(said.get("first", 0)), 1500):
    hard, anew = random.Random(i).random(), random.Random(f"{said['seed']}-{i}")
    hard = anew.random() if anew.random() < 0.15 else hard
    target = "spam" if i % 3 == 0 else "ham"
    answer = target if hard < said["accuracy"] else {"spam": "ham", "ham": "spam"}[target]
    rows.append(f"m{i},{target},{answer},{'de' if i % 4 == 0 else 'en'}")
pathlib.Path(os.environ["MLOPS_PREDICTIONS"]).write_text("\\n".join(rows) + "\\n")
"""
CONFIG = """\
name: spam-filter
train: {run: python3 train.py, output: model/, inputs: [train.py, params.json], params: params.json}
evaluate:
  run: python3 evaluate.py
  inputs: [evaluate.py]
  task: classification
  metrics: [accuracy, f1-macro]
  slices: [language]
gate:
  accuracy: {max-drop: 1pp, slices: {max-drop: 3pp}}
"""


@dataclass
class Repository:
    """A repository at `root`; `env` is what its commands are run with."""

    root: Path
    env: dict[str, str] = field(default_factory=dict)

    def git(self, *args: str) -> str:
        """Run git; its standard output. A failure fails the test."""
        done = subprocess.run(["git", "-C", str(self.root), *args], env=self.env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"git {' '.join(args)}: {done.stderr}"
        return done.stdout.strip()

    def write(self, **files: str) -> None:
        """Write files: `train_py="…"` is train.py."""
        for name, text in files.items():
            (self.root / name.replace("_", ".")).write_text(text)

    def commit(self, message: str) -> str:
        """Commit everything; the commit's id."""
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def wrong(self, n: int, message: str | None = None) -> str:
        """A commit whose model gets n examples wrong."""
        self.write(params_json=json.dumps({"wrong": n}))
        return self.commit(message or f"a model with {n} wrong")

    def mlops(self, *args: str, code: int | None = 0, **env: str) -> subprocess.CompletedProcess[str]:
        """Run the real command line here; `code` is the exit code it must have (None: any)."""
        done = ready.mlops(args, cwd=self.root, env={**self.env, **env})
        assert code is None or done.returncode == code, f"mlops {' '.join(args)} -> {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr, done.stderr
        return done

    @property
    def report(self) -> dict[str, Any]:
        """The last result."""
        made: dict[str, Any] = json.loads((self.root / ".mlops" / "report.json").read_text())
        return made

    @property
    def record(self) -> dict[str, Any]:
        """The last run's record."""
        made: dict[str, Any] = json.loads((self.root / ".mlops" / "run.json").read_text())
        return made


def clean_environment(home: Path) -> dict[str, str]:
    """An environment with a home of its own and nothing of a CI, of the tests' or of git's configuration in it."""
    kept = {k: v for k, v in os.environ.items() if k in ("PATH", "LANG", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV")}
    return {
        **kept,
        "HOME": str(home),
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_CACHE_HOME": str(home / "cache"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "Ada",
        "GIT_AUTHOR_EMAIL": "ada@example.com",
        "GIT_COMMITTER_NAME": "Ada",
        "GIT_COMMITTER_EMAIL": "ada@example.com",
        "GIT_AUTHOR_DATE": "2026-11-24T10:00:00Z",
        "GIT_COMMITTER_DATE": "2026-11-24T10:00:00Z",
    }


def make(folder: Path, *, config: str = CONFIG, wrong: int = 100) -> Repository:
    """A new repository on branch main with one commit of the project."""
    home, root = folder / "home", folder / "repository"
    home.mkdir(parents=True)
    root.mkdir()
    made = Repository(root, clean_environment(home))
    made.git("init", "-q", "-b", "main")
    made.write(train_py=TRAIN, evaluate_py=EVALUATE, mlops_yaml=config)
    (root / ".gitignore").write_text("model/\n")
    made.wrong(wrong, "first model")
    return made
