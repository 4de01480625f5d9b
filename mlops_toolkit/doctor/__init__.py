"""The verb that finds what would go wrong before it does: one file a check, one row a check in `CHECKS`."""

# In the order a person would want them: each later one makes sense once the earlier ones are well.
CHECKS: dict[str, str] = {
    "python": "mlops_toolkit.doctor.checks.python:check",
    "git": "mlops_toolkit.doctor.checks.git:check",
    "configuration": "mlops_toolkit.doctor.checks.configuration:check",
    "workflow": "mlops_toolkit.doctor.checks.workflow:check",
    "commands": "mlops_toolkit.doctor.checks.commands:check",
    "disk": "mlops_toolkit.doctor.checks.disk:check",
    "gpu": "mlops_toolkit.doctor.checks.gpu:check",
    "models": "mlops_toolkit.doctor.checks.models:check",
    "history": "mlops_toolkit.doctor.checks.history:check",
}
