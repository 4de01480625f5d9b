"""`python -m mlops_toolkit.serve /models`: the entry point of an image."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from mlops_toolkit._version import __version__
from mlops_toolkit.errors import MlopsError, of_system
from mlops_toolkit.serve import settings as settings_


def main(argv: Sequence[str] | None = None) -> int:
    """Serve; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m mlops_toolkit.serve",
        description="Serve the models below FOLDER (FOLDER itself, FOLDER/NAME, FOLDER/NAME/VERSION).",
        epilog=f"Every option is a variable, too: --max-batch is {settings_.PREFIX}MAX_BATCH. A token is never an option.",
    )
    parser.add_argument("--version", action="version", version=f"mlops {__version__}")
    parser.add_argument("models", nargs="+", type=Path, metavar="FOLDER", help="where models lie")
    settings_.add_flags(parser)
    args = parser.parse_args(argv)
    try:
        made = settings_.read(args, os.environ)
        from mlops_toolkit.serve import run

        return run.run(args.models, made)
    except MlopsError as error:
        print(f"serve: {error}", file=sys.stderr)
        return error.code
    except OSError as error:
        refused = of_system(error)
        if refused is None:
            raise
        print(f"serve: {refused}", file=sys.stderr)
        return refused.code


if __name__ == "__main__":
    sys.exit(main())
