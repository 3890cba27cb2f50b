"""A training whose batches find no memory: ``accumulation.json`` says that they go through the model in parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

from pydantic import Field

from benchmark.files import write_json
from benchmark.run.fields import Checked, Count, Flag

_Images = Annotated[Count, Field(ge=1)]


@dataclass(frozen=True)
class Begun:
    """From where on a training went with parts of a size.

    Attributes:
        iteration: Iterations that were done then.
        images: The most that go through the model at once from there on.
    """

    iteration: Count
    images: _Images


@dataclass(frozen=True)
class Accumulation:
    """Batches that went through the model in parts; the gradients of all are summed up before the weights change.

    Attributes:
        batch: Images of a batch, as asked.
        images: The most that go through the model at once.
        begun: Where in the training that began, and where with other sizes before; nothing before it has begun.
        batch_norm: Whether layers of batch norm took their statistics over parts.
    """

    batch: _Images
    images: _Images
    begun: tuple[Begun, ...] = ()
    batch_norm: Flag = False

    @property
    def halved(self) -> Accumulation:
        """With half as many images at once, and no fewer than one."""
        return replace(self, images=-(-self.images // 2))

    def begin(self, iteration: int, batch_norm: bool) -> Accumulation:
        """That a training goes on with it after so many iterations; what was trained beyond is trained again."""
        before = tuple(one for one in self.begun if one.iteration < iteration)
        if not before or before[-1].images != self.images:
            before += (Begun(iteration, self.images),)
        return replace(self, begun=before, batch_norm=batch_norm)

    def words(self) -> str:
        """What a reader of its numbers is to know, a sentence."""
        parts = ", then ".join(f"{_at_once(one)}" for one in self.begun)
        norms = "; its batch norm saw the parts, not the batch" if self.batch_norm else ""
        return (
            f"for want of memory its batches of {self.batch} images went through the model in parts of at most "
            f"{parts}; the weights changed once a batch; losses were normalised in each part{norms}"
        )


def _at_once(one: Begun) -> str:
    return f"{one.images} from iteration {one.iteration} on" if one.iteration else f"{one.images}"


def told(those: Sequence[tuple[str, Accumulation | None]]) -> tuple[str, ...]:
    """A sentence for each way in which runs of a row were trained in parts.

    Args:
        those: Which run it is, in words, and how it was trained; all runs of the row.
    """
    sentences: dict[str, list[str]] = {}
    for which, one in those:
        if one is not None:
            sentences.setdefault(one.words(), []).append(which)
    return tuple(f"{', '.join(which)}: {words}" for words, which in sentences.items())


def write_accumulation(path: Path, accumulation: Accumulation) -> None:
    """Keeps it for the run's next job, and for the record."""
    write_json(path, asdict(accumulation))


def read_accumulation(path: Path) -> Accumulation | None:
    """What was kept; None where batches go through the model whole, or where it cannot be read."""
    return _ACCUMULATION.read(path)


_ACCUMULATION = Checked(Accumulation)
