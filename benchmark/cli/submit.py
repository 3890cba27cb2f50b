"""``detboard submit``: the boxes of a row on the test split, as a file to hand in."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.app import DataRoot, Experiment, Profile, Results, Trust

if TYPE_CHECKING:
    from benchmark.data.dataset import Split
    from benchmark.run.plan import Plan
    from benchmark.run.state import Planned
    from benchmark.run.submission import Handed


class BoxFormat(str, Enum):
    """The formats of `benchmark.data.boxes.read.FORMATS`, which is not imported for ``--help``."""

    CSV = "csv"
    COCO = "coco"


Format = Annotated[
    BoxFormat,
    typer.Option(
        "--format", help="csv: a line an image (PredictionString, image_id); coco: results."
    ),
]
ScoreThr = Annotated[
    float, typer.Option("--score-thr", min=0, max=1, help="Leave out boxes of lower scores.")
]
MaxPerImage = Annotated[
    int | None, typer.Option("--max-per-image", min=1, help="The best ones of each image alone.")
]


def submit(
    experiment: Experiment,
    row: Annotated[str, typer.Argument(metavar="ROW", help="The row whose boxes are handed in.")],
    format_: Format,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Of which of its runs; the first, if not given.")
    ] = None,
    fold: Annotated[
        int | None, typer.Option(min=0, help="Of which fold, where the data is divided.")
    ] = None,
    score_thr: ScoreThr = 0.0,
    max_per_image: MaxPerImage = None,
    tta: Annotated[
        bool,
        typer.Option("--tta", help="Find them anew, in several views of each image."),
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="The file; in RESULTS/submissions, if not given."),
    ] = None,
    profile: Profile = None,
    data_root: DataRoot = None,
    results: Results = Path("results"),
    trust: Trust = False,
) -> None:
    """Write a row's boxes on the test split as a file to hand in; trains nothing."""
    from benchmark.cli.options import request_of
    from benchmark.data.boxes.kept import kept
    from benchmark.run.plan import make_plan
    from benchmark.run.submission import handed, run_of, test_split

    _check_row(experiment, row)
    asked = request_of(experiment, profile, data_root, results, None, None, None)
    seeds = None if seed is None else (seed,)
    # Weights that rows start from are not needed here.
    request = replace(asked, rows=(row,), seeds=seeds, needs_data=False)
    made = make_plan(request)
    split = test_split(made, request)
    run = run_of(made, seed, fold)
    options = {"--profile": profile, "--data-root": data_root, "--results": results}
    command = _sweep_command(made, run, seed, options)
    boxes = _augmented(run, split, trust) if tta else handed(run, split, command)
    boxes = replace(boxes, found=kept(boxes.found, score_thr, max_per_image))
    name = format_.value
    stem = f"{run.spec.run_id}{'-tta' if tta else ''}"
    path = output or results / "submissions" / f"{stem}.{SUFFIXES[name]}"
    boxes.write(path, name)
    typer.echo(f"wrote {path}: {boxes.told}, of runs/{run.spec.run_id}")


def _check_row(experiment: Path, row: str) -> None:
    """Tells of a row that is not there by what was typed: a plan would name the option ``--rows``."""
    from benchmark.errors import UserError, allowed
    from benchmark.experiment.experiment import load_experiment

    names = [known.name for known in load_experiment(experiment).rows]
    if row not in names:
        raise UserError(f"{row}: no such row in {experiment}; {allowed(row, names)}")


def _sweep_command(
    made: Plan, run: Planned, seed: int | None, options: Mapping[str, object]
) -> str:
    """What makes the boxes of a run, and those of the rows that its row is made from."""
    from benchmark.experiment.source_rows import with_sources

    rows = with_sources(run.spec.row, {row.name: row.source_rows for row in made.experiment.rows})
    # What is made from others may need runs of theirs with other seeds.
    seeds = seed if len(rows) > 1 else run.spec.seed
    given = {"--rows": ",".join(rows), "--seeds": seeds, **options}
    words = [
        word for key, value in given.items() if value is not None for word in (key, str(value))
    ]
    return shlex.join(["detboard", "sweep", str(made.experiment.path), *words])


def _augmented(run: Planned, split: Split, trust: bool) -> Handed:
    """The boxes that the run's detector finds in the usual views of each image."""
    from benchmark.cli.finding import find_boxes
    from benchmark.comparison.detectors import named_detector
    from benchmark.run.given_boxes import target_of
    from benchmark.run.submission import Handed

    named = named_detector(str(run.folder.path), Path(), tta=True)
    target = target_of("test", split, run.spec.dataset)
    listed = run.spec.dataset.with_categories(split.read())
    return Handed(run, target, find_boxes(named, listed, split.images, trust))


SUFFIXES = {"csv": "csv", "coco": "json"}
