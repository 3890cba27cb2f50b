"""Which validation the numbers of a leaderboard are those of, in words and for JSON."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import SerializerFunctionWrapHandler, model_serializer

from benchmark.run.record import RunRecord, State
from benchmark.writing.words import fraction
from benchmark.yaml_file import Strict

if TYPE_CHECKING:
    from benchmark.leaderboard.document import Line

_TOO_HIGH = (
    "every number is of its run's best validation by mAP50, chosen on the very images that it is "
    "reported on: too high"
)
_BUT_ON_TEST = "; those of the test split are not, on which nothing was chosen"


class Told(Strict):
    """Fields that have nothing to say are left out of JSON: files from before there were any stay as they were.

    Those in ``silent`` are left out where they are empty, those in ``unsaid`` where they are None.
    """

    silent: ClassVar[tuple[str, ...]] = ()
    unsaid: ClassVar[tuple[str, ...]] = ()

    @model_serializer(mode="wrap")
    def _told(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        told: dict[str, Any] = dump(self)
        left_out = {key for key in self.silent if not told[key]}
        left_out |= {key for key in self.unsaid if told[key] is None}
        return {key: value for key, value in told.items() if key not in left_out}


class RunValidations(Strict):
    """The validations of a complete run, see `benchmark.run.record.Validations`.

    Attributes:
        select: ``last`` or ``best``.
        count: How many there were.
        iter: Training iterations done at the one whose numbers are shown.
        epoch: Epochs done at that one.
        best_iter: Training iterations done at the one with the best mAP50.
        best_epoch: Epochs done at that one.
        best_map50: Its mAP50, a fraction in 0..1.
        words: What a reader of the shown number must know of them; empty if nothing.
    """

    select: Literal["last", "best"]
    count: int
    iter: int
    epoch: float
    best_iter: int | None
    best_epoch: float | None
    best_map50: float | None
    words: str


def validations_in(record: RunRecord) -> RunValidations | None:
    """What a record says of a complete run's validations; None of other runs, and where it does not say."""
    said = record.validations
    if said is None or record.state is not State.COMPLETE:
        return None
    return RunValidations(
        select=said.select,
        count=said.count,
        iter=said.iter,
        epoch=said.epoch,
        best_iter=said.best_iter,
        best_epoch=said.best_epoch,
        best_map50=said.best_mAP50,
        words=_words(record),
    )


def _words(record: RunRecord) -> str:
    said, shown = record.validations, record.score("mAP50")
    if said is None or said.best_mAP50 is None or said.best_iter is None or said.count < 2:
        return ""
    at = _at(said.best_epoch, said.best_iter)
    if said.select == "best":
        return f"the table shows the best of {said.count} validations, at {at}"
    if said.best_iter == said.iter or said.best_mAP50 <= (shown or 0.0):
        return ""
    best = fraction(said.best_mAP50)
    return f"best of {said.count} validations: {best} at {at}; the table shows the last"


def _at(epoch: float | None, iteration: int) -> str:
    return f"epoch {epoch:.0f}" if epoch and epoch == int(epoch) else f"iteration {iteration}"


def selection_of(records: Iterable[RunRecord], on_test: bool = False) -> str:
    """What the choice of validations does to the numbers of these complete runs; empty if nothing was chosen.

    Args:
        records: The records of the runs.
        on_test: Whether there are numbers of a test split beside them.
    """
    said = (record.validations for record in records)
    if not any(found and found.select == "best" for found in said):
        return ""
    return f"{_TOO_HIGH}{_BUT_ON_TEST}" if on_test else _TOO_HIGH


def earlier_better(lines: Iterable[Line]) -> list[str]:
    """A sentence for every run that was better at an earlier validation than at the last, which is shown."""
    return [
        f"{line.row}, {run.which}: {run.validations.words}"
        for line in lines
        for run in line.runs
        if run.validations and run.validations.select == "last" and run.validations.words
    ]


def counted(sentences: list[str]) -> str:
    """How many of them there are, in a sentence; empty if there is none."""
    if not sentences:
        return ""
    runs = "1 run was" if len(sentences) == 1 else f"{len(sentences)} runs were"
    return f"{runs} better at an earlier validation than at the last, which the table shows"
