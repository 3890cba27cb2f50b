"""The plots of a study, as PNG files: numbers first (`_Marks`), drawing second."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.tuning.findings.findings import Findings, Scale, Trial
from benchmark.tuning.findings.texts import axis_text, scaled
from benchmark.writing.drawing import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    VERMILLION,
    escape,
    finish,
    label_log_axis,
    new_figure,
    save,
    style_axes,
)
from benchmark.writing.words import param_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_PANELS = 12


@dataclass(frozen=True)
class Plot:
    """One plot.

    Attributes:
        file: Name of the PNG file.
        words: What it shows.
        applies: Whether a study of this kind has it at all.
        missing: Why it cannot be drawn yet, empty if it can.
        draw: Draws it.
    """

    file: str
    words: str
    applies: Callable[[Findings], bool]
    missing: Callable[[Findings], str]
    draw: Callable[[Findings], Figure]

    def save(self, findings: Findings, path: Path) -> None:
        """Draws it into a PNG file."""
        save(self.draw(findings), path)


@dataclass(frozen=True)
class _Style:
    """How the trials of one kind are marked."""

    label: str
    marker: str
    color: str
    size: float
    hollow: bool = False
    above: int = 2


_STYLES = {
    "pruned": _Style("pruned", "o", GREY, 32, hollow=True),
    "complete": _Style("complete", "o", BLUE, 38, above=3),
    "best": _Style("best", "*", ORANGE, 230, above=4),
    "front": _Style("Pareto front", "o", ORANGE, 70, above=4),
    "published": _Style("the row's own setting", "D", VERMILLION, 90, hollow=True, above=5),
}


@dataclass(frozen=True)
class _Marks:
    """Where the trials of one kind lie."""

    x: tuple[Any, ...]
    y: tuple[float, ...]


def _marks(
    findings: Findings, x: Callable[[Trial], float | None], y: Callable[[Trial], float | None]
) -> dict[str, _Marks]:
    """Where each kind of trial lies; kinds without a point are left out."""
    kinds = {
        "pruned": [trial for trial in findings.trials if trial.state == "pruned"],
        "complete": findings.ranked,
        "front": findings.front if findings.two else [],
        "best": [findings.best] if findings.best and not findings.two else [],
        "published": [t for t in findings.ranked if t is findings.published],
    }
    points = {
        kind: [(a, b) for t in trials if (a := x(t)) is not None and (b := y(t)) is not None]
        for kind, trials in kinds.items()
    }
    return {kind: _Marks(*zip(*where, strict=True)) for kind, where in points.items() if where}


def _value(findings: Findings, index: int) -> Callable[[Trial], float | None]:
    """Reads an objective of a trial in the unit of its axis; None where there is no finite one."""
    objective = findings.about.objectives[index]

    def read(trial: Trial) -> float | None:
        if len(trial.values) <= index or not math.isfinite(trial.values[index]):
            return None
        return scaled(objective, trial.values[index])

    return read


def _history(findings: Findings) -> Figure:
    count = len(findings.about.objectives)
    figure = new_figure(11, 5.2 if count == 1 else 8.4)
    panels = figure.subplots(count, 1, sharex=True, squeeze=False)[:, 0]
    for index, axes in enumerate(panels):
        _history_panel(findings, axes, index)
    panels[-1].set_xlabel("trial")
    panels[-1].set_xlim(-0.8, findings.trials[-1].number + 0.8)
    panels[-1].xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    finish(figure, panels, f"{findings.about.row}: every trial, in the order they began")
    return figure


def _history_panel(findings: Findings, axes: Axes, index: int) -> None:
    read = _value(findings, index)
    style_axes(axes)
    numbers, best = _best_so_far(findings, index)
    axes.step(numbers, best, where="post", color=GREEN, lw=1.8, zorder=1, label="best so far")
    published = findings.published
    if published and published.state == "complete" and (own := read(published)) is not None:
        axes.axhline(own, color=VERMILLION, lw=1.3, ls=(0, (5, 4)), zorder=1)
    _scatter(axes, _marks(findings, lambda trial: trial.number, read))
    failed = [trial.number for trial in findings.trials if trial.state == "failed"]
    if failed:
        low = axes.get_xaxis_transform()
        axes.scatter(
            failed, [0.025] * len(failed), transform=low, marker="x", c="k", s=30, label="failed"
        )
    axes.set_ylabel(axis_text(findings.about.objectives[index], findings.higher_better[index]))


def _best_so_far(findings: Findings, index: int) -> tuple[list[int], list[float]]:
    """The best value of an objective among the complete trials up to each number, to the last trial's."""
    read, better = _value(findings, index), max if findings.higher_better[index] else min
    numbers: list[int] = []
    best: list[float] = []
    for trial in sorted(findings.ranked, key=lambda trial: trial.number):
        value = read(trial)
        if value is not None:
            numbers.append(trial.number)
            best.append(better([value, *best[-1:]]))
    return [*numbers, findings.trials[-1].number], [*best, best[-1]]


def _importances(findings: Findings) -> Figure:
    shares = dict(list(findings.importances.shares.items())[:_MOST_PANELS])
    names, values = [escape(name) for name in shares], list(shares.values())
    figure = new_figure(9.5, 1.5 + 0.42 * len(names))
    axes = figure.subplots()
    style_axes(axes, grid="x")
    axes.barh(range(len(names)), values, color=BLUE, height=0.62)
    ends = [findings.importances.ranges.get(name, (share, share)) for name, share in shares.items()]
    axes.hlines(range(len(ends)), *zip(*ends, strict=True), color="k", lw=1.2)
    tips = [max(value, high) for value, (_, high) in zip(values, ends, strict=True)]
    for position, (value, tip) in enumerate(zip(values, tips, strict=True)):
        axes.annotate(
            f"{100 * value:.0f} %",
            (tip, position),
            (5, 0),
            textcoords="offset points",
            va="center",
        )
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlim(0, max(tips) * 1.12)
    axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    complete = findings.importances.n_trials
    axes.set_xlabel(
        f"share of what told the best tenth of {complete} complete trials from all; line: 80 % of resamples"
    )
    finish(figure, [], f"{findings.about.row}: importance for {findings.about.objectives[0]}")
    return figure


