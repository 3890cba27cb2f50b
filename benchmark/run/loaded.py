"""What of a checkpoint a training has started from: ``loaded.json`` of a run, and a part of its record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmark.files import write_json
from benchmark.run.fields import Checked, Count


@dataclass(frozen=True)
class Loaded:
    """The weights of ``load_from``, as far as they fit the model.

    Attributes:
        file: What the config names, without passwords.
        used: How many of its tensors the model has.
        unused: The keys in it that were not used, and why: ``not in the model``, or both shapes.
        fresh: The keys of the model that it does not have, in this shape: they start as without it.
    """

    file: str
    used: Count
    unused: Mapping[str, str]
    fresh: Sequence[str]


def write_loaded(path: Path, loaded: Loaded) -> None:
    """Keeps it for the record, which another attempt may write: one that goes on loads nothing of the kind."""
    write_json(path, asdict(loaded))


def read_loaded(path: Path) -> Loaded | None:
    """What was kept; None where nothing was loaded, or where it cannot be read."""
    return _LOADED.read(path)


_LOADED = Checked(Loaded)
