"""Names of backbones that are no files: models of timm and of mmpretrain, and those of mmdet's configs."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Annotated

from pydantic import Field

from benchmark.errors import attempt
from benchmark.experiment.rows.zoo import of_mmdet
from benchmark.validation import MODEL_PATTERN

TIMM, MMPRETRAIN, MMDET = "timm/", "mmpretrain/", "mmdet::"

MODELS_BY_NAME = f"{TIMM}NAME, {MMPRETRAIN}CLASS:ARCHITECTURE, {MMDET}FAMILY/FILE.py"
"""How such names are written, for messages."""

BackboneName = Annotated[str, Field(pattern=MODEL_PATTERN, max_length=200)]
"""The name of a backbone's part, or of a model that one is made of."""


def is_made(name: str) -> bool:
    """Whether a part of this name is no file, but is made of a model."""
    return name.startswith((TIMM, MMPRETRAIN, MMDET))


def cannot_be_made(kind: str, name: str) -> str | None:
    """What is wrong with such a name, as far as it can be told without asking the model; None if nothing is.

    Args:
        kind: ``backbone``, ``neck``, ``head`` or ``schedule``.
        name: Of which `is_made` holds.
    """
    if kind != "backbone":
        return (
            f"'{name}': only a backbone is taken out of another model; for its {kind} make that config the row's own "
            "('config: ...'), and replace what is to be another"
        )
    if name.startswith(TIMM):
        missing = find_spec("timm") is None
        return f"'{name}': timm is not installed: pip install 'detboard[timm]'" if missing else None
    if name.startswith(MMPRETRAIN):
        kind_of, _, arch = name.removeprefix(MMPRETRAIN).partition(":")
        example = "write its class and architecture: mmpretrain/ConvNeXt:tiny, mmpretrain/ResNet:50"
        return None if kind_of and arch else f"'{name}': {example}"
    wrong: list[str] = []
    attempt(wrong, of_mmdet, name.removeprefix(MMDET))
    return f"'{name}': {wrong[0]}" if wrong else None
