"""Standard output that nothing depends on: whatever becomes of it, the verb ends with its own exit code and a sentence."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

# A verb that speaks on both streams, goes on working for as long as its reader needs to leave, and ends with 1.
VERB = """
import pathlib, sys
from mlops_toolkit import cli

def verb(args, world):
    print("training ✅", file=world.err)
    sys.stdin and sys.stdin.read()
    print("a line ✅\\n" * 20_000, file=world.err, flush=True)
    print("❌ worse\\n" * 20_000, file=world.out)
    pathlib.Path("finished").touch()
    return 1

sys.modules["verb"] = sys.modules["__main__"]
cli.VERBS["doctor"] = "verb:verb"
sys.exit(cli.main(["doctor"]))
"""
COMMAND = f'"{sys.executable}" verb.py'


def shell(script: str, folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    (folder / "verb.py").write_text(VERB, "utf-8")
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "LC_", "LANG", "MLOPS_", "GITHUB_"))}
    return subprocess.run(
        ["bash", "-c", script], cwd=folder, env={**clean, **env}, capture_output=True, encoding="utf-8", check=False, timeout=60
    )


@pytest.mark.parametrize(
    "script",
    [
        f"{COMMAND} </dev/null | true; echo ${{PIPESTATUS[0]}}",
        f"(sleep 0.2) | {COMMAND} 2>&1 | head -1 >/dev/null; echo ${{PIPESTATUS[1]}}",
        f"{COMMAND} </dev/null >&-; echo $?",
        f"{COMMAND} </dev/null 2>&-; echo $?",
        f"{COMMAND} <&- >&- 2>&- ; echo $?",
        f"{COMMAND} </dev/null 2>/dev/full; echo $?",
    ],
    ids=["reader gone", "reader of both gone while it runs", "output closed", "error closed", "all closed", "error on a full disk"],
)
def test_a_verb_ends_with_its_own_exit_code_though_nobody_reads(script: str, tmp_path: Path) -> None:
    done = shell(script, tmp_path)
    assert done.stdout.splitlines()[-1] == "1", done.stderr
    assert (tmp_path / "finished").exists()
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_output_that_a_full_disk_loses_is_a_named_end_of_the_environment(tmp_path: Path) -> None:
    done = shell(f"{COMMAND} </dev/null >/dev/full; echo $?", tmp_path)
    assert done.stdout == "4\n"
    assert "standard output cannot be written: No space left on device" in done.stderr
    assert "Exception" not in done.stderr


@pytest.mark.parametrize("env", [{"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, {"PYTHONIOENCODING": "latin-1"}])
def test_signs_outside_of_the_locale_are_printed_as_utf_8(env: dict[str, str], tmp_path: Path) -> None:
    done = shell(f"{COMMAND} </dev/null", tmp_path, **env)
    assert done.returncode == 1, done.stderr[-400:]
    assert done.stdout.startswith("❌ worse\n")
    assert done.stderr.startswith("training ✅\n")


def test_a_pipe_that_does_not_block_loses_nothing(tmp_path: Path) -> None:
    reads = "import os, subprocess, sys, time; r, w = os.pipe(); os.set_blocking(w, False);"
    reads += "p = subprocess.Popen([sys.executable, 'verb.py'], stdin=subprocess.DEVNULL, stdout=w); os.close(w); time.sleep(0.3);"
    reads += "print(open(r).read().count('worse'), p.wait())"
    done = shell(f"\"{sys.executable}\" -X utf8 -c '{reads}'".replace("'verb.py'", '"verb.py"').replace("'worse'", '"worse"'), tmp_path)
    assert done.stdout == "20000 1\n", done.stderr[-400:]
