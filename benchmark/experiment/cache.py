"""``cache:`` of an experiment, and ``--cache``: where decoded images are kept for the epochs and runs to come."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from benchmark.yaml_file import Strict

_TEXT = re.compile(r"(off|ram|disk)(?::([0-9]*\.?[0-9]+))?")
HOW = "write ram, disk or off; 'ram:20' and 'disk:20' keep 20 GiB at most, off takes no limit"


class ImageCache(Strict):
    """Where decoded images are kept. It changes how fast images are loaded, and none of their pixels.

    In the file, and on the command line, it is one word, with the limit behind a colon.

    Attributes:
        kind: ``ram`` keeps them in memory while a sweep lasts, ``disk`` for sweeps to come, too; ``off`` nowhere.
        gib: How many GiB are kept at most; None for a share of what is free, see `benchmark.job.decoded`.
    """

    kind: Literal["off", "ram", "disk"] = "off"
    gib: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _of_a_word(cls, content: Any) -> Any:
        if content is False:  # YAML 1.1 reads a bare off as false
            return {}
        if isinstance(content, dict):
            return {**content, "kind": "off"} if content.get("kind") is False else content
        if isinstance(content, ImageCache):
            return content
        found = _TEXT.fullmatch(content) if isinstance(content, str) else None
        if found is None or (found[2] and not float(found[2])):
            raise ValueError(HOW)
        return {"kind": found[1], "gib": float(found[2]) if found[2] else None}

    @model_validator(mode="after")
    def _off_is_off(self) -> ImageCache:
        if self.kind == "off" and self.gib is not None:
            raise ValueError(HOW)
        return self

    def __str__(self) -> str:
        """The word that it is written as."""
        return self.kind if self.gib is None else f"{self.kind}:{self.gib:g}"
