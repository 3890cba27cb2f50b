"""The leaderboard's plots for papers and READMEs, as PNG and SVG."""

from __future__ import annotations

from collections.abc import Iterator

from benchmark.leaderboard.outputs.base import File, Material, Output


def _files(material: Material) -> Iterator[File]:
    from benchmark.leaderboard.outputs.plots.plots import plots

    for plot in plots(material.leaderboard, material.curves[0]):
        yield from plot.files(material.runs.results)


PLOTS = Output(_files, needs_runs=True, many=True, told=True)
