"""The leaderboard as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Iterator

from benchmark.leaderboard.outputs.base import File, Material, Output
from benchmark.leaderboard.outputs.page.page_file import PageFile


def _files(material: Material) -> Iterator[File]:
    def make() -> str:
        from benchmark.leaderboard.outputs.page.payload import payload
        from benchmark.leaderboard.outputs.page.render import render

        return render(payload(material))

    yield PageFile(material.path(".html"), make)


PAGE = Output(_files, needs_runs=True, told=True)
