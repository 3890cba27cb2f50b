"""The look that all plots share, and picture files that say which numbers they show."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 120
KINDS = ("png", "svg")
LONGEST_NAME = 34
_LONGEST_TITLE = 60

# Okabe and Ito's colours, which people who do not tell all colours apart can; without their yellow,
# which white paper swallows. What differs in colour differs in shape too.
BLUE, ORANGE, GREEN, VERMILLION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
SKY, PURPLE, BLACK, GREY = "#56B4E9", "#CC79A7", "#000000", "#767676"
PALETTE = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY, BLACK)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">")

_DIGEST = "detboard-digest"
_HEAD_BYTES = 8192  # matplotlib writes the metadata of a PNG or an SVG before the picture


def new_figure(width: float, height: float) -> Figure:
    """A figure of its own, in inches; pyplot, which keeps figures and may want a display, is not touched."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def style_axes(axes: Axes, grid: Literal["both", "x", "y"] = "y") -> None:
    """Takes away half the frame and lays a light grid behind the marks, along ``x``, ``y`` or ``both``."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis=grid, color="#E3E3E3", lw=0.8)
    axes.set_axisbelow(True)


def label_log_axis(axes: Axes) -> None:
    """Labels a logarithmic x axis at 1, 2 and 5 of each decade where it shows two decades or fewer, else at tens."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = axes.get_xlim()
    fine = math.log10(high / low) <= 2
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if fine else (1.0,)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def finish(figure: Figure, panels: Iterable[Axes], title: str, *below: str) -> None:
    """Gives a figure its title, and one legend below for all panels.

    Args:
        figure: The figure.
        panels: The axes whose legends are joined.
        title: Its middle is cut if it is long.
        below: Further lines of the title, which are shown whole; empty ones are left out.
    """
    lines = [escape(title, _LONGEST_TITLE), *(escape(line, 400) for line in below if line)]
    figure.suptitle("\n".join(lines), x=0.01, ha="left", fontsize=13 if len(lines) == 1 else 11)
    known: dict[str, Artist] = {}
    for axes in panels:
        handles, labels = axes.get_legend_handles_labels()
        known.update(zip(labels, handles, strict=True))
    if known:
        figure.legend(
            list(known.values()), list(known), loc="outside lower center", ncols=6, frameon=False
        )


def lay_out(figure: Figure) -> None:
    """Places everything once and for all: a figure that is saved twice need not be laid out for each."""
    from matplotlib import rc_context

    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
    # Not "none", which leaves an engine that does nothing: for any engine each saving draws all twice.
    with rc_context({"figure.autolayout": False, "figure.constrained_layout.use": False}):
        figure.set_layout_engine(None)


def escape(text: str, longest: int = LONGEST_NAME) -> str:
    """Text that matplotlib shows as it is: printable, no formulas, and its middle cut where it is long."""
    line = "".join(letter for letter in text if letter.isprintable())
    if len(line) > longest:
        line = f"{line[: longest // 3]}…{line[len(line) - (longest - longest // 3 - 1) :]}"
    return line.replace("$", r"\$")


def pictures(figure: Figure, digest: str) -> dict[str, bytes]:
    """The files of a figure by their kind, of `KINDS`, with the digest of what it shows for `digest_in`."""
    lay_out(figure)
    written = {kind: BytesIO() for kind in KINDS}
    for kind, file in written.items():
        save(figure, file, kind, digest_metadata(digest, kind))
    return {kind: file.getvalue() for kind, file in written.items()}


def save(
    figure: Figure, file: Path | IO[bytes], kind: str = "png", metadata: object = None
) -> None:
    """Writes a figure; the same figure gives the same bytes.

    Args:
        figure: The figure.
        file: Where to; its name does not matter.
        kind: One of `KINDS`.
        metadata: Passed on to matplotlib.
    """
    import warnings

    import matplotlib

    with warnings.catch_warnings(), matplotlib.rc_context({"svg.hashsalt": "detboard"}):
        warnings.simplefilter("ignore")  # a letter that the font does not have is a box
        figure.savefig(file, format=kind, dpi=DPI, metadata=metadata)


def digest_metadata(digest: str, kind: str) -> dict[str, str | None]:
    """What `save` writes into a file, so that `digest_in` finds the digest; without date and versions."""
    if kind == "png":
        return {"Software": None, _DIGEST: digest}
    return {"Date": None, "Creator": "detboard", "Identifier": f"{_DIGEST}:{digest}"}


def digest_in(path: Path) -> str | None:
    """The digest that a PNG or SVG file carries; None without a file, or if it carries none."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        return None
    # A PNG's text chunk has a zero byte between key and value.
    found = re.search(_DIGEST.encode() + rb"[\0:]([0-9a-f]{64})", head)
    return found.group(1).decode() if found else None
