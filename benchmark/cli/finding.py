"""Finds boxes in the process of a command, and shows how far it is."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from benchmark.errors import MachineError, UserError, few, printable

if TYPE_CHECKING:
    from benchmark.comparison.detectors import Named
    from benchmark.data.annotations import Annotations
    from benchmark.job.evaluating import Pictured
    from benchmark.statistics.evaluation import Detections


def find_boxes(named: Named, listed: Annotations, images: Path, trust: bool) -> Detections:
    """The boxes of a detector in images.

    Args:
        named: Whose detector, and the views that it sees.
        listed: The images.
        images: The folder that their names are relative to.
        trust: Whether checkpoints are loaded in full, with whatever code they hold.

    Raises:
        UserError: Its weights are not here or not trusted, its config is another or imports what is not here, the views
            do not go with it, or images cannot be decoded.
        typer.Exit: Ctrl-C, or nobody reads on.
    """
    from benchmark.cli.decoding import images_shown
    from benchmark.job.building import make_ready
    from benchmark.job.evaluating import Pictured, Place, predict_images
    from benchmark.job.on_disk import loading
    from benchmark.run.devices import cpu_count
    from benchmark.run.options import Resources
    from benchmark.temporary import held_folder

    resources = Resources((), cpu_count())
    pictured = Pictured(listed, images)
    with (
        _telling(named.folder.path, pictured),
        images_shown("finding boxes", "done", "nothing was written") as told,
        _without_libraries_words(),
        held_folder("detboard-predict-") as work,
    ):
        make_ready(resources)
        place = Place(work, resources)
        with loading(trust):
            return predict_images(named.folder, pictured, place, named.views, told)


@contextmanager
def _telling(run: Path, pictured: Pictured) -> Iterator[None]:
    """Where work on images fails, says what of the run is not as it was, or names images that cannot be decoded."""
    from benchmark.data.pictures import Decoding, look_at
    from benchmark.job.inputs import NotAsAsked

    try:
        yield
    except (UserError, MachineError, typer.Exit):
        raise
    except (NotAsAsked, ImportError) as error:
        raise UserError(f"{run}: {error}") from None
    except Exception as error:
        found = look_at(pictured.folder, "images", pictured.listed.images, Decoding())
        told = [line for lines in found.faults.values() for line in lines]
        if not told:
            raise
        what = f"images that cannot be decoded ({len(told)}): {printable(few(told))}"
        raise UserError(f"{pictured.folder}: {what}; mend or remove them") from error


@contextmanager
def _without_libraries_words() -> Iterator[None]:
    """Shows nothing of what libraries print and warn of when they are loaded; errors are raised as ever."""
    with redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
