"""What others say of a row: the value it was published with, and what a leaderboard gave its submission."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, model_validator
from pydantic.functional_validators import ModelWrapValidatorHandler

from benchmark.experiment.rows.keys import details
from benchmark.yaml_file import Strict


def _no_percent(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("must be a number")
    percent = _percent(value)
    if percent is not None:
        raise ValueError(f"must be a fraction in 0..1: {percent:g} % is {percent / 100:.10g}")
    return value


def _percent(value: Any) -> float | None:
    """What is written as a percent, with its sign or without; None of anything else."""
    signed = isinstance(value, str) and value.strip().endswith("%")
    with suppress(TypeError, ValueError):
        number = float(value.strip().removesuffix("%") if isinstance(value, str) else value)
        if 1 < number <= 100 or (signed and 0 <= number <= 1):
            return number
    return None


Fraction = Annotated[float, BeforeValidator(_no_percent), Field(ge=0, le=1, allow_inf_nan=False)]
"""A score in 0..1; a percent is refused with the fraction that it is."""

Judge = Literal["val", "test"]
"""A split that rows are evaluated on, and may be ranked by."""


class Published(Strict):
    """A value that a row was published with; in the file a number alone is one on the validation split.

    Attributes:
        value: mAP50, a fraction in 0..1.
        split: What it was measured on.
        source: Where it stands: an address, or the name of a paper; None if the experiment does not say.
    """

    value: Fraction
    split: Judge = "val"
    source: Annotated[str, Field(min_length=1, max_length=2000)] | None = None

    @model_validator(mode="wrap")
    @classmethod
    def _a_number_is_the_value(
        cls, content: object, validate: ModelWrapValidatorHandler[Published]
    ) -> Published:
        if isinstance(content, dict | Published):
            return validate(content)
        try:
            return validate({"value": content})
        except ValidationError as error:  # of the number, which has no key of its own
            told = details(error)
            for problem in told:
                problem["loc"] = ()
            raise ValidationError.from_exception_data(cls.__name__, told) from None


class HiddenScores(Strict):
    """What a leaderboard gave the boxes of a row that were handed in, by its own measure; fractions in 0..1.

    Attributes:
        public: On the part of its hidden images that it scores at once; None if not known.
        private: On the part that it scores in the end; None if not known.
    """

    public: Fraction | None = None
    private: Fraction | None = None

    @model_validator(mode="after")
    def _one_at_least(self) -> HiddenScores:
        if self.public is None and self.private is None:
            raise ValueError("give 'public', 'private' or both")
        return self
