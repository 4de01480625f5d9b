"""What the demo shows, as data: a project, its main branch and two pull requests that want the same thing; then three releases of it.

Both pull requests make the images smaller. What each costs was measured on all 1,797 scans: four grey levels change 7 answers and
lose one more than they win; every second pixel loses 146 and wins 9, most of them twos, threes, eights and nines.

The third release fails where no test looks: a check of what clients send, which 327 of the 1,797 scans do not pass.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Change:
    """A pull request: its branch, title, and what it replaces in which file."""

    branch: str
    title: str
    why: str
    file: str
    before: str
    after: str


FILES = ("digits.py", "train.py", "evaluate.py", "params.yaml", "mlops.yaml")
IGNORED = ".mlops/\n__pycache__/\nmodel/\npreviews/\n"

CHANGES = (
    Change(
        "fewer-greys",
        "Store four grey levels instead of seventeen",
        "40 bytes an image become 16",
        "params.yaml",
        "grey-levels: 17  #",
        "grey-levels: 4   #",
    ),
    Change(
        "fewer-pixels",
        "Store every second pixel",
        "40 bytes an image become 10",
        "params.yaml",
        "every: 1  ",
        "every: 2  ",
    ),
)

# ── to production
SERVE = Change(
    "serve-it",
    "Answer requests",
    "predict.py answers, train.py keeps what it needs, mlops.yaml says where it runs",
    "train.py",
    'np.savez_compressed("model/digits.npz", pixels=pixels, weights=weights, settings=json.dumps(settings))\n',
    'np.savez_compressed("digits.npz", pixels=pixels, weights=weights, settings=json.dumps(settings))\n'
    'mlops.save("predict.py", "model/", example={"image": images[:8]}, files=["digits.npz", "digits.py"], packages=["PyYAML"])\n',
)
SERVED = (  # (file, before, after) of the same pull request
    ("train.py", "import numpy as np\n", "import mlops_toolkit as mlops\nimport numpy as np\n"),
    ("train.py", "import json\n", "import json\nimport shutil\n"),
    ("train.py", 'Path("model").mkdir(exist_ok=True)', 'shutil.rmtree("model", ignore_errors=True)'),
    ("mlops.yaml", "inputs: [train.py, digits.py, params.yaml]", "inputs: [train.py, predict.py, digits.py, params.yaml]"),
    (".gitignore", "model/\n", "model/\ndigits.npz\n"),
)
PRODUCTION = """
publish:
  image: {image}
{base}
deploy:
  production:
    target: docker                                # this machine's
    name: {name}
    port: {port}
    url: http://127.0.0.1:{port}
{proxy}    rollout:
      steps: [{{share: 25%, hold: 5s, most: 1m}}]   # a quarter of the requests first
      limits: {{ignore: [latency]}}                 # this is no quiet machine
      drain: 5s
    watch: 5s
"""
BAD = Change(
    "check-scans",
    "Refuse smudges",
    "no digit has that much ink, they say",
    "predict.py",
    '        images = np.asarray(inputs["image"], dtype=float)\n',
    '        images = np.asarray(inputs["image"], dtype=float)\n'
    "        if (images.sum(axis=(1, 2)) > 345).any():\n"
    '            raise ValueError("this is a smudge, no digit")\n',
)
