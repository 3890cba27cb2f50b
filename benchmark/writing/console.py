"""rich's console, on which a stranger's text steers nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from benchmark.writing.plain_stream import bare, steerless


class PlainConsole(Console):
    """A console for standard output whose texts are `steerless`, while rich's own colours and live tables work.

    Args:
        width: Of its lines, in cells; the terminal's if None.
    """

    def __init__(self, width: int | None = None) -> None:
        super().__init__(file=bare(sys.stdout), width=width)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """See `rich.console.Console`."""
        for segment in super().render(renderable, options):
            text, style, control = segment
            yield segment if control else Segment(steerless(text), style)
