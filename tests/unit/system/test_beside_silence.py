"""A program that has nothing more to say and goes on is left alone after a while; one that ends is read to its end."""

from __future__ import annotations

import os
import sys

from mlops_toolkit.system.beside import beside

PROGRAM = "import sys, time\nprint('a' * 70000 + '\\nb', flush=True)\nsys.stdout.write('c')\nsys.stdout.flush()\n"


def test_lines_end_with_silence_or_with_the_program() -> None:
    with beside([sys.executable, "-c", PROGRAM + "time.sleep(600)"], env=dict(os.environ)) as quiet:
        assert list(quiet.lines_until_silence(2.0)) == ["a" * 70000, "b"]
    with beside([sys.executable, "-c", PROGRAM], env=dict(os.environ)) as ended:
        assert list(ended.lines_until_silence(60.0)) == ["a" * 70000, "b", "c"]
