"""`python -m mlops_toolkit VERB`: how the actions start us."""

import gc
import sys

from mlops_toolkit.cli import main

# Importing makes hundreds of thousands of objects and no garbage: looking for some among them costs a twentieth of a comparison.
gc.set_threshold(100_000, 20, 20)
sys.exit(main())
