"""Rows whose boxes are other rows' boxes, fused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from benchmark.experiment.rows.base import Layer, Recipe, Surroundings
from benchmark.yaml_file import Name, Strict, exponents

Method = Literal["wbf", "nms", "soft_nms"]
Calibration = Literal["minmax", "isotonic"]

IOU = 0.55
"""Default of mmdet, and of the paper on weighted boxes fusion (Solovyev, Wang, Gabruseva 2021, arXiv:1910.13302)."""

_WORDS: Mapping[Method, str] = {"wbf": "WBF", "nms": "NMS", "soft_nms": "Soft-NMS"}

_Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Fusion(Strict):
    """How which rows' boxes are fused; see `benchmark.job.made.fusing`.

    Attributes:
        rows: Names of the source rows.
        method: ``wbf`` averages boxes that overlap, ``nms`` keeps the best of them, ``soft_nms`` lowers the others'
            scores.
        weights: One a row; 1 each where none are given. A row of weight 0 takes no part.
        iou: Overlap above which two boxes of a class are of one object.
        skip: Boxes of a lower score, after calibration, are left out.
        calibrate: Brings each row's scores onto one scale before; as they are if None.
        seeds: ``each``: a run for each seed that all source rows have, from their runs of that seed; ``all``: one run
            from their runs of all seeds, each with its row's weight.
    """

    rows: list[Name] = Field(min_length=2)
    method: Method = "wbf"
    weights: list[_Weight]
    iou: Annotated[float, Field(gt=0, lt=1)] = IOU
    skip: Annotated[float, Field(ge=0, lt=1)] = 0.0
    calibrate: Calibration | None = None
    seeds: Literal["each", "all"] = "each"

    @model_validator(mode="before")
    @classmethod
    def _weights_of_1(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        rows = value.get("rows")
        ones = [1.0] * len(rows) if isinstance(rows, list) else []
        given = {key: item for key, item in value.items() if item is not None}
        return {"weights": ones, **{key: exponents(item) for key, item in given.items()}}

    @field_validator("rows")
    @classmethod
    def _each_once(cls, rows: list[str]) -> list[str]:
        twice = [name for name, times in Counter(rows).items() if times > 1]
        if twice:
            raise ValueError(
                f"{', '.join(twice)}: named twice; give a row that counts more a larger weight"
            )
        return rows

    @field_validator("weights")
    @classmethod
    def _one_a_row(cls, weights: list[float], info: ValidationInfo) -> list[float]:
        rows = info.data.get("rows")
        if rows is not None and len(weights) != len(rows):
            raise ValueError(
                f"one weight a row: {len(rows)} rows ({', '.join(rows)}), {len(weights)} weights"
            )
        if weights and not any(weights):
            raise ValueError("all are 0: no row would take part")
        return weights


class FuseRecipe(Recipe):
    """The boxes of other rows, fused image by image and class by class."""

    is_tuned = True

    fuse: Fusion

    @property
    def names(self) -> Mapping[str, str]:
        """The method, and the source rows."""
        sources = {f"row {number}": name for number, name in enumerate(self.fuse.rows, 1)}
        return {"fuse": self.fuse.method, **sources}

    @property
    def labels(self) -> Mapping[str, str]:
        """How it came about: ``WBF: a + b + c``."""
        return {"Learning Method": f"{_WORDS[self.fuse.method]}: {' + '.join(self.fuse.rows)}"}

    @property
    def source_rows(self) -> tuple[str, ...]:
        """The rows whose boxes are fused."""
        return tuple(self.fuse.rows)

    @property
    def over_seeds(self) -> bool:
        """See `Recipe`."""
        return self.fuse.seeds == "all"

    @property
    def over_folds(self) -> bool:
        """See `Recipe`: the boxes of a fold are calibrated by those of the others."""
        return self.fuse.calibrate is not None

    @property
    def needs_val(self) -> bool:
        """See `Recipe`: scores are calibrated by them."""
        return self.fuse.calibrate is not None

    def seeds(self, own: Sequence[int], asked: Sequence[int] | None) -> tuple[int, ...]:
        """See `Recipe`: over all seeds there is one run, which bears the experiment's first."""
        return (own[0],) if self.over_seeds else tuple(asked or own)

    def making(self, around: Surroundings) -> Mapping[str, object]:
        """All but the names of the rows: the runs that it is made from count by their own ids."""
        return {"fuse": self.fuse.model_dump(mode="json", exclude={"rows"})}

    def layers(self, around: Surroundings) -> Sequence[Layer]:
        """None: nothing is trained, and there is no model."""
        return ()
