"""The leaderboard's plots for papers and READMEs, as PNG and SVG."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from benchmark.leaderboard.outputs.base import File, Material, Output

if TYPE_CHECKING:
    from benchmark.leaderboard.outputs.plots.plots import Plot


def _plots(material: Material) -> list[Plot]:
    from benchmark.leaderboard.outputs.plots.plots import plots

    return plots(material.leaderboard, material.curves[0])


def _begin(material: Material) -> None:
    """Has a process draw what will be written."""
    if material.aside is not None:
        wrong = [plot for plot in _plots(material) if not plot.is_right(material.runs.results)]
        material.aside.begin({plot.digest: plot.numbers for plot in wrong if not plot.missing})


def _files(material: Material) -> Iterator[File]:
    drawn = material.aside.pictures() if material.aside is not None else {}
    for plot in _plots(material):
        yield from plot.files(material.runs.results, drawn.get(plot.digest))


PLOTS = Output(_files, needs_runs=True, many=True, told=True, begin=_begin)
