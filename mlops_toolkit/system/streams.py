"""Standard output and error that no run depends on: what cannot be printed is lost, the training and its verdict are not.

A reader that has seen enough (`| head`), a full disk behind `> log`, a closed descriptor (`>&-`): the work goes on to its end
and its exit code. The text is UTF-8 in every locale: it holds signs that `LC_ALL=C` has no byte for, and JSON is UTF-8.
"""

from __future__ import annotations

import contextlib
import io
import os
import select
import sys
from collections.abc import Callable, Iterator
from typing import Any


class _Raw(io.FileIO):
    """A descriptor that takes everything; the first error of the system is kept and ends the writing."""

    lost: OSError | None = None

    def write(self, data: Any, /) -> int:
        while self.lost is None:
            try:
                written = super().write(data)
            except OSError as error:
                self.lost = error
                break
            if written is not None:
                return written
            select.select([], [self], [])  # whoever gave us the pipe set it not to block
        return memoryview(data).nbytes


@contextlib.contextmanager
def lasting() -> Iterator[Callable[[], OSError | None]]:
    """While it holds, sys.stdout and sys.stderr are such streams; yields what says why standard output could not be written.

    Streams that the program around us put in place (a test's capture) stay.
    """
    while (free := os.open(os.devnull, os.O_RDWR)) <= 2:  # else the next file that is opened would be "standard output"
        pass
    os.close(free)
    before = sys.stdout, sys.stderr
    raws = [_Raw(number, "w", closefd=False) for number in (1, 2)]
    texts = [
        io.TextIOWrapper(
            io.BufferedWriter(raw), encoding="utf-8", errors="backslashreplace", line_buffering=raw.fileno() == 2 or raw.isatty()
        )
        for raw in raws
    ]
    for name, text in zip(("stdout", "stderr"), texts, strict=True):
        if getattr(sys, name) is getattr(sys, f"__{name}__"):
            if getattr(sys, name) is not None:
                getattr(sys, name).flush()
            setattr(sys, name, text)

    def trouble() -> OSError | None:
        texts[0].flush()
        return raws[0].lost

    try:
        yield trouble
    finally:
        for text in texts:
            text.flush()
        sys.stdout, sys.stderr = before
