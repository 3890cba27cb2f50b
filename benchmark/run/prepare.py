"""A run's folder before a job: what it reads, and nothing that a kill left behind."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from benchmark.config.config_file import render
from benchmark.config.written import as_written
from benchmark.errors import attempt
from benchmark.files import remove_leftovers, write_text
from benchmark.run import checkpoints
from benchmark.run.folder import RunFolder
from benchmark.run.record import FailureKind
from benchmark.run.state import Planned


def prepare(run: Planned) -> None:
    """Writes what a job reads, ``spec.json`` and ``config.py``, and clears what a kill left behind."""
    run.folder.path.mkdir(parents=True, exist_ok=True)
    run.folder.stop_file.unlink(missing_ok=True)
    remove_leftovers(run.folder.path)
    config = render(as_written(dict(run.config), run.spec.overrides))
    written = hashlib.sha256(config.encode()).hexdigest()
    run.folder.write_spec(
        replace(run.spec, config_sha256=written, former_ids=_former_ids(run.folder))
    )
    write_text(run.folder.config_file, config)


def _former_ids(folder: RunFolder) -> tuple[str, ...]:
    """The ids that a run had, which only its folder knows."""
    spec = attempt([], folder.read_spec) if folder.spec_file.is_file() else None
    return spec.former_ids if spec else ()


def set_aside(run: Planned) -> None:
    """Makes a finished run unfinished again: its record stays, as ``record-1.json``, ``record-2.json``, ..."""
    number = len(list(run.folder.path.glob("record-*.json"))) + 1
    run.folder.record_file.rename(run.folder.path / f"record-{number}.json")
    if run.record is not None and run.record.failure_kind is FailureKind.DIVERGED:
        # Its checkpoints lead to the same end: begin anew.
        checkpoints.remove_all_but_final(run.folder.checkpoints)
