"""What the forkserver has loaded, too, where runs are tracked: W&B's client takes as long to import as torch."""

import contextlib
import os
import warnings

from benchmark.garbage import collect_as_usual, collect_seldom
from benchmark.temporary import OF_DRIVER, made_in
from benchmark.tracking import TRACKERS, tracker_class

collect_seldom()
# W&B makes folders when it is imported, and this process is killed before it could remove them.
with made_in(os.environ.pop(OF_DRIVER, None)), warnings.catch_warnings():
    warnings.simplefilter("ignore")
    for name in TRACKERS:
        with contextlib.suppress(ImportError):  # a job that is to use it says what is missing
            tracker_class(name).load()
collect_as_usual()
