"""The workflow that `mlops init` writes: user's code runs in a job that may write nothing, the comment comes from one that runs none of it."""

from __future__ import annotations

from collections.abc import Sequence

from mlops_toolkit.config.project import OURS
from mlops_toolkit.config.yaml_text import scalar

CHECKOUT = "actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8 # v5"
UPLOAD = "actions/upload-artifact@ea165f8d65b6e75b540449e92b4886f43607fa02 # v4"
DOWNLOAD = "actions/download-artifact@d3f86a106a0bac45b974a628896c90dbdf5c8093 # v4"


def workflow(*, config: str = "mlops.yaml", branch: str = "main", install: Sequence[str] = (), gpu: bool = False) -> str:
    """The text of .github/workflows/model.yml. config: the file's path in the repository; install: shell lines of the user's environment."""
    return f"""\
# Pull requests for models. Your commands run in the job `train`, which may only read; the job `model` compares, comments and
# records, and runs none of them. `mlops doctor` says what this repository's settings still need.
name: model
on:
  pull_request:
  merge_group:
  push:
    branches: [{scalar(branch, flow=True)}]
permissions: {{}}
concurrency:
  group: model-${{{{ github.event.pull_request.number || github.sha }}}}
  cancel-in-progress: ${{{{ github.event_name == 'pull_request' }}}}
jobs:
{_train(config, install, gpu=gpu)}{_model(config, branch)}"""


def _train(config: str, install: Sequence[str], *, gpu: bool) -> str:
    """The job that runs the user's code, without any right to write."""
    setup = "".join(f"          {text}\n" for text in install or ["echo 'install here what your commands need'"])
    return f"""\
  train:
    name: train and evaluate
    runs-on: {"[self-hosted, gpu]" if gpu else "ubuntu-latest"}
    timeout-minutes: 360
    permissions:
      contents: read # the code, and the recorded runs that may be reused
    steps:
      - name: Check out
        uses: {CHECKOUT}
        with:
          persist-credentials: false
      - name: Install
        run: |
{setup}      - name: Train
        uses: {OURS}/train@v1
{_with(config)}      - name: Evaluate
        uses: {OURS}/evaluate@v1
{_with(config)}      - name: Hand the run over
        if: ${{{{ !cancelled() }}}}
        uses: {UPLOAD}
        with:
          name: mlops-run
          path: |
            {_state(config)}/run.json
            {_state(config)}/runs/
          include-hidden-files: true
          if-no-files-found: ignore
          overwrite: true # by a job that is run again
          retention-days: 7
"""


def _model(config: str, branch: str) -> str:
    """The job that may write, and runs nothing of the user's."""
    return f"""\
  model:
    name: {scalar(f"compare with {branch}")}
    needs: train
    if: ${{{{ !cancelled() }}}}
    runs-on: ubuntu-latest
    timeout-minutes: 30
    permissions:
      contents: write # the recorded runs, on the branch mlops-history
      pull-requests: write # the comment
      statuses: write # the check to require: mlops/NAME
      issues: write # the issue that tells of a failure on {branch}
    steps:
      - name: Check out
        uses: {CHECKOUT}
        with:
          persist-credentials: false
      - name: Take the run over
        continue-on-error: true # without a run, the next step says what is missing
        uses: {DOWNLOAD}
        with:
          name: mlops-run
          path: {scalar(_state(config))}
      - name: Compare
        uses: {OURS}/compare-to-main@v1
{_with(config)}      - name: Leave no check pending
        if: ${{{{ always() }}}}
        uses: {OURS}/report@v1
{_with(config, "close: true")}      - name: Keep the report
        if: ${{{{ !cancelled() }}}}
        uses: {UPLOAD}
        with:
          name: mlops-report
          path: {scalar(_state(config) + "/report.*")}
          include-hidden-files: true
          if-no-files-found: ignore
          overwrite: true
"""


def _state(config: str) -> str:
    """The folder of the run's record, beside the configuration."""
    folder = config.rpartition("/")[0]
    return f"{folder}/.mlops" if folder else ".mlops"


def _with(config: str, *more: str) -> str:
    """The inputs of one of our actions."""
    inputs = [*([] if config == "mlops.yaml" else [f"config: {scalar(config)}"]), *more]
    return "".join(["        with:\n" if inputs else "", *(f"          {line}\n" for line in inputs)])
