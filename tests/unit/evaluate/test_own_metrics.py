"""A user's function as a metric: groups that are the same everywhere, and errors that name file, function and group."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mlops_toolkit.evaluate import own_script
from mlops_toolkit.evaluate.own_metrics import grouped
from tests.unit.gate.drawn import answers, table


def test_groups_are_the_same_whatever_the_order_and_even() -> None:
    columns = {"id": [f"x{i}" for i in range(1000)], **answers(900, 100)}
    turned = {name: list(reversed(values)) for name, values in columns.items()}
    one, other = grouped(table(columns), 100, "d"), grouped(table(turned), 100, "d")
    assert one == other
    assert {one.of_row.count(g) for g in range(100)} == {10}
    assert grouped(table(columns), 20, "d").digest != one.digest
    assert grouped(table(columns), 100, "other labels").digest != one.digest
    assert grouped(table({"id": [*columns["id"][1:], "new"], **answers(900, 100)}), 100, "d").digest != one.digest


def test_small_files_fall_into_fewer_groups_unless_somebody_says_how_many() -> None:
    for n, count in ((15, 15), (60, 20), (400, 40), (2500, 100), (10_000, 100)):
        columns = {"id": [f"r{i}" for i in range(n)], **answers(n, 0)}
        assert grouped(table(columns), None, "d").count == count
    assert grouped(table(columns), 300, "d").count == 300


def test_clusters_are_never_torn_apart() -> None:
    columns = {**answers(900, 100), "cluster": [f"user-{i % 40}" for i in range(1000)]}
    found = grouped(table(columns), 100, "d")
    assert found.count == 40
    rows = table(columns).frame["cluster"].to_list()
    assert len({(user, group) for user, group in zip(rows, found.of_row, strict=True)}) == 40


def computed(tmp_path: Path, program: str, *, function: str = "cost", slices: dict[str, list[int]] | None = None) -> dict[str, Any]:
    (tmp_path / "metrics.py").write_text(program)
    n = 60
    metric = {
        "file": str(tmp_path / "metrics.py"),
        "shown": "metrics.py",
        "function": function,
        "groups": [i % 12 for i in range(n)],
        "count": 12,
    }
    columns = {"target": ["a"] * n, "prediction": ["a" if i % 3 else "b" for i in range(n)], "amount": [float(i) for i in range(n)]}
    plan = {"folder": str(tmp_path), "root": str(tmp_path), "metrics": {"cost": metric}, "columns": columns, "slices": slices or {}}
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    out = tmp_path / "out.json"
    subprocess.run([sys.executable, own_script.__file__, str(tmp_path / "plan.json"), str(out)], check=True, timeout=60, cwd=tmp_path)
    made: dict[str, Any] = json.loads(out.read_text())
    return made


def test_a_function_is_asked_on_all_rows_on_slices_and_without_each_group(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("WEIGHT = 2.0\n")
    program = "import helper\ndef cost(rows):\n    return helper.WEIGHT * sum(rows['amount']) if rows['amount'] else None\n"
    found = computed(tmp_path, program, slices={"first": [0, 1, 2]})
    values = found["values"]["cost"]
    assert values[""]["value"] == 2 * sum(range(60))
    assert values[""]["left"] == [2 * (sum(range(60)) - sum(range(g, 60, 12))) for g in range(12)]
    assert values["first"]["value"] == 6.0
    assert values["first"]["left"][:4] == [6.0, 4.0, 2.0, 6.0]
    assert sorted(Path(file).name for file in found["files"]) == ["helper.py", "metrics.py"]


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("def cost(rows): return float('nan')", "metrics.py:cost gives nan, which compares with nothing"),
        ("def cost(rows): return 1e400", "gives inf"),
        ("def cost(rows): return 'much'", "gives str, not a number"),
        ("def cost(rows): return True", "gives bool, not a number"),
        ("def cost(rows): return 1 / (len(rows['target']) - 55)", "metrics.py:cost, without group 1 of 12: ZeroDivisionError"),
        ("def cost(rows): raise SystemExit(0)", "SystemExit"),
        ("def cost(rows): rows['amount'].sort(reverse=True); return 1.0", "changes the rows"),
        ("def cost(rows): rows['new'] = []; return 1.0", "changes the rows"),
        ("import random\ndef cost(rows): return random.random()", "the next time, for the same rows"),
        ("def cost(rows): return rows['amount'].mean()", "`rows` is a dict of lists"),
        ("def other(rows): return 1.0", "metrics.py has no function cost"),
        ("import nothing_of_that_name", "metrics.py cannot be imported: ModuleNotFoundError"),
        ("def cost(rows:", "metrics.py cannot be imported: SyntaxError"),
    ],
)
def test_what_is_no_metric_is_said_with_file_function_and_group(tmp_path: Path, program: str, words: str) -> None:
    assert words in computed(tmp_path, program)["error"]["message"]


def test_its_modules_may_be_called_as_ours(tmp_path: Path) -> None:
    (tmp_path / "run.py").write_text("ONE = 1.0\n")
    (tmp_path / "say.py").write_text("from run import ONE\n")
    assert computed(tmp_path, "import say\ndef cost(rows): return say.ONE")["values"]["cost"][""]["value"] == 1.0


def test_a_folder_s_name_does_not_hide_the_code_that_a_metric_is_made_of(tmp_path: Path) -> None:
    """Only a real environment inside the repository is left out of what the program is."""
    for place in ("vendor/site-packages", "env/site-packages"):
        (tmp_path / place).mkdir(parents=True)
    (tmp_path / "vendor/site-packages/ours.py").write_text("one = 1.0\n")
    (tmp_path / "env/site-packages/theirs.py").write_text("two = 2.0\n")
    (tmp_path / "env/pyvenv.cfg").write_text("")
    paths = "sys.path += [f'{sys.path[0]}/vendor/site-packages', f'{sys.path[0]}/env/site-packages']"
    (tmp_path / "m.py").write_text(f"import sys\n{paths}\nimport ours, theirs\ndef cost(rows):\n    return ours.one + theirs.two\n")
    metric = {"file": str(tmp_path / "m.py"), "shown": "m.py", "function": "cost", "groups": [0, 1], "count": 2}
    plan = {"folder": str(tmp_path), "root": str(tmp_path), "metrics": {"cost": metric}, "columns": {"id": ["a", "b"]}, "slices": {}}
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    command = [sys.executable, own_script.__file__, str(tmp_path / "plan.json"), str(tmp_path / "out.json")]
    subprocess.run(command, check=True, timeout=60)
    made = json.loads((tmp_path / "out.json").read_text())
    assert made["values"]["cost"][""]["value"] == 3.0
    assert [Path(file).name for file in made["files"]] == ["m.py", "ours.py"]
