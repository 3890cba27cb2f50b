"""``detboard predict``: the boxes that a run's detector finds in any images."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.app import Results, Trust, warn
from benchmark.errors import UserError, allowed, attempt, few, not_written

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
        str | None,
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
    from benchmark.comparison.detectors import named_detector
    from benchmark.data.places import images_at

    problems: list[str] = []
    named = attempt(problems, named_detector, name, results, experiment, tta)
    split = attempt(problems, images_at, images)
    known = attempt(problems, _format, form, output)
    if named is None or split is None or known is None:
        raise UserError(problems)
    warn(named.notes)
    wanted = _Wanted(named, split, _listed(split), trust)
    file = output or Path(f"{named.run_id}-{split.annotations.stem}.{_SUFFIXES[known]}")
    _check_places(file, pictures, split)
    typer.echo(f"run {named.run_id} finds boxes in {images}")
    found = wanted.boxes()
    if score_thr is not None:
        found = found.chosen(found.scores >= score_thr)
    _write(file, known, found, wanted.target)
    if known == "coco" and split.is_folder:
        typer.echo("its image ids count from 1, in the order of the images' names")
    if pictures is not None:
        _draw(pictures, wanted, found, score_thr)


_SUFFIXES = {"coco": "json", "csv": "csv"}


def _format(form: str | None, output: Path | None) -> str:
    """The format that is asked for, by its name or by that of the file."""
    from benchmark.data.boxes.read import FORMATS

    if form is None:
        return "csv" if output is not None and output.suffix.lower() == ".csv" else "coco"
    if form not in FORMATS:
        raise UserError(f"--format {form}: {allowed(form, FORMATS)}")
    return form


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
    listed = split.read()
    if listed.images.faults:
        raise UserError(
            f"{split.annotations}: images that cannot be looked at ({len(listed.images.faults)}): "
            f"{few(listed.images.faults)}; mend or remove them"
        )
    return listed


@dataclass(frozen=True)
class _Wanted:
    """Whose boxes of which images are wanted."""

    named: Named
    split: Split
    listed: Annotations
    trust: bool

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

    def boxes(self) -> Detections:
        """Finds them, and shows how far it is."""
        import tempfile

        from benchmark.cli.decoding import images_shown
        from benchmark.job.building import make_ready
        from benchmark.job.evaluating import Pictured, Place, predict_images
        from benchmark.job.on_disk import loading
        from benchmark.launchers.machine import cpu_count
        from benchmark.run.options import Resources

        resources = Resources((), cpu_count())
        pictured = Pictured(self.listed, self.split.images)
        with (
            images_shown("finding boxes", "done", "nothing was written") as told,
            _without_libraries_words(),
            tempfile.TemporaryDirectory(prefix="detboard-") as work,
        ):
            make_ready(resources)
            place = Place(Path(work), resources)
            with loading(self.trust):
                return predict_images(self.named.folder, pictured, place, self.named.views, told)


@contextmanager
def _without_libraries_words() -> Iterator[None]:
    """Shows nothing of what libraries print and warn of when they are loaded; errors are raised as ever."""
    with redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


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
