"""What a repository tells about its model: found by names of files and by a look into a few of them, never by running anything."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from mlops_toolkit.config.schema import Task
from mlops_toolkit.config.yaml_text import Listing, Node, Scalar, Table, compose
from mlops_toolkit.errors import UsageError

Read = Callable[[str], str]  # the text of a file, "" where it cannot be had


@dataclass(frozen=True)
class Found:
    """Something found, and the file that told it."""

    value: str
    source: str


@dataclass(frozen=True)
class Facts:
    """What was found; None, empty or False where nothing was.

    install        shell lines that make the user's environment
    slice_columns  columns of a predictions file that may be slices
    metric_names   names in a metrics file
    writes         the evaluation knows $MLOPS_PREDICTIONS already
    """

    train: Found | None = None
    output: Found | None = None
    evaluate: Found | None = None
    params: str | None = None
    train_data: tuple[str, ...] = ()
    evaluate_data: tuple[str, ...] = ()
    predictions: Found | None = None
    metrics_file: Found | None = None
    metric_names: tuple[str, ...] = ()
    writes: bool = False
    task: Task | None = None
    slice_columns: tuple[str, ...] = ()
    install: tuple[str, ...] = ()
    deep: bool = False


_TRAIN = re.compile(r"(^|/)(run[_-])?(train|training|fit)([_-]\w+)?\.(py|sh|R)$")
_EVALUATE = re.compile(r"(^|/)(run[_-])?(evaluate|evaluation|eval|score)([_-]\w+)?\.(py|sh|R)$")
_NOT_OURS = re.compile(r"(^|/)(tests?|docs|examples?|notebooks|third_party|vendor|site-packages|node_modules|\.[^/]+)(/|$)")
_PREDICTIONS = re.compile(r"(^|/)(preds?|predictions?)([_-][\w.-]*)?\.(csv|parquet|jsonl|ndjson)$")
_METRICS = re.compile(r"(^|/)(metrics|scores|eval_results)\.(json|yaml|yml)$")
_PARAMS = re.compile(r"^(params|hyperparameters|hparams)\.(yaml|yml|json)$")
_RUNNERS = {"Rscript": ".R", "bash": ".sh", "python": ".py"}
_LOCKED = {"uv.lock": "uv run", "poetry.lock": "poetry run", "pixi.lock": "pixi run", "Pipfile.lock": "pipenv run"}
_SYNC = {"uv.lock": ("uv", "sync --frozen"), "poetry.lock": ("poetry", "install --no-interaction"), "Pipfile.lock": ("pipenv", "sync")}
_REQUIREMENTS = ("requirements.txt", "requirements/train.txt", "requirements/base.txt")
# What a training script calls to leave its model behind; the path is the last group.
_SAVES = tuple(
    re.compile(pattern)
    for pattern in (
        r"\b(?:joblib|pickle|torch|skops|sio|np|cloudpickle)\.(?:dump|save|savez\w*)\([^\n]{0,80}?['\"]([^'\"\n]+\.\w+)['\"]",
        r"\.(?:save|save_model|save_pretrained|to_disk|save_weights|write_model|export)\(\s*['\"]([^'\"\n]+)['\"]",
        r"\bopen\(\s*['\"]([^'\"\n]+\.(?:pkl|pickle|joblib|bin|onnx|model|pt))['\"]\s*,\s*['\"]wb",
        r"--(?:output|out|output[-_]dir|model|model[-_]dir|save[-_]dir|out[-_]dir)['\"][^)\n]{0,120}default\s*=\s*['\"]([^'\"\n]+)['\"]",
    )
)
_WRITES_PREDICTIONS = re.compile(
    r"(?:to_csv|to_parquet|write_csv|write_parquet|open)\(\s*['\"]([^'\"\n]*pred[^'\"\n]*\.(?:csv|parquet|jsonl))['\"]"
)
_WRITES_METRICS = re.compile(r"['\"]([^'\"\n]*(?:metrics|scores)[^'\"\n]*\.json)['\"]")
_CLASSIFICATION = re.compile(
    r"\w*Classifier\b|LogisticRegression|classification_report|accuracy_score|f1_score|CrossEntropyLoss|cross_entropy|predict_proba|roc_auc_score|confusion_matrix|\bSVC\b"
    r"|GaussianNB|MultinomialNB|textcat|SequenceClassification"
)
_REGRESSION = re.compile(
    r"\w*Regressor\b|\bLinearRegression|mean_squared_error|mean_absolute_error|r2_score|MSELoss|\bRidge\b|\bLasso\b|ElasticNet|\bSVR\b|squarederror"
)
_DEEP = re.compile(r"^\s*(?:import|from)\s+(torch|tensorflow|jax|keras|transformers|lightning|pytorch_lightning)\b", re.M)
_RESERVED = re.compile(r"^(id|target|prediction|score|prob:.*|weight|cluster|repeat|preview.*)$")


def look(files: Sequence[str], read: Read, *, folder: str = "", above: Sequence[str] = ()) -> Facts:
    """The facts of a folder.

    files: paths of its tracked files relative to it; read: their text. folder: its own path in the repository; above: what stands at
    the repository's top, where a lock for all folders may be.
    """
    names = sorted(files, key=lambda path: (path.count("/"), path))
    stages = _dvc_stages(names, read)
    train = _stage_command(stages, "train", "fit") or _script(names, _TRAIN, above) or _make_target(names, read, "train")
    evaluate = (
        _stage_command(stages, "evaluate", "eval", "test") or _script(names, _EVALUATE, above) or _make_target(names, read, "evaluate")
    )
    train_text, evaluate_text = (_code(found.value, names, read) if found else "" for found in (train, evaluate))
    predictions = _predictions(names, evaluate, evaluate_text)
    columns = _columns(read(predictions.source)) if predictions and predictions.source in files else ()
    metrics_file = _metrics_file(names, stages, evaluate, evaluate_text)
    both = f"{train_text}\n{evaluate_text}"
    return Facts(
        train=train,
        output=_output(stages, train, train_text),
        evaluate=evaluate,
        params=next((path for path in names if _PARAMS.match(path)), None),
        train_data=_data(names, ("train", "training")),
        evaluate_data=_data(names, ("test", "eval", "val", "valid", "validation", "holdout")),
        predictions=predictions,
        metrics_file=metrics_file,
        metric_names=_metric_names(read(metrics_file.value)) if metrics_file and metrics_file.value in files else (),
        writes="MLOPS_PREDICTIONS" in evaluate_text,
        task=_task(both),
        slice_columns=tuple(column for column in columns if not _RESERVED.match(column))[:5],
        install=_install(names, above, folder),
        deep=bool(_DEEP.search(both)),
    )


def _script(names: Sequence[str], pattern: re.Pattern[str], above: Sequence[str]) -> Found | None:
    """The shallowest script of that name, as a command."""
    path = next((name for name in names if pattern.search(name) and not _NOT_OURS.search(name)), None)
    if path is None:
        return None
    runner = next(word for word, suffix in _RUNNERS.items() if path.endswith(suffix))
    prefix = next((word for lock, word in _LOCKED.items() if lock in {*names, *above}), "") if runner == "python" else ""
    return Found(f"{prefix} {runner} {_quoted(path)}".strip(), path)


def _quoted(path: str) -> str:
    return path if re.fullmatch(r"[\w./-]+", path) else "'" + path.replace("'", "'\\''") + "'"


def _script_in(command: str, names: Iterable[str]) -> str | None:
    """The tracked script that a command runs: `python -m pkg.train` is pkg/train.py."""
    modules = [f"{module.replace('.', '/')}.py" for module in re.findall(r"-m\s+([\w.]+)", command)]
    words = {word.strip("'\"") for word in command.split()} | set(modules)
    return next((name for name in names if name in words), None)


def _code(command: str, names: Sequence[str], read: Read) -> str:
    """The script a command runs, and the modules of the repository that it imports."""
    script = _script_in(command, names)
    if script is None:
        return ""
    text = read(script)
    folder = f"{script.rpartition('/')[0]}/".removeprefix("/")
    known = set(names)
    for module in dict.fromkeys(re.findall(r"^\s*(?:from|import)\s+([A-Za-z_][\w.]*)", text, re.M)[:50]):
        path = f"{module.replace('.', '/')}.py"
        text += "".join(f"\n{read(name)}" for name in dict.fromkeys((folder + path, path)) if name in known)
    return text


def _make_target(names: Sequence[str], read: Read, target: str) -> Found | None:
    makefile = next((name for name in names if name in ("Makefile", "makefile")), None)
    return Found(f"make {target}", makefile) if makefile and re.search(rf"^{target}\s*:(?!=)", read(makefile), re.M) else None


def _dvc_stages(names: Sequence[str], read: Read) -> dict[str, Table]:
    """The stages of a dvc.yaml, {} without one or where it cannot be read."""
    if "dvc.yaml" not in names:
        return {}
    try:
        _, stages = compose(read("dvc.yaml"), where="dvc.yaml").entries.get("stages", (0, Table()))
    except UsageError:
        return {}
    return {name: stage for name, (_, stage) in stages.entries.items() if isinstance(stage, Table)} if isinstance(stages, Table) else {}


def _stage(stages: dict[str, Table], *words: str) -> Table | None:
    return next((stage for word in words for name, stage in stages.items() if word in name.casefold()), None)


def _stage_command(stages: dict[str, Table], *words: str) -> Found | None:
    stage = _stage(stages, *words)
    _, command = stage.entries.get("cmd", (0, Table())) if stage else (0, Table())
    # A templated command (${…}) runs only inside DVC.
    return (
        Found(command.text.strip(), "dvc.yaml")
        if isinstance(command, Scalar) and "${" not in command.text and command.text.strip()
        else None
    )


def _paths(node: Node | None) -> list[str]:
    """Paths of a dvc list: texts, or mappings whose key is the path."""
    if not isinstance(node, Listing):
        return []
    found = [
        item.text if isinstance(item, Scalar) else next(iter(item.entries), "") if isinstance(item, Table) else "" for item in node.items
    ]
    return [path for path in found if path and "${" not in path]


def _output(stages: dict[str, Table], train: Found | None, text: str) -> Found | None:
    stage = _stage(stages, "train", "fit")
    outs = _paths(stage.entries.get("outs", (0, None))[1]) if stage else []
    if outs:
        return Found(next((path for path in outs if "model" in path), outs[0]), "dvc.yaml")
    for pattern in _SAVES:
        for path in pattern.findall(text):
            if re.fullmatch(r"[\w][\w./ -]*", path) and ".." not in path and not re.search(r"\.(csv|png|json|txt|log|parquet)$", path):
                return Found(path, train.source if train else "")
    return None


def _predictions(names: Sequence[str], evaluate: Found | None, text: str) -> Found | None:
    """Where predictions are written: by the evaluation script's own words, else a tracked file of that name."""
    if "MLOPS_PREDICTIONS" in text:
        return None
    written = _WRITES_PREDICTIONS.search(text)
    if written and evaluate:
        return Found(written[1], evaluate.source)
    tracked = next((name for name in names if _PREDICTIONS.search(name) and not _NOT_OURS.search(name)), None)
    return Found(tracked, tracked) if tracked else None