def _slice(findings: Findings) -> Figure:
    names = _most_important(findings)
    columns = min(4, len(names))
    rows = math.ceil(len(names) / columns)
    figure = new_figure(max(3.3 * columns, 7), 3.1 * rows + 1.2)
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
    for name, axes in zip(names, panels, strict=False):
        _slice_panel(findings, axes, name)
    for axes in panels[len(names) :]:
        axes.remove()
    for axes in panels[: len(names) : columns]:
        axes.set_ylabel(axis_text(findings.about.objectives[0], findings.higher_better[0]))
    left_out = len(findings.scales) - len(names)
    which = f"the {len(names)} most important" if findings.importances.shares else f"{len(names)}"
    cut = f" ({which} of {len(findings.scales)})" if left_out else ""
    finish(figure, panels[: len(names)], f"{findings.about.row}: parameters one by one{cut}")
    return figure


def _most_important(findings: Findings) -> list[str]:
    order = [*findings.importances.shares, *findings.parameters]
    searched = [name for name in dict.fromkeys(order) if name in findings.scales]
    return searched[:_MOST_PANELS]


def _slice_panel(findings: Findings, axes: Axes, name: str) -> None:
    scale = findings.scales[name]
    style_axes(axes)
    if scale.choices is not None:
        labels = [escape(param_text(choice), 26) for choice in scale.choices]
        slanted = sum(map(len, labels)) > 26
        axes.set_xticks(
            range(len(labels)),
            labels,
            rotation=30 if slanted else 0,
            ha="right" if slanted else "center",
        )
        axes.set_xlim(-0.6, len(labels) - 0.4)
    elif scale.log:
        axes.set_xscale("log")
    else:
        axes.locator_params(axis="x", nbins=5)
    _scatter(axes, _marks(findings, _position(name, scale), _value(findings, 0)))
    if scale.log:
        label_log_axis(axes)
    axes.set_xlabel(escape(name))


def _position(name: str, scale: Scale) -> Callable[[Trial], float | None]:
    """Where a trial lies on a parameter's axis: its value, or the position of its choice."""

    def read(trial: Trial) -> float | None:
        if name not in trial.params:
            return None
        value = trial.params[name]
        return float(value) if scale.choices is None else float(_index(scale.choices, value))

    return read


def _index(choices: tuple[Any, ...], value: Any) -> int:
    """The position of a choice; 1 and True are equal in Python, but different choices."""
    same = (
        i for i, choice in enumerate(choices) if type(choice) is type(value) and choice == value
    )
    return next(same, choices.index(value))


def _pareto(findings: Findings) -> Figure:
    figure = new_figure(10, 6.2)
    axes = figure.subplots()
    style_axes(axes, grid="both")
    x, y = _value(findings, 1), _value(findings, 0)
    marks = _marks(findings, x, y)
    front = sorted(zip(marks["front"].x, marks["front"].y, strict=True))
    axes.step(*zip(*front, strict=True), where="post", color=ORANGE, lw=1.6, zorder=1)
    _scatter(axes, marks)
    axes.margins(0.08)
    _number(figure, axes, [(x(t), y(t), t.number) for t in findings.front])
    for set_label, index in ((axes.set_xlabel, 1), (axes.set_ylabel, 0)):
        set_label(axis_text(findings.about.objectives[index], findings.higher_better[index]))
    first, second = findings.about.objectives
    finish(figure, [axes], f"{findings.about.row}: {first} against {second}")
    return figure


def _number(figure: Figure, axes: Axes, points: list[tuple[Any, Any, int]]) -> None:
    """Writes trials' numbers on the side of the front where no point can lie; not where two would overlap."""
    figure.draw_without_rendering()  # only then does the transform know the limits
    written: list[tuple[float, float]] = []
    for x, y, number in points:
        px, py = axes.transData.transform((x, y))
        if all(abs(px - qx) > 30 or abs(py - qy) > 18 for qx, qy in written):
            written.append((px, py))
            axes.annotate(
                str(number), (x, y), (-7, 6), textcoords="offset points", ha="right", fontsize=9
            )


def _scatter(axes: Axes, marks: dict[str, _Marks]) -> None:
    for kind, where in marks.items():
        style = _STYLES[kind]
        axes.scatter(
            where.x,
            where.y,
            marker=style.marker,
            s=style.size,
            facecolors="none" if style.hollow else style.color,
            edgecolors=style.color if style.hollow else "white",
            linewidths=1.6 if style.hollow else 0.6,
            zorder=style.above,
            label=style.label,
        )


def _always(_: Findings) -> bool:
    return True


def _no_complete(findings: Findings) -> str:
    return "" if findings.ranked else "no trial is complete"


def _no_importances(findings: Findings) -> str:
    return findings.importances.missing


PLOTS = (
    Plot("history.png", "Value of every trial", _always, _no_complete, _history),
    Plot("pareto.png", "Pareto front", lambda f: f.two, _no_complete, _pareto),
    Plot("importances.png", "Importance of the parameters", _always, _no_importances, _importances),
    Plot("slice.png", "Value against each parameter", _always, _no_complete, _slice),
)
