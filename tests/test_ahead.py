"""What the end of a sweep needs is imported while its first jobs start."""

from __future__ import annotations

import json
import subprocess
import sys

from benchmark.experiment.experiment import Tracking
from benchmark.sweep.ahead import import_ahead

_SAYS = """
import json, sys
from benchmark.experiment.experiment import Tracking
from benchmark.sweep.ahead import DRAWING, import_ahead
before = set(sys.modules)
import_ahead(Tracking(mode={mode!r})).join()
asked = [*DRAWING, "wandb", "torch", "mmdet"]
print(json.dumps([name for name in asked if name in sys.modules and name not in before]))
"""


def _imported(mode: str) -> list[str]:
    code = _SAYS.format(mode=mode)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_what_draws_and_tracks_is_there_and_nothing_that_trains() -> None:
    drawing = [
        "matplotlib.figure",
        "matplotlib.backends.backend_agg",
        "adjustText",
        "scipy.special",
    ]
    assert _imported("offline") == [*drawing, "wandb"]


def test_what_is_not_installed_is_left_to_whoever_needs_it() -> None:
    import_ahead(Tracking(mode="off"), ["no_such_module"]).join()
