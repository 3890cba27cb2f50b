"""The pictures of a leaderboard: the numbers that each is drawn from, and how it is drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from benchmark.writing.drawing import (
    BLUE,
    GREY,
    MARKERS,
    ORANGE,
    PALETTE,
    VERMILLION,
    escape,
    finish,
    label_log_axis,
    lay_out,
    new_figure,
    style_axes,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.text import Text

_MOST_NAMED = 25  # of more rows only the front and the best few are named
_NAMED_OF_MORE = 15
# Rounds of moving labels apart: adjustText's own limit is a time, which no two runs share.
_LABEL_ROUNDS = 300
_LOG_FROM = 8.0  # a ratio of costs beyond which a linear axis crowds the cheap rows
_MOST_IN_ONE = 10  # curves that can be told apart in one panel
_COLUMNS = 5
_SHORTENED = 24


@dataclass(frozen=True)
class Frame:
    """What every plot says around its marks.

    Attributes:
        title: Heading.
        caveat: What a reader must know before comparing; empty under the full schedule.
        note: What is left out; empty if nothing is.
        quality: What the axis of mAP50 is called.
    """

    title: str
    caveat: str
    note: str
    quality: str


@dataclass(frozen=True)
class Point:
    """A row in the plane of cost and mAP50 (a fraction).

    Attributes:
        row: Its name.
        x: Cost.
        y: mAP50.
        low: Lower end of its interval.
        high: Upper end.
        front: Whether it is on the front.
        joined: Whether the front goes on to it from the row before: they are separated in mAP50.
        up_to: How far single values of the cost spread upwards.
    """

    row: str
    x: float
    y: float
    low: float | None
    high: float | None
    front: bool
    joined: bool = False
    up_to: float | None = None


@dataclass(frozen=True)
class Pareto:
    """Rows by cost and mAP50, cheapest first; ``x_label`` says what the cost is, in which unit."""

    frame: Frame
    x_label: str
    points: tuple[Point, ...]

    def draw(self) -> Figure:
        """Draws the rows, their intervals and the front, and names as many rows as there is room for."""
        figure = new_figure(10, 6.2)
        axes = figure.subplots()
        style_axes(axes, grid="both")
        known = [(p.x, p.low, p.high) for p in self.points if p.low is not None]
        if known:
            axes.vlines(*zip(*known, strict=True), color="#B0B0B0", lw=1.4, zorder=1)
        spread = [(p.y, p.x, p.up_to) for p in self.points if p.up_to is not None]
        if spread:
            axes.hlines(*zip(*spread, strict=True), color="#B0B0B0", lw=1.4, zorder=1)
        self._front(axes)
        self._scatter(axes)
        axes.margins(0.09)
        axes.set(xlabel=escape(self.x_label, 90), ylabel=escape(self.frame.quality))
        if self.points[-1].x > _LOG_FROM * self.points[0].x > 0:
            axes.set_xscale("log")
            label_log_axis(axes)
        _finish(figure, [axes], self.frame)
        _name(figure, axes, self.points)
        return figure

    def _front(self, axes: Axes) -> None:
        front = [point for point in self.points if point.front]
        for before, point in pairwise(front):
            if point.joined:
                x, y = (before.x, point.x), (before.y, point.y)
                axes.step(x, y, where="post", color=ORANGE, lw=1.6, zorder=2)

    def _scatter(self, axes: Axes) -> None:
        kinds = ((True, "Pareto front", "D", ORANGE), (False, "other rows", "o", BLUE))
        for front, label, marker, color in kinds:
            shown = [point for point in self.points if point.front is front]
            x, y = [point.x for point in shown], [point.y for point in shown]
            if shown:
                axes.scatter(
                    x, y, s=52, marker=marker, c=color, ec="white", lw=0.6, zorder=3, label=label
                )


def _name(figure: Figure, axes: Axes, points: Sequence[Point]) -> None:
    """Writes rows' names beside their points, the front's and the best rows' first, none over another."""
    from adjustText import adjust_text
    from matplotlib.collections import LineCollection

    few = len(points) <= _MOST_NAMED
    order = sorted(points, key=lambda point: (not point.front, -point.y))
    named = order if few else order[:_NAMED_OF_MORE]
    texts = [_text(axes, point) for point in named]
    lay_out(figure)
    # Among many points a name can only keep clear of those that have one.
    kept_free = [(p.x, y) for p in named for y in (_heights(p) if few else [p.y])]
    _, lines = adjust_text(
        texts,
        x=[x for x, _ in kept_free],
        y=[y for _, y in kept_free],
        ax=axes,
        iter_lim=_LABEL_ROUNDS,
        expand=(1.08, 1.35),
        force_text=(0.2, 0.4),
        arrowprops={"arrowstyle": "-"},
    )
    ends = {line.patchA: _ends(line) for line in lines}
    for line in lines:
        line.remove()
    kept = _drop_overlapping(texts)
    drawn = [ends[text] for text in kept if text in ends]
    axes.add_collection(LineCollection(drawn, colors=GREY, lw=0.7, zorder=1), autolim=False)


