"""The runs of a results folder: the one answer to which runs exist, and what became of them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from benchmark.errors import attempt
from benchmark.files import is_file
from benchmark.run.folder import Damaged, RunFolder
from benchmark.run.identity import digest_of
from benchmark.run.index import Index
from benchmark.run.known_rows import KnownRows
from benchmark.run.record import RunRecord, State
from benchmark.run.spec import RunSpec
from benchmark.run.standing import StandingOf
from benchmark.run.state import Planned, by_lock, look
from benchmark.run.tested import Tested


@dataclass(frozen=True)
class Started:
    """A run that has a folder, and its record if it has ended."""

    spec: RunSpec
    record: RunRecord | None


class Runs:
    """The runs of a results folder, asked for by id or by what was asked of them; each file is read once.

    A record is written once and never edited, so that what was read stays true. Of a run that was tried again,
    `keep` takes the new record.

    Args:
        results: The results folder, which need not exist.
        standing: Says where an unfinished run's job stands; `benchmark.launchers.living.standing` asks its launcher.
    """

    def __init__(self, results: Path, standing: StandingOf = by_lock) -> None:
        self.results = results
        self.begun_ns = time.time_ns()
        """Before anything was read."""
        self._standing = standing
        self._folder = results / "runs"
        self._specs: dict[str, RunSpec] = {}
        self._records: dict[str, RunRecord] = {}
        self._index = Index(self._folder)
        self.rows = KnownRows(self._folder)

    def remember(self) -> None:
        """Saves others the reading of what was read here, where that is worth it."""
        self._index.save()
        self.rows.save()

    def folder(self, run_id: str) -> RunFolder:
        """The folder of a run, whether it exists or not."""
        return RunFolder(self._folder / run_id)

    def spec(self, run_id: str) -> RunSpec:
        """What was asked of a run.

        Raises:
            Damaged: The file is.
            FileNotFoundError: There is no such run.
        """
        if run_id not in self._specs:
            folder = self.folder(run_id)
            self._specs[run_id] = self._index.of(str(folder.spec_file), folder.read_spec)
        return self._specs[run_id]

    def record(self, run_id: str) -> RunRecord | None:
        """What happened in a run, None if it has not ended.

        Raises:
            Damaged: The file is.
        """
        if run_id not in self._records:
            folder = self.folder(run_id)
            found = self._index.of(str(folder.record_file), folder.record_if_ended)
            if found is None:
                return None
            self._records[run_id] = found
        return self._records[run_id]

    def tested(self, run_id: str) -> Tested | None:
        """What a run came to on the test split; None if nothing says so that can be read."""
        folder = self.folder(run_id)
        return self._index.of(str(folder.tested_file), folder.tested_if_any)

    def look(self, spec: RunSpec, config: Mapping[str, object]) -> Planned:
        """What became of a run that is planned."""
        folder = self.folder(spec.run_id)
        with suppress(Damaged):  # which `look` finds, too, and says so
            self.record(spec.run_id)
        run = look(spec, config, folder, self._records.get(spec.run_id), self._standing)
        self.keep([run])
        if run.record is not None and self._is_outdated(spec, run.record):
            return replace(run, state=State.WAITING, record=None, outdated=True)
        return run

    def _is_outdated(self, spec: RunSpec, record: RunRecord) -> bool:
        """Whether a run that it is made from has ended anew since; of one that is gone nobody knows."""
        if record.state is not State.COMPLETE:
            return False
        sources = (attempt([], self.record, run_id) for run_id in spec.made_from)
        used = {digest_of(run_id): ended for run_id, ended in record.made_from.items()}
        return any(
            s is not None and used.get(digest_of(s.run_id)) != s.finished_at for s in sources
        )

    def keep(self, runs: Iterable[Planned]) -> None:
        """Takes over what others have found out about runs, a sweep when they ended."""
        for run in runs:
            if run.record is not None:
                self._records[run.spec.run_id] = run.record
            else:  # tried again, and lost: the record of before was set aside
                self._records.pop(run.spec.run_id, None)

    def started(self, wanted: Callable[[RunSpec], bool], problems: list[str]) -> list[Started]:
        """The runs whose spec is wanted, sorted by id; ``problems`` takes a message for each unreadable folder."""
        read = [attempt(problems, self._started, name, wanted) for name in self._names()]
        return [run for run in read if run is not None]

    def ids(self) -> list[str]:
        """The ids of all runs, sorted."""
        return [name for name in self._names() if is_file(self.folder(name).spec_file)]

    def _names(self) -> list[str]:
        try:
            return sorted(os.listdir(self._folder))  # noqa: PTH208 - it holds ten thousand
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return []

    def _started(self, run_id: str, wanted: Callable[[RunSpec], bool]) -> Started | None:
        """A run that is wanted, None if the folder holds another or none."""
        try:
            spec = self.spec(run_id)
        except (FileNotFoundError, NotADirectoryError):
            self.folder(run_id).check_spec()
            return None
        if not wanted(spec):
            return None
        record = self.record(run_id)
        if record is not None:
            self.folder(run_id).check_fits(record, spec)
        return Started(spec, record)
