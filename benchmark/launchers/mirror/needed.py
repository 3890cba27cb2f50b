"""What a job on another machine needs beside its run's folder: the runs that it is made from, and files of its node."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from benchmark.errors import few
from benchmark.run.contents import named_path
from benchmark.run.folder import RunFolder
from benchmark.run.spec import RunSpec


def sources_of(folder: RunFolder) -> tuple[str, ...]:
    """Ids of the runs that a run is made from, or learns boxes of; they lie beside it."""
    return folder.read_spec().made_from if folder.spec_file.exists() else ()


def not_here(folder: RunFolder) -> str:
    """Which files and folders this machine lacks that a job reads in place, in words; empty if it has them all."""
    if not folder.spec_file.exists():
        return ""
    lacking = [
        str(path) for path in dict.fromkeys(_read_in_place(folder.read_spec())) if not path.exists()
    ]
    if not lacking:
        return ""
    return (
        f"{os.uname().nodename} does not have {few(lacking)}: of a run its folder alone is mirrored; have the data set "
        "and what else the row names lie on the nodes under the same paths as where the sweep starts"
    )


def _read_in_place(spec: RunSpec) -> Iterator[Path]:
    splits = [spec.dataset.train, spec.dataset.val]
    if spec.pseudo is not None:
        splits.append(spec.pseudo.images)
    for split in splits:
        yield split.annotations
        yield split.images
    if spec.imports_from is not None:
        yield Path(spec.imports_from)
    for text in spec.files:
        yield named_path(text)
