"""A tiny repository with a model: pure Python, no packages, the same bytes every time; its remote is a bare repository beside it."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROWS = 2_000
TRAIN = '''"""Trains: the model is how many rows of a thousand it gets wrong."""
import json, os, pathlib, sys

print("training with", sys.executable)
pathlib.Path("model").mkdir(exist_ok=True)
wrong = int(pathlib.Path("src/wrong.txt").read_text())
pathlib.Path("model/model.json").write_text(json.dumps({"wrong": wrong}))
seen = os.environ.get("MLOPS_TEST_SEEN")
if seen:
    pathlib.Path(seen).write_text(json.dumps({"env": dict(os.environ), "prefix": sys.prefix}))
'''
EVALUATE = f'''"""Evaluates: which rows are wrong depends on their number alone, so two models are wrong on nested sets of rows."""
import json, os, pathlib

wrong = json.loads(pathlib.Path("model/model.json").read_text())["wrong"]
with open(os.environ["MLOPS_PREDICTIONS"], "w") as out:
    out.write("id,target,prediction,language\\n")
    for i in range({ROWS}):
        target = "spam" if i * 7919 % 10 < 4 else "ham"
        other = "ham" if target == "spam" else "spam"
        prediction = other if i * 7919 % 1000 < wrong else target
        language = "de" if i % 4 == 0 else "en"
        out.write(f"mail-{{i}},{{target}},{{prediction}},{{language}}\\n")
'''
CONFIG = """\
name: spam-filter
train:
  run: python3 train.py
  output: model/
  inputs: [src/, train.py]
evaluate:
  run: python3 evaluate.py
  task: classification
  metrics: [accuracy, recall:spam]
  slices: [language]
gate:
  accuracy: {max-drop: 1pp}
"""
GOOD, HARMLESS, WORSE = 30, 31, 90  # of a thousand rows


@dataclass
class Project:
    """A clone (root) and its remote. Commits have a fixed author and rising dates."""

    root: Path
    remote: Path
    commits: int = 0

    def git(self, *arguments: str) -> str:
        stamp = f"2026-03-01T12:{self.commits // 60:02}:{self.commits % 60:02}Z"
        env = {
            **{k: v for k, v in os.environ.items() if not k.startswith("GIT_")},
            **dict.fromkeys(("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"), "A Person"),
            **dict.fromkeys(("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"), "person@example.org"),
            **dict.fromkeys(("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"), stamp),
            "GIT_CONFIG_GLOBAL": os.devnull,
        }
        return subprocess.run(["git", "-C", self.root, *arguments], env=env, capture_output=True, text=True, check=True).stdout.strip()

    def write(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def commit(self, message: str, files: dict[str, str], *, push: bool = True) -> str:
        """Commit the files on the branch checked out; gives back the commit."""
        self.write(files)
        self.commits += 1
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        if push:
            self.git("push", "-q", "origin", "HEAD")
        return self.git("rev-parse", "HEAD")

    def allow_any_commit(self) -> None:
        """As on GitHub, any commit may be fetched by its id, not only the tip of a branch."""
        subprocess.run(["git", "-C", self.remote, "config", "uploadpack.allowAnySHA1InWant", "true"], check=True)

    def branch(self, name: str, at: str = "main") -> None:
        self.git("checkout", "-q", "-B", name, at)

    def test_merge(self, head: str, base: str = "main") -> str:
        """Check out what GitHub checks out for a pull request: the merge of its head into the base, on no branch."""
        self.git("checkout", "-q", "--detach", base)
        self.commits += 1
        self.git("merge", "-q", "--no-ff", "-m", f"Merge {head} into {base}", head)
        return self.git("rev-parse", "HEAD")


def project(folder: Path, files: dict[str, str] | None = None) -> Project:
    """A new repository on `main`, pushed to its remote. files: instead of the spam filter's."""
    remote, root = folder / "remote.git", folder / "work"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", remote], check=True)
    subprocess.run(["git", "init", "-q", "-b", "main", root], check=True)
    made = Project(root, remote)
    made.git("remote", "add", "origin", remote.as_uri())
    spam_filter = {
        "train.py": TRAIN,
        "evaluate.py": EVALUATE,
        "mlops.yaml": CONFIG,
        "src/wrong.txt": f"{GOOD}\n",
        ".gitignore": "model/\n",
    }
    made.commit("A spam filter", spam_filter if files is None else files)
    return made
