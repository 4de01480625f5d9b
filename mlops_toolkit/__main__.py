"""`python -m mlops_toolkit VERB`: how the actions start us."""

import sys

from mlops_toolkit.cli import main

sys.exit(main())
