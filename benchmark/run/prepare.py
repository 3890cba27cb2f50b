"""A run's folder before a job: what it reads, and nothing that a kill left behind."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from itertools import count
from pathlib import Path

from benchmark.config.config_file import render
from benchmark.config.written import as_written
from benchmark.errors import attempt
from benchmark.files import is_file, remove_leftovers, write_text
from benchmark.run import checkpoints
from benchmark.run.folder import RunFolder
from benchmark.run.record import FailureKind
from benchmark.run.starts import forget_starts
from benchmark.run.state import Planned


def prepare(run: Planned) -> None:
    """Writes what a job reads, ``spec.json`` and any ``config.py``, and clears what a kill left behind."""
    run.folder.path.mkdir(parents=True, exist_ok=True)
    run.folder.stop_file.unlink(missing_ok=True)
    remove_leftovers(run.folder.path, deep=True)
    spec = replace(run.spec, former_ids=_former_ids(run.folder))
    if not run.config:
        run.folder.write_spec(spec)
        return
    config = render(as_written(dict(run.config), run.spec.overrides))
    written = hashlib.sha256(config.encode()).hexdigest()
    run.folder.write_spec(replace(spec, config_sha256=written))
    write_text(run.folder.config_file, config)


def _former_ids(folder: RunFolder) -> tuple[str, ...]:
    """The ids that a run had, which only its folder knows."""
    spec = attempt([], folder.read_spec) if is_file(folder.spec_file) else None
    return spec.former_ids if spec else ()


def _set_aside(path: Path) -> None:
    names = (path.with_stem(f"{path.stem}-{number}") for number in count(1))
    path.rename(next(name for name in names if not os.path.lexists(name)))


def set_aside(run: Planned) -> None:
    """Makes a finished run unfinished again: its record stays, as ``record-1.json``, ``record-2.json``, ...

    So does what lies in the place of a file or a folder of a run that is damaged.
    """
    for path in [run.folder.record_file, *run.folder.wrong_kinds()]:
        if os.path.lexists(path):
            _set_aside(path)
    forget_starts(run.folder)
    if run.record is not None and run.record.failure_kind is FailureKind.DIVERGED:
        # Its checkpoints lead to the same end: begin anew.
        checkpoints.remove_all_but_final(run.folder.checkpoints)
    if not checkpoints.saved(run.folder.checkpoints):  # it begins anew, perhaps on another device
        run.folder.accumulation_file.unlink(missing_ok=True)
        run.folder.company_file.unlink(missing_ok=True)
