"""Label Studio's COCO export: one file, ``result.json``, beside ``images/``.

A COCO file of any other name is read in the same way if it is the only one in the folder itself.
"""

from __future__ import annotations

import re
from pathlib import Path

from benchmark.data.importing.base import Format, Source
from benchmark.data.importing.coco_file import read_files
from benchmark.data.importing.data_root import own_files
from benchmark.data.importing.ledger import Ledger
from benchmark.data.layouts import NO_SPLIT, ROBOFLOW_FILE, LaidOut, listed

_BEGINNING = 1 << 20  # bytes: categories, which may stand first, can be many
_KEYS = re.compile(rb'"(images|annotations)"\s*:\s*\[')


def _files(root: Path) -> list[LaidOut]:
    """The one COCO file; nothing where there are several, which may be splits, for all that their names say."""
    if own_files(root):
        return []
    files = [
        path for path in listed(root, ".json") if path.name != ROBOFLOW_FILE and _is_coco(path)
    ]
    return [LaidOut(NO_SPLIT, path, (root / "images", root)) for path in files if len(files) == 1]


def _is_coco(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            start = file.read(_BEGINNING)
    except OSError:
        return False
    return start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") and bool(_KEYS.search(start))


def _recognise(root: Path) -> str:
    return ", ".join(str(file.annotations) for file in _files(root))


def _read(root: Path, ledger: Ledger) -> Source:
    return read_files(root, _files(root), ledger)


LABEL_STUDIO = Format(
    key="label-studio",
    title="Label Studio's COCO",
    sought="one COCO file in the folder itself, as result.json beside images/",
    recognise=_recognise,
    read=_read,
)