def _metrics_file(names: Sequence[str], stages: dict[str, Table], evaluate: Found | None, text: str) -> Found | None:
    for stage in [*filter(None, [_stage(stages, "evaluate", "eval", "test")]), *stages.values()]:
        if paths := _paths(stage.entries.get("metrics", (0, None))[1]):
            return Found(paths[0], "dvc.yaml")
    if evaluate and (written := _WRITES_METRICS.search(text)):
        return Found(written[1], evaluate.source)
    tracked = next((name for name in names if _METRICS.search(name) and not _NOT_OURS.search(name)), None)
    return Found(tracked, tracked) if tracked else None


def _columns(text: str) -> tuple[str, ...]:
    """The header of a predictions file that is text; () of a binary one."""
    first = text.split("\n", 1)[0].strip()
    if first.startswith("{"):
        try:
            return tuple(map(str, json.loads(first)))
        except ValueError:
            return ()
    columns = tuple(cell.strip().strip('"') for cell in first.split(","))
    return columns if "id" in columns and all(column.isprintable() for column in columns) else ()


def _metric_names(text: str) -> tuple[str, ...]:
    """The names of the numbers in a JSON metrics file, nested ones joined by `/`."""

    def walk(value: Any, name: str) -> Iterable[str]:
        if isinstance(value, dict):
            for key, inner in value.items():
                yield from walk(inner, f"{name}/{key}" if name and name != "metrics" else str(key))
        elif isinstance(value, int | float) and not isinstance(value, bool) and name.isprintable() and len(name) < 100:
            yield name

    try:
        return tuple(walk(json.loads(text), ""))[:20]
    except (ValueError, RecursionError):
        return ()


