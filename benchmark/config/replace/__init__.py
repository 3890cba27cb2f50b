"""Parts in the place of what stands there."""

from __future__ import annotations

from benchmark.config.replace.named import made_part
from benchmark.config.replace.place import Part, put_in_place, replace_parts

__all__ = ["Part", "made_part", "put_in_place", "replace_parts"]
