"""A study as one HTML page with Optuna's interactive figures, which needs no network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from benchmark.tuning.findings.chapters import chapters
from benchmark.tuning.findings.document import Block, Heading, Text, to_html
from benchmark.tuning.findings.findings import Findings, goal, quiet
from benchmark.tuning.findings.texts import axis_text

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_CONTOUR_PARAMETERS = range(2, 5)  # a panel for each pair: more are too small to read
_HEIGHT_PX = 480

_STYLE = """\
body { font: 16px/1.5 system-ui, sans-serif; color: #222; background: #fff; max-width: 1200px;
       margin: 2rem auto; padding: 0 1rem; }
h2 { margin-top: 2.2rem; border-bottom: 1px solid #ddd; }
table { border-collapse: collapse; font-size: 14px; }
th, td { border: 1px solid #ddd; padding: .25rem .6rem; text-align: left; vertical-align: top; }
th { background: #f5f5f5; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.wide { overflow-x: auto; }
"""


@dataclass(frozen=True)
class _Drawing:
    """One of Optuna's figures."""

    title: str
    missing: str
    draw: Callable[[], Figure]


def page_text(findings: Findings) -> str:
    """The page; the same trials give the same bytes.

    Everything from the study is escaped: in the text as HTML, in the figures' data by plotly, as
    JSON without ``<``. plotly.js is part of the page, once.
    """
    from plotly.offline import get_plotlyjs

    with quiet():
        figures = [_figure(number, drawing) for number, drawing in enumerate(_drawings(findings))]
    title = escape(f"Study {findings.about.name}: {findings.about.row}")
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>\n{_STYLE}</style>\n"
        f"<script>{get_plotlyjs()}</script>\n</head>\n<body>\n"
        f"{to_html(chapters(findings))}{to_html([Heading('Figures')])}{''.join(figures)}"
        "</body>\n</html>\n"
    )


def _figure(number: int, drawing: _Drawing) -> str:
    from plotly.io import to_html as figure_html

    heading: list[Block] = [Heading(drawing.title, level=3)]
    missing, inside = drawing.missing, ""
    if not missing:
        try:
            figure = drawing.draw().update_layout(title=None, margin={"t": 40})
            inside = figure_html(
                figure,
                full_html=False,
                include_plotlyjs=False,
                default_height=f"{_HEIGHT_PX}px",
                div_id=f"figure-{number}",  # else a random one
            )
        except Exception as error:  # a figure less, not a page less
            missing = f"{type(error).__name__}: {error}"
    if missing:
        return to_html([*heading, Text(f"Not drawn: {missing}.")])
    return f'{to_html(heading)}<div class="wide">{inside}</div>\n'


def _drawings(findings: Findings) -> list[_Drawing]:
    from optuna import visualization as plot

    study, aimed = findings.study, _aimed(findings, 0)
    parallel = {} if findings.two else aimed  # without an aim it shows both objectives
    empty = "" if findings.ranked else "no trial is complete"
    reported, contours = _no_validations(findings), empty or _no_contours(findings)
    return [
        *_histories(findings, empty),
        *_fronts(findings, empty),
        _importances(findings),
        _Drawing("Slices", empty, lambda: plot.plot_slice(study, **aimed)),
        _Drawing("Validations", reported, lambda: plot.plot_intermediate_values(study)),
        _Drawing("All parameters", empty, lambda: plot.plot_parallel_coordinate(study, **parallel)),
        _Drawing("Pairs of parameters", contours, lambda: plot.plot_contour(study, **aimed)),
    ]


def _importances(findings: Findings) -> _Drawing:
    from optuna.visualization import plot_param_importances

    aimed: dict[str, Any] = {
        "params": sorted(findings.importances.shares),
        "target": goal(findings.study),
        "target_name": findings.about.objectives[0],
    }
    missing = findings.importances.missing
    return _Drawing("Importances", missing, lambda: plot_param_importances(findings.study, **aimed))


def _aimed(findings: Findings, index: int) -> dict[str, Any]:
    """Which objective one of Optuna's figures shows; with one objective Optuna also knows its direction."""
    named: dict[str, Any] = {"target_name": findings.about.objectives[index]}
    return {**named, "target": lambda trial: trial.values[index]} if findings.two else named


def _histories(findings: Findings, no_complete: str) -> list[_Drawing]:
    from optuna.visualization import plot_optimization_history

    def drawing(index: int, objective: str) -> _Drawing:
        aimed = _aimed(findings, index)
        return _Drawing(
            f"History of {objective}",
            no_complete,
            lambda: plot_optimization_history(findings.study, **aimed),
        )

    return [drawing(index, name) for index, name in enumerate(findings.about.objectives)]


def _fronts(findings: Findings, no_complete: str) -> list[_Drawing]:
    from optuna.visualization import plot_pareto_front

    if not findings.two:
        return []
    names = list(map(axis_text, findings.about.objectives, findings.higher_better))
    names = [name.replace("(millions", "(number") for name in names]  # Optuna does not scale
    return [
        _Drawing(
            "Pareto front",
            no_complete,
            lambda: plot_pareto_front(findings.study, target_names=names),
        )
    ]


def _no_validations(findings: Findings) -> str:
    if any(trial.intermediate for trial in findings.trials):
        return ""
    return "with two objectives none is reported" if findings.two else "no trial has reported one"


def _no_contours(findings: Findings) -> str:
    count = len(findings.scales)
    return (
        ""
        if count in _CONTOUR_PARAMETERS
        else f"that takes 2 to 4 parameters, and there are {count}"
    )
