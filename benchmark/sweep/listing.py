"""What a results folder holds: each run, what became of it, how old and how large it is, and whose."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from benchmark.errors import why
from benchmark.experiment.experiment import Experiment
from benchmark.run.folder import RunFolder
from benchmark.run.owners import Kind, Owner, owners_of
from benchmark.run.reached import status_of
from benchmark.run.record import RunRecord
from benchmark.run.runs import Runs, Started
from benchmark.run.spec import RunSpec


@dataclass(frozen=True)
class Entry:
    """A run of a results folder, as a line of the list shows it.

    Attributes:
        spec: What was asked.
        status: What became of it, in words.
        age_s: Seconds since it ended, or since its journal was last written.
        size_bytes: Of all files of its folder.
        owner: Whose it is.
    """

    spec: RunSpec
    status: str
    age_s: float
    size_bytes: int
    owner: Owner


def listed(
    on_disk: Runs,
    experiments: Sequence[Experiment],
    studies: Collection[str] | None,
    problems: list[str],
) -> list[Entry]:
    """The runs of a results folder, sorted by id.

    Args:
        on_disk: The runs.
        experiments: Those that may ask for them.
        studies: Ids of the studies that are there; None where nobody knows.
        problems: Takes a message for each folder that cannot be read; files in it that can be read count.
    """
    runs = on_disk.started(lambda _: True, problems)
    on_disk.remember()
    owners = owners_of([run.spec for run in runs], experiments, on_disk)
    return [_listed(run, _of_study(run.spec, owners, studies), on_disk, problems) for run in runs]


def _listed(run: Started, owner: Owner, on_disk: Runs, problems: list[str]) -> Entry:
    folder = on_disk.folder(run.spec.run_id)
    status = status_of(on_disk.look(run.spec, {}))
    size = size_of(folder.path, problems)
    return Entry(run.spec, status, _age_s(folder, run.record), size, owner)


def _of_study(spec: RunSpec, owners: Mapping[str, Owner], studies: Collection[str] | None) -> Owner:
    owner = owners[spec.run_id]
    if owner.kind is Kind.TRIAL and studies is not None and spec.study not in studies:
        return replace(owner, words=f"{owner.words}, which studies.db does not have")
    return owner


def _age_s(folder: RunFolder, record: RunRecord | None) -> float:
    return max(0.0, time.time() - (_ended(record) or _last_sign(folder)))


def _ended(record: RunRecord | None) -> float | None:
    try:
        return datetime.fromisoformat(record.finished_at).timestamp() if record else None
    except ValueError:
        return None


def _last_sign(folder: RunFolder) -> float:
    found = [path for path in (folder.metrics_file, folder.spec_file) if path.exists()]
    return max((path.stat().st_mtime for path in found), default=time.time())


def size_of(folder: Path, problems: list[str]) -> int:
    """Bytes of all files in a folder and below; a link counts nothing.

    What is removed meanwhile counts nothing; of what cannot be read ``problems`` takes a message.
    """
    try:
        return sum(_sizes(folder, problems))
    except FileNotFoundError:
        return 0
    except OSError as error:
        problems.append(f"{folder}: its size is not known: {why(error)}")
        return 0


def _sizes(folder: Path, problems: list[str]) -> Iterator[int]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield size_of(Path(entry.path), problems)
            elif entry.is_file(follow_symlinks=False):
                with suppress(FileNotFoundError):
                    yield entry.stat(follow_symlinks=False).st_size
