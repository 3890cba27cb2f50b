"""How Ray's processes find our package; as `remote.py` it is sent to them as it stands here."""

from __future__ import annotations

import importlib
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

_START = "detboard_start"


def find_package(start: str) -> None:
    """Has `benchmark` be the driver's package, where that lies at the same place here, else the installed one."""
    if _START in sys.modules:
        return
    spec = spec_from_file_location(_START, start) if Path(start).is_file() else None
    if spec is None or spec.loader is None:
        importlib.import_module(_START)
        return
    sys.modules[_START] = module = module_from_spec(spec)
    spec.loader.exec_module(module)
