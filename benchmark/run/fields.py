"""What the fields of a run's JSON files may hold, and the words for what does not fit: the one rule for all of them."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Annotated, Generic, TypeVar

from pydantic import AllowInfNan, Field, TypeAdapter, ValidationError
from pydantic import Strict as Exact

from benchmark.errors import shown
from benchmark.files import read_json
from benchmark.validation import TIME_PATTERN, objection

# Nothing is taken for a number that is not written as one; other programs' integers end at 2^63.
Whole = Annotated[int, Exact(), Field(ge=-(2**63), lt=2**63)]
Count = Annotated[int, Exact(), Field(ge=0, lt=2**63)]
Number = Annotated[float, Exact(), AllowInfNan(False)]
Positive = Annotated[float, Exact(), AllowInfNan(False), Field(ge=0)]
Seconds = Annotated[float, Exact(), AllowInfNan(False), Field(ge=0, le=1e11)]  # 3,000 years
Fraction = Annotated[float, Exact(), AllowInfNan(False), Field(ge=-1e-6, le=1 + 1e-6)]  # rounding
Flag = Annotated[bool, Exact()]
Time = Annotated[str, Field(pattern=TIME_PATTERN)]

_Kind = TypeVar("_Kind")


class Checked(Generic[_Kind]):
    """Makes a dataclass or a typed dictionary of plain values.

    It takes the fields that this version knows: a later one may have written more.
    """

    def __init__(self, kind: type[_Kind]) -> None:
        self._kind = kind

    @cached_property  # made when the first is read: it takes a tenth of a second
    def _adapter(self) -> TypeAdapter[_Kind]:
        return TypeAdapter(self._kind)

    def __call__(self, value: object) -> _Kind:
        """The values as they are declared.

        Raises:
            ValueError: Naming the first field that does not fit, and how many others there are.
        """
        try:
            return self._adapter.validate_python(value)
        except ValidationError as error:
            raise ValueError(_words(error)) from None

    def read(self, path: Path) -> _Kind | None:
        """What a JSON file holds; None where there is none, or where it holds something else."""
        try:
            return self(read_json(path))
        except (OSError, ValueError):
            return None


def _words(error: ValidationError) -> str:
    first, *others = error.errors(include_url=False)
    where = ".".join(map(str, first["loc"])).replace("metrics.scores.", "metrics.") or "the whole"
    value = f", got {shown(first['input'])}" if first["type"] != "missing" else ""
    more = f"; and {len(others)} more" if others else ""
    return f"{where}: {objection(first)}{value}{more}"
