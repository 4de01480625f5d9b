"""The verb that finds what would go wrong before it does: one file a check, one row a check in `CHECKS`."""

# In the order a person would want them: each later one makes sense once the earlier ones are well.
CHECKS: dict[str, str] = {
    "python": "mlops_toolkit.doctor.checks.python:check",
    "environment": "mlops_toolkit.doctor.checks.environment:check",
    "git": "mlops_toolkit.doctor.checks.git:check",
    "disk": "mlops_toolkit.doctor.checks.disk:check",
    "network": "mlops_toolkit.doctor.checks.network:check",
    "credentials": "mlops_toolkit.doctor.checks.credentials:check",
    "configuration": "mlops_toolkit.doctor.checks.configuration:check",
    "gitignore": "mlops_toolkit.doctor.checks.gitignore:check",
    "pointer": "mlops_toolkit.doctor.checks.pointer:check",
    "commands": "mlops_toolkit.doctor.checks.commands:check",
    "gpu": "mlops_toolkit.doctor.checks.gpu:check",
    "workflow": "mlops_toolkit.doctor.checks.workflow:check",
    "permissions": "mlops_toolkit.doctor.checks.permissions:check",
    "deploy": "mlops_toolkit.doctor.checks.deploy:check",
    "rules": "mlops_toolkit.doctor.checks.rules:check",
    "models": "mlops_toolkit.doctor.checks.models:check",
    "history": "mlops_toolkit.doctor.checks.history:check",
}
