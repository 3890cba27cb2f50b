"""Out-of-fold boxes: what a row finds on every image that the folds divide, each by the run that did not train on it.

Of each row and seed whose folds are all complete there is ``<board>.oof/<row>-s<seed>.json``, COCO results. They are
evaluated nowhere: a pooled mAP50 ranks the boxes of several models by one scale, and is another number than the mean
over the folds.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmark.files import read_json
from benchmark.leaderboard.document import Leaderboard, Line
from benchmark.leaderboard.outputs.base import File, Material, NothingToWriteError, Output
from benchmark.leaderboard.outputs.text_file import TextFile

_ENDING = ".oof"


def out_of_fold_file(results: Path, board: str, row: str, seed: int) -> Path:
    """Where the out-of-fold boxes of a row and seed lie."""
    return results / f"{board}{_ENDING}" / f"{row}-s{seed}.json"


def _files(material: Material) -> Iterator[File]:
    """The files of rows and seeds with all folds, then those that are there of others, which are to go."""
    leaderboard, results = material.leaderboard, material.runs.results
    if leaderboard.dataset.folds and material.configs is None:
        raise NothingToWriteError(
            f"the out-of-fold boxes need the run folders, and {results} has none"
        )
    wanted: set[Path] = set()
    for line in leaderboard.rows:
        for seed, run_ids in _whole(leaderboard, line).items():
            path = out_of_fold_file(results, leaderboard.stem, line.row, seed)
            wanted.add(path)
            yield TextFile(path, partial(_text, material, run_ids))
    for path in sorted(material.looks.before(material.path(_ENDING)).glob("*.json")):
        if path not in wanted:
            yield _Outdated(path)


def _whole(leaderboard: Leaderboard, line: Line) -> Mapping[int, Sequence[str]]:
    """The run ids of each seed of a row of which every fold is complete, in the order of the folds."""
    found: dict[int, dict[int, str]] = defaultdict(dict)
    for run in line.runs:
        if run.fold is not None and run.run_id is not None and run.state == "complete":
            found[run.seed][run.fold] = run.run_id
    folds = range(leaderboard.dataset.folds)
    return {
        seed: [of[fold] for fold in folds] for seed, of in found.items() if len(of) == len(folds)
    }


def _text(material: Material, run_ids: Iterable[str]) -> str:
    """The boxes of all runs, a box a line, fold by fold; no digit is lost.

    Raises:
        ValueError: A run has none.
    """
    boxes = [json.dumps(box) for run_id in run_ids for box in _boxes(material, run_id)]
    return "[\n" + ",\n".join(boxes) + "\n]\n" if boxes else "[]\n"


def _boxes(material: Material, run_id: str) -> Sequence[object]:
    path = material.looks.before(material.runs.folder(run_id).predictions_file)
    try:
        found: Sequence[object] = read_json(path)
    except OSError as error:
        raise ValueError(f"run {run_id} has no {path.name} ({error.strerror})") from None
    return found


@dataclass(frozen=True)
class _Outdated:
    """Boxes of a row that has not all folds any more, or is no row: not to be there."""

    path: Path

    def is_right(self) -> bool:
        """Whether it is gone."""
        return not self.path.exists()

    def difference(self) -> str:
        """Why it is to go."""
        return f"{self.path.name}: of a row that does not have all folds now"

    def write(self) -> None:
        """Removes it."""
        self.path.unlink(missing_ok=True)


OUT_OF_FOLD = Output(_files, many=True, told=True)
