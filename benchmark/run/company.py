"""How many other runs have shared a run's device: ``company.json``, written by the driver and read by the job."""

from __future__ import annotations

from pathlib import Path

from benchmark.files import read_json, write_json


def note_company(path: Path, others: int) -> None:
    """Notes that so many others run on the same device now; the most there ever were is kept."""
    if others > (read_company(path) or 0):
        write_json(path, {"others": others})


def read_company(path: Path) -> int | None:
    """The most that there ever were; None if there were none, or nobody has said."""
    try:
        others = read_json(path)["others"]
        return others if isinstance(others, int) and others > 0 else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
