"""Promotion: a trial's setting becomes a row, in the file of tuned rows beside the experiment.

That file is DetBoard's own and is written whole; the user's experiment is only read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmark.errors import UserError, allowed, not_written
from benchmark.experiment.experiment import (
    Experiment,
    Row,
    TunedRow,
    load_experiment,
    load_tuned,
    tuned_file,
)
from benchmark.files import replacing
from benchmark.tuning.subject import with_settings
from benchmark.yaml_file import validated

_METHOD = "Learning Method"
_HEADER = (
    "# Tuned rows of {experiment}, which includes them by itself. "
    "Written by detboard tune --promote: do not edit.\n"
)


@dataclass(frozen=True)
class Promotion:
    """What became of it.

    Attributes:
        row: The tuned row, as the experiment now has it.
        file: The file of tuned rows.
        changed: Whether that file was written; False where a row of the study had this very setting already.
        replaced: Whether the row took the place of an earlier one from the same study.
        left: Name of a row of the same study in the user's own file, with another setting; None if there is none.
    """

    row: Row
    file: Path
    changed: bool
    replaced: bool
    left: str | None


def promote(
    experiment_path: Path,
    row: str,
    study: str,
    trial: int,
    overrides: Mapping[str, Any],
    method: str = "",
) -> Promotion:
    """Adds a tuned row to an experiment, or brings the one from this study up to date.

    The new row is called ``<row>_tuned`` (``_tuned2``, ... where that name is taken), has the recipe, labels and
    ``gpus`` of the row that was tuned, "(tuned)" after its learning method, and nothing that others say of that row. An
    earlier row of the same study keeps its name, its labels and its place. One that stands in the user's own file
    stays as it is: with the same setting there is nothing to do, with another the new row gets the next free name.

    Args:
        experiment_path: The experiment file.
        row: Name of the row that was tuned.
        study: Name of the study.
        trial: Number of the trial.
        overrides: All overrides of the new row, those of the tuned row included: plain values, lists, mappings. Of a
            row whose recipe is tuned itself, key paths of that.
        method: The learning method that the row's config tells where neither the row nor its recipe does.

    Returns:
        The row, and whether the file of tuned rows changed.

    Raises:
        UserError: The experiment cannot be read or has no such row, or the file of tuned rows cannot be written; it
            is as it was then.
    """
    experiment = load_experiment(experiment_path)
    original, file = _row(experiment_path, experiment, row), tuned_file(experiment_path)
    mine = [r for r in experiment.rows if r.study == study and r.name.startswith(f"{row}_tuned")]
    earlier = next((r for r in mine if isinstance(r, TunedRow)), None)
    source = {**_set(original, overrides), "study": study, "trial": trial}
    tuned = _valid(
        {**_content(original), **_named(experiment, original, earlier, method), **source}, file
    )
    same = next((r for r in mine if _setting(r) == _setting(tuned)), None)
    if same is not None:
        return Promotion(same, file, changed=False, replaced=False, left=None)
    known = load_tuned(file)
    position = len(known) if earlier is None else known.index(earlier)
    _write(file, experiment_path.name, [*known[:position], tuned, *known[position + 1 :]])
    left = next((r.name for r in mine if not isinstance(r, TunedRow)), None)
    return Promotion(tuned, file, changed=True, replaced=earlier is not None, left=left)


def _set(row: Row, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """What a setting is in the file: key paths of the config, or the keys of a recipe that is tuned itself."""
    if row.recipe.is_tuned:
        return dict(_plain(with_settings(row, dict(overrides)).recipe.model_dump(mode="json")))
    return {"set": _plain(overrides)}


def _row(path: Path, experiment: Experiment, name: str) -> Row:
    known = {row.name: row for row in experiment.rows}
    if name not in known:
        raise UserError(f"{path}: {name}: no such row; {allowed(name, known)}")
    return known[name]


def _content(row: Row) -> dict[str, Any]:
    """A row as it would stand in a file, without what others say of it, which is of the row itself alone."""
    content = row.model_dump(
        by_alias=True, exclude_defaults=True, exclude={"published", "leaderboard"}
    )
    return {"name": content.pop("name"), **_plain(content.pop("recipe")), **content}


def _named(
    experiment: Experiment, original: Row, earlier: Row | None, method: str
) -> dict[str, Any]:
    if earlier is not None:
        return {"name": earlier.name, "labels": earlier.labels}
    number = _free_number(experiment, original.name)
    return {"name": f"{original.name}_tuned{number}", "labels": _labels(original, number, method)}


def _free_number(experiment: Experiment, name: str) -> str:
    taken = {row.name for row in experiment.rows}
    numbers = ["", *(str(number) for number in range(2, len(taken) + 2))]
    return next(number for number in numbers if f"{name}_tuned{number}" not in taken)


def _labels(original: Row, number: str, method: str) -> dict[str, str]:
    method = original.cells.get(_METHOD, method)
    tuned = f"tuned {number}".rstrip()
    return {**original.labels, _METHOD: f"{method} ({tuned})" if method else tuned}


def _valid(content: Mapping[str, Any], file: Path) -> TunedRow:
    try:
        _yaml(content)
    except yaml.YAMLError as error:
        name = content["name"]
        raise UserError(f"{file}: {name}: a value that YAML cannot hold: {error}") from None
    return validated(TunedRow, dict(content), file, "the tuned row")


def _setting(row: Row) -> str:
    """What makes a row's runs, as text: 1, 1.0 and True are equal in Python and make different configs."""
    about = ("name", "labels", "study", "trial")
    content = {key: value for key, value in _content(row).items() if key not in about}
    return yaml.safe_dump(content, allow_unicode=True)  # keys sorted: their order means nothing


def _plain(value: Any) -> Any:
    """Tuples as lists, paths as text, and copies, for which PyYAML writes no anchors."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _yaml(value: Any) -> str:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=float("inf"))


def _write(file: Path, experiment: str, rows: Sequence[TunedRow]) -> None:
    """Writes the tuned rows, reads them back, and only then puts them in the place of the old ones."""
    text = _HEADER.format(experiment=experiment) + _yaml({"rows": [_content(row) for row in rows]})
    try:
        with replacing(file) as temporary:
            temporary.write_text(text, encoding="utf-8")
            if repr(load_tuned(temporary)) != repr(list(rows)):
                raise UserError(f"{file}: the tuned row does not come back as it was written")
    except OSError as error:
        raise not_written(file, error) from None