def _task(text: str) -> Task | None:
    """The task whose words are clearly more frequent in the scripts."""
    classification, regression = len(_CLASSIFICATION.findall(text)), len(_REGRESSION.findall(text))
    if classification > 2 * regression:
        return "classification"
    return "regression" if regression > 2 * classification else None


def _data(names: Sequence[str], words: tuple[str, ...]) -> tuple[str, ...]:
    """Tracked data whose name says what it is for: a file, a folder, or what a .dvc file stands for."""
    pattern = re.compile(rf"^((?:data|datasets?)/(?:[\w.-]+/)*?(?:{'|'.join(words)})(?:[_.-][\w.-]+)?)(/|$)")
    found: dict[str, None] = {}
    for name in names:
        if match := pattern.match(name.removesuffix(".dvc")):
            found[match[1] + ("/" if match[2] else "")] = None
    return tuple(found)[:3]


def _install(names: Sequence[str], above: Sequence[str], folder: str) -> tuple[str, ...]:
    """Shell lines, run at the repository's top, that make the environment the commands run in."""
    here = next((where for where in ((folder, names), ("", above)) if {*_LOCKED, *_REQUIREMENTS, "pyproject.toml"} & set(where[1])), None)
    if here is None:
        return ()
    prefix, have = (f"{_quoted(here[0])}/" if here[0] else ""), set(here[1])
    if "pixi.lock" in have:
        return ()
    lock = next((lock for lock in _LOCKED if lock in have), None)
    if lock is not None:
        tool, command = _SYNC[lock]
        return (
            f'python3 -m venv "$RUNNER_TEMP/{tool}"',
            f'"$RUNNER_TEMP/{tool}/bin/pip" install {tool}',
            f'echo "$RUNNER_TEMP/{tool}/bin" >> "$GITHUB_PATH"',
            f'{f"cd {prefix} && " if prefix else ""}"$RUNNER_TEMP/{tool}/bin/{tool}" {command}',
        )
    requirements = next((name for name in _REQUIREMENTS if name in have), None)
    return (
        'python3 -m venv "$RUNNER_TEMP/environment"',
        f'"$RUNNER_TEMP/environment/bin/pip" install {f"-r {prefix}{requirements}" if requirements else f"./{prefix}"}',
        'echo "$RUNNER_TEMP/environment/bin" >> "$GITHUB_PATH"',
    )