def _text(axes: Axes, point: Point) -> Text:
    from matplotlib.patheffects import withStroke

    halo = [withStroke(linewidth=2.5, foreground="white")]
    name = escape(point.row, 30)
    text = axes.text(point.x, point.y, name, fontsize=9, zorder=4, path_effects=halo)
    text.set_in_layout(False)  # a name that grows the margins would move the points
    return text


def _heights(point: Point) -> list[float]:
    """Where a point's mark and interval lie, closely enough that no name fits between."""
    if point.low is None or point.high is None:
        return [point.y]
    return [point.y, *(point.low + (point.high - point.low) * part / 4 for part in range(5))]


def _ends(line: FancyArrowPatch) -> Any:
    """Where the straight line from a name's edge to its point begins and ends, in the axes' data."""
    # An arrow looks for the name's edge in each drawing again, which takes longer than all the rest.
    corners: Any = line.get_path().vertices
    return corners[[0, -1]]


def _drop_overlapping(texts: Sequence[Text]) -> list[Text]:
    """Removes each name that lies over one before it; those that are left."""
    kept: dict[Text, Any] = {}
    for text in texts:
        box = text.get_window_extent().padded(1)
        if any(box.overlaps(other) for other in kept.values()):
            text.remove()
        else:
            kept[text] = box
    return list(kept)


@dataclass(frozen=True)
class Bar:
    """A row of the forest plot; fractions in 0..1, None where there is none."""

    row: str
    value: float
    low: float | None
    high: float | None
    published: float | None
    rank: str


@dataclass(frozen=True)
class Forest:
    """Rows by mAP50, best first, with intervals of a level (a fraction)."""

    frame: Frame
    level: float
    bars: tuple[Bar, ...]

    def draw(self) -> Figure:
        """Draws a line a row: interval, value, published value, and the rank at the right."""
        figure = new_figure(9.5, 1.9 + 0.34 * len(self.bars))
        axes = figure.subplots()
        style_axes(axes, grid="x")
        self._marks(axes)
        axes.set_yticks(range(len(self.bars)), [escape(bar.row) for bar in self.bars])
        axes.set_ylim(len(self.bars) - 0.4, -0.6)
        axes.margins(x=0.04)
        axes.set_xlabel(escape(self.frame.quality))
        self._ranks(axes)
        _finish(figure, [axes], self.frame)
        return figure

    def _marks(self, axes: Axes) -> None:
        known = [(at, bar.low, bar.high) for at, bar in enumerate(self.bars) if bar.low is not None]
        if known:
            label = f"{100 * self.level:g} % interval"
            axes.hlines(*zip(*known, strict=True), color=BLUE, lw=2.4, alpha=0.55, label=label)
        values = [bar.value for bar in self.bars]
        axes.scatter(values, range(len(values)), s=44, c=BLUE, zorder=3, label="measured")
        published = [
            (bar.published, at) for at, bar in enumerate(self.bars) if bar.published is not None
        ]
        if published:
            x, y = zip(*published, strict=True)
            axes.scatter(
                x,
                y,
                s=64,
                marker="D",
                fc="none",
                ec=VERMILLION,
                lw=1.6,
                zorder=4,
                label="published",
            )

    def _ranks(self, axes: Axes) -> None:
        columns = [(12, "mAP50", [f"{bar.value:.4f}" for bar in self.bars])]
        if any(bar.rank for bar in self.bars):
            columns.append((70, "rank", [escape(bar.rank) for bar in self.bars]))
        places = axes.get_yaxis_transform()
        for x_pt, heading, cells in columns:
            axes.annotate(
                heading, (1, 1), (x_pt, 4), "axes fraction", "offset points", weight="bold"
            )
            for at, cell in enumerate(cells):
                axes.annotate(cell, (1, at), (x_pt, 0), places, "offset points", va="center")


