"""A training set with boxes that another row predicts: ``pseudo`` of a row."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from benchmark.yaml_file import Name, Strict

TEST = "test"
"""What stands in the place of a path for the images of the test split."""


class Pseudo(Strict):
    """Boxes of another row that a row learns from, beside the labels of the training split.

    Attributes:
        source: The row that predicts them (``from`` in the file).
        score: From which score on they are learnt.
        images: On which images: a folder, a COCO file that lists some, relative to the experiment file; or ``test``,
            those of the test split.
    """

    source: Name = Field(alias="from")
    score: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
    images: Annotated[str, Field(min_length=1, max_length=1000, pattern=r"^[^\x00-\x1f\x7f]+$")]
