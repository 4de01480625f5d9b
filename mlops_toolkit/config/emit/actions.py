"""The action.yml files, whole: one step that hands all inputs over as data, nothing of the user's inside `run:`."""

from __future__ import annotations

from mlops_toolkit.config.inputs import ACTIONS, OUTPUTS, fields_of
from mlops_toolkit.config.yaml_text import scalar

HEADER = "# Generated from mlops_toolkit/config by `python -m mlops_toolkit.config.emit --write`: change it there.\n"
# The runner copies `train` as a real folder, act keeps the link to actions/train: the entry script is found by walking up.
ENTRY = 'd=$(cd "$GITHUB_ACTION_PATH" && pwd -P); while [ ! -f "$d/actions/run" ] && [ "$d" != / ]; do d=${d%/*}; d=${d:-/}; done; exec bash "$d/actions/run"'


def action_yml(action: str) -> str:
    """The text of an action's action.yml; `review` is the root action."""
    row = ACTIONS[action]
    name = f"mlops-actions {action}" if row.folder else "mlops-actions"
    branding = "" if row.folder else "branding:\n  icon: git-pull-request\n  color: green\n"
    return (
        f"{HEADER}name: {scalar(name)}\ndescription: {scalar(row.doc)}\nauthor: the mlops-actions authors\n{branding}"
        f"{action_inputs(action)}{action_outputs(action)}"
        "runs:\n  using: composite\n  steps:\n    - id: run\n      shell: bash\n      env:\n        MLOPS_INPUTS: ${{ toJSON(inputs) }}\n"
        f"      run: {ENTRY} {row.verb}\n"
    )


def action_inputs(action: str) -> str:
    """The `inputs:` block of an action."""
    text = "inputs:\n"
    for field in fields_of(action):
        default = field.metadata.get("given", field.default)
        text += f"  {field.name}:\n    description: {scalar(field.metadata['doc'])}\n    required: false\n    default: {scalar(default)}\n"
    return text


def action_outputs(action: str) -> str:
    """The `outputs:` block of an action."""
    text = "outputs:\n"
    for output in OUTPUTS:
        if action in output.actions:
            text += f"  {output.name}:\n    description: {scalar(output.doc)}\n    value: ${{{{ steps.run.outputs.{output.name} }}}}\n"
    return text