@dataclass(frozen=True)
class Curve:
    """A row's mAP50 over the epochs at which each of its complete seeds was validated.

    ``mean``, ``low`` and ``high`` (the seeds' least and greatest) are fractions, one for each epoch.
    """

    row: str
    seeds: int
    epochs: tuple[float, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True)
class Training:
    """The curves of rows, best row first."""

    frame: Frame
    curves: tuple[Curve, ...]

    def draw(self) -> Figure:
        """Draws up to ten rows in one panel, more in a panel each."""
        return self._together() if len(self.curves) <= _MOST_IN_ONE else self._apart()

    def _together(self) -> Figure:
        figure = new_figure(10.5, 5.6)
        axes = figure.subplots()
        style_axes(axes)
        for position, curve in enumerate(self.curves):
            color = PALETTE[position % len(PALETTE)]
            _line(axes, curve, color, MARKERS[position % len(MARKERS)])
        axes.set(xlabel="epoch", ylabel=escape(self.frame.quality))
        axes.set_ylim(bottom=0)
        _finish(figure, [], self.frame, self._seeds)
        figure.legend(loc="outside right upper", frameon=False, title="best row first")
        return figure

    def _apart(self) -> Figure:
        rows = math.ceil(len(self.curves) / _COLUMNS)
        figure = new_figure(2.4 * _COLUMNS, 1.75 * rows + 1.0)
        grid = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
        for position, (curve, axes) in enumerate(zip(self.curves, grid, strict=False)):
            self._panel(axes, curve)
            axes.tick_params(
                labelleft=position % _COLUMNS == 0,
                labelbottom=position >= len(self.curves) - _COLUMNS,
            )
        for axes in grid[len(self.curves) :]:
            axes.remove()
        figure.supylabel(escape(self.frame.quality), fontsize=10)
        figure.supxlabel("epoch; dashed: the best row", fontsize=10)
        _finish(figure, [], self.frame, self._seeds)
        return figure

    def _panel(self, axes: Axes, curve: Curve) -> None:
        style_axes(axes)
        best = self.curves[0]
        axes.plot(best.epochs, best.mean, color=GREY, lw=1, ls=(0, (4, 3)))
        _line(axes, curve, BLUE, "o")
        axes.set_title(escape(curve.row, _SHORTENED), fontsize=9, loc="left")
        # Not by shared axes: with them matplotlib asks every panel about all others.
        last = max(curve.epochs[-1] for curve in self.curves)
        axes.set_xlim(-0.04 * last, 1.04 * last)
        axes.set_ylim(0, 1.05 * max(max(curve.high) for curve in self.curves) or 1.0)
        axes.locator_params(nbins=4)

    @property
    def _seeds(self) -> str:
        several = any(curve.seeds > 1 for curve in self.curves)
        return (
            f"Lines: means over the {self._over}; bands: from their least to their greatest."
            * several
        )

    @property
    def _over(self) -> str:
        return "seeds"


@dataclass(frozen=True)
class TrainingOfFolds(Training):
    """The curves of rows with a run for each fold, best row first."""

    @property
    def _over(self) -> str:
        return "runs of all folds"


def _line(axes: Axes, curve: Curve, color: str, marker: str) -> None:
    axes.fill_between(curve.epochs, curve.low, curve.high, color=color, alpha=0.15, lw=0)
    axes.plot(
        curve.epochs,
        curve.mean,
        color=color,
        lw=1.7,
        marker=marker,
        ms=4.5,
        markevery=max(1, len(curve.epochs) // 12),
        label=escape(curve.row),
    )


def _finish(figure: Figure, panels: Sequence[Axes], frame: Frame, *more: str) -> None:
    note = " ".join(text for text in (frame.note, *more) if text)
    finish(figure, panels, frame.title, frame.caveat, note)
