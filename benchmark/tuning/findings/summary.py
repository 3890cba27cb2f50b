"""The files of a study: a Markdown summary, the trials as CSV, plots."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.files import replacing, write_text
from benchmark.tuning.findings.chapters import chapters
from benchmark.tuning.findings.findings import Findings, Trial
from benchmark.writing.markdown import bullets, escape, heading
from benchmark.writing.spreadsheet import cell

if TYPE_CHECKING:  # each takes a second or more to import: only who writes a study pays
    import pandas as pd

    from benchmark.tuning.findings.figures import Plot

_MEASURED = ("best", "published", "epochs", "planned_epochs", "device_seconds")
_ABOUT = ("no_predictions", "run_id", "host", "same_as", "cause")


def write_study(findings: Findings, folder: Path) -> list[Path]:
    """Writes the results of a study so far: ``summary.md``, ``trials.csv`` and the plots.

    Every write is atomic; a plot that does not apply, or could not be drawn, is removed, and the summary says why.
    The same trials give the same bytes.

    Args:
        findings: The results, as `read_findings` reads them.
        folder: Where to write; made if it is missing.

    Returns:
        The files that were written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pictures, troubles = _draw(findings, folder)
    table = folder / "trials.csv"
    write_text(table, trials_frame(findings).to_csv(index=False, lineterminator="\n"))
    summary = folder / "summary.md"
    shown = [f"![{escape(words)}]({path.name})\n" for path, words in pictures.items()]
    missing = [bullets(troubles)] if troubles else []
    write_text(summary, "\n".join([*chapters(findings), heading("Plots"), *shown, *missing]))
    return [summary, table, *pictures]


def _draw(findings: Findings, folder: Path) -> tuple[dict[Path, str], list[str]]:
    """Draws the plots; gives what each drawn one shows, and why the others were not drawn."""
    from benchmark.tuning.findings.figures import PLOTS

    drawn: dict[Path, str] = {}
    troubles: list[str] = []
    for plot in PLOTS:
        path = folder / plot.file
        trouble = _trouble(plot, findings, path) if plot.applies(findings) else ""
        if trouble is None:
            drawn[path] = plot.words
            continue
        path.unlink(missing_ok=True)
        troubles += [f"Plot {plot.file} is not drawn: {trouble}."] if trouble else []
    return drawn, troubles


def _trouble(plot: Plot, findings: Findings, path: Path) -> str | None:
    """Draws a plot; gives why it was not, None if it was."""
    try:
        if missing := plot.missing(findings):
            return missing
        with replacing(path) as temporary:
            plot.save(findings, temporary)
    except Exception as error:  # a plot less, not a summary less
        return f"{type(error).__name__}: {error}"
    return None


def trials_frame(findings: Findings) -> pd.DataFrame:
    """The trials as a pandas data frame, a line a trial, at full precision; None where a value is absent.

    Columns: ``number``, ``state``, one an objective (fraction, ms or count), ``best``, ``published``, ``epochs``,
    ``planned_epochs``, ``device_seconds``, ``param_<name>``, ``metric_<name>``, ``no_predictions``, ``run_id``,
    ``host``, ``same_as``, ``cause``, ``started`` and ``finished`` (local time, ISO 8601).
    """
    import pandas as pd

    columns = _columns(findings)
    lines = [[read(trial) for read in columns.values()] for trial in findings.trials]
    return pd.DataFrame(
        [[cell(value) for value in line] for line in lines],
        columns=[cell(name) for name in columns],
        dtype=object,
    )


def _columns(findings: Findings) -> dict[str, Callable[[Trial], Any]]:
    """What each column takes out of a trial, by the column's name."""
    metrics = dict.fromkeys(name for trial in findings.trials for name in trial.metrics)
    return {
        "number": attrgetter("number"),
        "state": attrgetter("state"),
        **{name: _value(index) for index, name in enumerate(findings.about.objectives)},
        **{name: attrgetter(name) for name in _MEASURED},
        **{f"param_{name}": _entry("params", name) for name in findings.parameters},
        **{f"metric_{name}": _entry("metrics", name) for name in metrics},
        **{name: _unless_empty(name) for name in _ABOUT},
        "started": lambda trial: _iso(trial.started),
        "finished": lambda trial: _iso(trial.finished),
    }


def _value(index: int) -> Callable[[Trial], float | None]:
    return lambda trial: trial.values[index] if trial.values else None


def _entry(mapping: str, name: str) -> Callable[[Trial], Any]:
    return lambda trial: getattr(trial, mapping).get(name)


def _unless_empty(name: str) -> Callable[[Trial], Any]:
    return lambda trial: None if (value := getattr(trial, name)) == "" else value


def _iso(time: datetime | None) -> str | None:
    return time.isoformat(timespec="seconds") if time else None
