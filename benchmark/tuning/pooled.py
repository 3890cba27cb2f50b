"""The one run of a trial of a fused row: over the out-of-fold boxes of all folds where the data is divided."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from benchmark.data.annotations import read_annotations
from benchmark.data.dataset import Dataset, Fold, Split
from benchmark.errors import attempt
from benchmark.job.made.base import judged_ids
from benchmark.run.folder import RunFolder
from benchmark.run.identity import digest_of, run_id
from benchmark.run.spec import RunSpec
from benchmark.run.state import Planned


def pooled(runs: Sequence[Planned]) -> Planned:
    """A run of all folds of a row as one: its images are those that were divided, its sources those of every fold.

    Each image has the boxes of the source runs that were not trained on it, so the run's boxes are those of the folds'
    own runs together.

    Args:
        runs: Those of a row and seed, one a fold; one alone is given back as it is.
    """
    first = runs[0].spec
    if first.dataset.fold is None:
        return runs[0]
    ids = " ".join(digest_of(run.spec.run_id) for run in runs)
    digest = hashlib.sha256(ids.encode()).hexdigest()[:8]
    spec = replace(
        first,
        run_id=run_id(first.row, first.seed, first.profile, digest),
        dataset=_whole(first.dataset, first.dataset.fold),
        making={**first.making, **_judged([run.spec for run in runs], first.dataset.fold.whole)},
        made_from=tuple(dict.fromkeys(one for run in runs for one in run.spec.made_from)),
    )
    return replace(runs[0], spec=spec, folder=RunFolder(runs[0].folder.path.with_name(spec.run_id)))


def _judged(specs: Sequence[RunSpec], whole: Split) -> dict[str, object]:
    """Which of the divided images the runs of the folds are judged on; empty if that is all of them."""
    if "indices" not in specs[0].making:
        return {}
    ids = frozenset[int]().union(*map(_judged_ids, specs))
    positions = [n for n, one in enumerate(_image_ids(whole)) if one in ids]
    return {"images": len(positions), "indices": positions}


def _judged_ids(spec: RunSpec) -> frozenset[int]:
    return judged_ids(read_annotations(spec.dataset.val.annotations), spec.making)


@lru_cache(maxsize=1)  # the same for every trial
def _image_ids(whole: Split) -> Sequence[int]:
    ids: list[int] = read_annotations(whole.annotations).images.ids.tolist()
    return ids


def _whole(dataset: Dataset, fold: Fold) -> Dataset:
    return replace(dataset, train=fold.whole, val=fold.whole, fold=None)


def ended(runs: Sequence[Planned]) -> list[list[str]]:
    """The runs that these are made from, each with the time at which it ended; empty where it has not yet."""
    folders = {
        run_id: run.folder.path.with_name(run_id) for run in runs for run_id in run.spec.made_from
    }
    found = {name: attempt([], RunFolder(path).record_if_ended) for name, path in folders.items()}
    return [[name, record.finished_at if record else ""] for name, record in found.items()]
