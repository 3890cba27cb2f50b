"""A try-out of a run: all that its job does, once, on two images. It leaves ``tried.json`` and no record."""

from __future__ import annotations

import os
import sys
import time
import traceback
from dataclasses import replace
from typing import TYPE_CHECKING

from benchmark.errors import UserError
from benchmark.job.building import make_ready
from benchmark.job.failures import in_words, of_machine
from benchmark.run.folder import RunFolder
from benchmark.run.options import JobOptions
from benchmark.run.tried import Tried, write_tried

if TYPE_CHECKING:
    from benchmark.job.tryout.steps import Steps

_LONGEST = 600


class Failed(Exception):
    """One process of a try-out by several has failed, and ends: the others would wait for it."""


def try_out(folder: RunFolder, options: JobOptions) -> None:
    """Builds what the run at ``folder`` builds, trains one step, predicts and evaluates one image.

    Whatever fails, ``tried.json`` says what, unless the process dies: then it says in what step.

    Raises:
        Exception: The machine is at fault, see `benchmark.job.failures.of_machine`.
        Failed: It is one of several processes.
    """
    make_ready(options.resources)
    from benchmark.job.on_disk import loading
    from benchmark.job.tryout.steps import Steps

    began = time.monotonic()
    tried, steps = Tried(), Steps(folder, options)
    try:
        with loading(options.trust_checkpoints):
            for step in steps.all():
                tried = replace(tried, step=step.words, notes=tuple(steps.notes))
                _write(folder, tried)
                step.take()
        tried = replace(tried, complete=True, notes=tuple(steps.notes))
    except (Exception, SystemExit) as error:  # a module may call sys.exit
        traceback.print_exc()
        sys.stderr.flush()
        if of_machine(error, folder) is not None:
            raise
        tried = _failed(tried, steps, error)
        write_tried(folder, _measured(tried, steps, began))
        if options.resources.processes > 1:
            raise Failed(tried.cause) from error
        return
    _write(folder, _measured(tried, steps, began))


def _write(folder: RunFolder, tried: Tried) -> None:
    if os.environ.get("RANK", "0") == "0":
        write_tried(folder, tried)


def _failed(tried: Tried, steps: Steps, error: Exception | SystemExit) -> Tried:
    from benchmark.job.tryout.culprit import key_of, raised_at
    from benchmark.job.tryout.steps import NotANumber

    key = key_of(error, steps.content, steps.section, steps.named)
    at = raised_at(error)
    if isinstance(error, NotANumber):
        key, at = error.key, ""  # it was found here, and made elsewhere
    elif isinstance(error, UserError):
        at = ""  # it says what to do
    cause = in_words(error).removeprefix(f"{key}: ")
    return replace(tried, key=key, cause=cause[:_LONGEST], at=at, notes=tuple(steps.notes))


def _measured(tried: Tried, steps: Steps, began: float) -> Tried:
    from benchmark.job.training import MemoryHook
    from benchmark.run.provenance import device_name

    return replace(
        tried,
        seconds=round(time.monotonic() - began, 2),
        peak_memory_gib=round(MemoryHook().peak_gib, 4),
        device=device_name(),
        params=steps.params,
    )
