"""``detboard predict``: the boxes that a run's detector finds in any images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.app import Results, Trust, warn
from benchmark.cli.submit import SUFFIXES, BoxFormat
from benchmark.errors import UserError, attempt, few, not_written, printable

if TYPE_CHECKING:
    from benchmark.comparison.detectors import Named
    from benchmark.data.annotations import Annotations
    from benchmark.data.boxes.base import Target
    from benchmark.data.splits import Split
    from benchmark.statistics.evaluation import Detections


def predict(
    name: Annotated[
        str,
        typer.Argument(metavar="RUN|ROW", help="A run's id or folder, or a row of a leaderboard."),
    ],
    images: Annotated[
        Path,
        typer.Argument(
            metavar="IMAGES", help="A folder of images, or a COCO file that lists some."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="The file of boxes; RUN-IMAGES.json."),
    ] = None,
    form: Annotated[
        BoxFormat | None,
        typer.Option("--format", help="coco or csv; by the name of the file unless given."),
    ] = None,
    pictures: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Draw the boxes from a score of 0.3 on the images."),
    ] = None,
    score_thr: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Leave boxes of lower scores out, of file and pictures."),
    ] = None,
    tta: Annotated[
        bool, typer.Option("--tta", help="Find boxes in several views of each image.")
    ] = False,
    results: Results = Path("results"),
    experiment: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Take the row from this experiment's leaderboard."),
    ] = None,
    trust: Trust = False,
) -> None:
    """Find boxes in any images with a finished run's detector; needs neither its data nor its experiment."""
    from benchmark.cli.finding import find_boxes
    from benchmark.comparison.detectors import named_detector
    from benchmark.data.boxes.kept import kept
    from benchmark.data.places import images_at

    problems: list[str] = []
    named = attempt(problems, named_detector, name, results, experiment, tta)
    split = attempt(problems, images_at, images)
    if named is None or split is None:
        raise UserError(problems)
    warn(named.notes)
    wanted = _Wanted(named, split, _listed(split))
    known = _format(form, output)
    file = output or Path(f"{named.run_id}-{split.annotations.stem}.{SUFFIXES[known]}")
    _check_places(file, pictures, split)
    typer.echo(f"run {named.run_id} finds boxes in {images}")
    found = kept(find_boxes(named, wanted.listed, split.images, trust), score_thr or 0.0)
    _write(file, known, found, wanted.target)
    if known == "coco" and split.is_folder:
        typer.echo("its image ids count from 1, in the order of the images' names")
    if pictures is not None:
        _draw(pictures, wanted, found, score_thr)


def _format(form: BoxFormat | None, output: Path | None) -> str:
    """The format that is asked for, or that the name of the file says."""
    if form is None:
        return "csv" if output is not None and output.suffix.lower() == ".csv" else "coco"
    return form.value


def _check_places(file: Path, pictures: Path | None, split: Split) -> None:
    """Refuses, before anything is done, what could not be written, or would be written over what is read."""
    from benchmark.data.boxes.pictures import check_folder

    problems: list[str] = []
    if not file.absolute().parent.is_dir():
        problems.append(f"{file}: its folder is not there")
    if file.resolve() == split.annotations.resolve() or file.is_dir():
        problems.append(f"{file}: that is what the images are: name another file")
    if pictures is not None:
        attempt(problems, check_folder, pictures, split.images)
    if problems:
        raise UserError(problems)


def _listed(split: Split) -> Annotations:
    from benchmark.data.absent import absent

    listed, problems = split.read(), list[str]()
    if faults := listed.images.faults:
        problems.append(f"images that cannot be looked at ({len(faults)}): {few(faults)}")
    if lost := absent(split.images, listed.images.files):
        problems.append(f"images that are not in {split.images} ({len(lost)}): {few(lost)}")
    if problems:
        raise UserError(f"{split.annotations}: {printable(problem)}" for problem in problems)
    return listed


@dataclass(frozen=True)
class _Wanted:
    """Whose boxes of which images are wanted."""

    named: Named
    split: Split
    listed: Annotations

    @property
    def target(self) -> Target:
        """The images, and the run's classes under the ids that the boxes have."""
        from benchmark.data.annotations import Category
        from benchmark.data.boxes.base import Target
        from benchmark.job.evaluating import category_ids

        spec = self.named.spec
        ids = category_ids(spec, self.listed)
        kinds = tuple(map(Category, ids, spec.dataset.classes))
        return Target.of("images", replace(self.listed, categories=kinds))


def _write(file: Path, form: str, found: Detections, target: Target) -> None:
    from benchmark.data.boxes.read import FORMATS
    from benchmark.files import write_text
    from benchmark.writing.words import counted

    try:
        write_text(file, FORMATS[form].text(found, target))
    except OSError as error:
        raise not_written(file, error) from None
    told = f"{counted(len(found), 'box', 'boxes')} in {counted(len(target.files), 'image')}"
    typer.echo(f"{told}: {file}")


def _draw(folder: Path, wanted: _Wanted, found: Detections, score_thr: float | None) -> None:
    from benchmark.data.boxes.pictures import LEAST_SCORE, write_pictures

    least = LEAST_SCORE if score_thr is None else score_thr
    drawn = found.chosen(found.scores >= least)
    warn(write_pictures(folder, wanted.split.images, drawn, wanted.target))
    typer.echo(f"pictures with boxes from a score of {least:g}: {folder}")
