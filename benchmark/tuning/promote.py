"""Promotion: what a study found becomes a row of the experiment file.

The file is the user's: PyYAML's tokens say where its rows stand in the text, the new row is written between
them, and every other byte stays. The new text is read back and compared before it takes the old one's place.
"""

from __future__ import annotations

import re
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmark.errors import UserError, allowed
from benchmark.experiment.experiment import Experiment, Row, load_experiment
from benchmark.files import write_text
from benchmark.yaml_file import validated

_METHOD = "Learning Method"
_NUMBER = re.compile(r"[-+]?\d[\d.]*(e[-+]?\d+)?")


@dataclass(frozen=True)
class Promotion:
    """What became of it.

    Attributes:
        row: The tuned row, as the experiment file now has it.
        changed: Whether the file was written; False where it had this very setting already.
        replaced: Whether the row took the place of an earlier one from the same study.
    """

    row: Row
    changed: bool
    replaced: bool


@dataclass(frozen=True)
class _Place:
    """Where a row goes: ``text[start:end]`` gives way to ``heading`` and the row, its dash at ``column``."""

    start: int
    end: int
    column: int
    heading: str = ""


def promote(
    experiment_path: Path, row: str, study: str, overrides: Mapping[str, Any], source: str
) -> Promotion:
    """Appends a tuned row to an experiment file, or brings the one from this study up to date.

    The new row is called ``<row>_tuned`` (``_tuned2``, ... where that name is taken), has the recipe, labels and
    ``gpus`` of the row that was tuned, "(tuned)" after its learning method, and no published value. An earlier
    row of the same study keeps its name, its labels and its place; the rest of it, comments included, is
    written anew if its setting differs.

    Args:
        experiment_path: The experiment file.
        row: Name of the row that was tuned, from ``rows`` or ``grid``.
        study: Name of the study.
        overrides: All overrides of the new row, those of the tuned row included: plain values, lists, mappings.
        source: What the comment line above the row says, such as ``study small, trial 7``.

    Returns:
        The row, and whether the file changed.

    Raises:
        UserError: The file cannot be read or written, has no such row, or is laid out in a way that a row
            cannot be added to; the message then shows the row. The file is as it was.
    """
    experiment = load_experiment(experiment_path)
    original = _row(experiment_path, experiment, row)
    earlier = _earlier(experiment, row, study)
    tuned = _tuned(experiment_path, experiment, original, study, overrides, earlier)
    if earlier is not None and _setting(earlier) == _setting(tuned):
        return Promotion(earlier, changed=False, replaced=False)
    block = _block(experiment_path, tuned, source)
    position = None if earlier is None else experiment.rows.index(earlier)
    text = _edited(experiment_path, block, position)
    if text is None or not _reads_back(experiment_path.name, text, experiment, tuned):
        raise UserError(_by_hand(experiment_path, block, earlier))
    _write(experiment_path, text)
    return Promotion(tuned, changed=True, replaced=earlier is not None)


def _row(path: Path, experiment: Experiment, name: str) -> Row:
    known = {row.name: row for row in experiment.rows}
    if name not in known:
        raise UserError(f"{path}: {name}: no such row; {allowed(name, known)}")
    return known[name]


def _earlier(experiment: Experiment, row: str, study: str) -> Row | None:
    own = (r for r in experiment.rows if r.study == study and r.name.startswith(f"{row}_tuned"))
    return next(own, None)


def _tuned(
    path: Path,
    experiment: Experiment,
    original: Row,
    study: str,
    overrides: Mapping[str, Any],
    earlier: Row | None,
) -> Row:
    if earlier is None:
        number = _free_number(experiment, original.name)
        name, labels = f"{original.name}_tuned{number}", _labels(original, number)
    else:
        name, labels = earlier.name, earlier.labels
    content = {
        "name": name,
        **original.recipe.model_dump(),
        "labels": labels,
        "set": _plain(overrides),
        "gpus": original.gpus,
        "study": study,
    }
    return validated(Row, content, path, "the tuned row")


def _free_number(experiment: Experiment, name: str) -> str:
    taken = {row.name for row in experiment.rows}
    numbers = ["", *(str(number) for number in range(2, len(taken) + 2))]
    return next(number for number in numbers if f"{name}_tuned{number}" not in taken)


def _labels(original: Row, number: str) -> dict[str, str]:
    method = original.labels.get(_METHOD, original.recipe.labels.get(_METHOD))
    tuned = f"tuned {number}".rstrip()
    return {**original.labels, _METHOD: f"{method} ({tuned})" if method else tuned}


def _setting(row: Row) -> tuple[str, str, int]:
    # As text, because 1, 1.0 and True are equal in Python and make different configs.
    return repr(row.recipe), yaml.safe_dump(row.overrides), row.gpus


def _plain(value: Any) -> Any:
    """Tuples as lists, and copies, for which PyYAML writes no anchors."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _block(path: Path, row: Row, source: str) -> str:
    """The row and its comment as they stand in the file, the dash in column 0."""
    recipe = "".join(_entry(key, value) for key, value in row.recipe.model_dump().items())
    entries = _entry("name", row.name) + recipe
    try:
        entries += _section("labels", row.labels) + _section("set", row.overrides)
    except yaml.YAMLError as error:
        raise UserError(f"{path}: {row.name}: a value that YAML cannot hold: {error}") from None
    if row.gpus != 1:
        entries += _entry("gpus", row.gpus)
    entries += _entry("study", row.study)
    return f"# {' '.join(source.split())}\n- {_indented(entries, 2)[2:]}"


def _section(key: str, entries: Mapping[str, Any]) -> str:
    lines = "".join(_entry(name, value) for name, value in entries.items())
    return f"{key}:\n{_indented(lines, 2)}" if entries else ""


def _entry(key: str, value: Any) -> str:
    """``key: value``; a list or mapping of plain values on the same line, as people write them."""
    flow = None if isinstance(value, list | dict) else False
    return yaml.safe_dump(
        {key: value},
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=flow,
        width=float("inf"),
    )


def _indented(text: str, columns: int) -> str:
    return re.sub(r"(?m)^(?=.)", " " * columns, text)


def _edited(path: Path, block: str, position: int | None) -> str | None:
    """The file's text with the block in it; None where its layout has no place for one."""
    try:
        text = path.read_bytes().decode("utf-8")
        place = _place(text, block, position)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        return None  # PyYAML's two parsers differ in rare cases: the fast one has read it
    if place is None:
        return None
    before = text[: place.start] + place.heading
    if not before.endswith("\n"):
        before += _eol(text)
    lines = _indented(block, place.column).replace("\n", _eol(text))
    return before + lines + text[place.end :]


def _eol(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _place(text: str, block: str, position: int | None) -> _Place | None:
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode):
        return None
    found = [value for key, value in root.value if key.value == "rows"]
    if not found:
        return _at_the_end(text, root.start_mark.column)
    if not found[-1].value or not isinstance(found[-1], yaml.SequenceNode):
        return _instead_of_nothing(text, found[-1], root.start_mark.column)
    if found[-1].flow_style:
        return None
    return _among(text, found[-1], block, position)


def _at_the_end(text: str, column: int) -> _Place:
    end_of_line = "" if text.endswith("\n") else _eol(text)
    return _Place(len(text), len(text), column + 2, f"{end_of_line}{' ' * column}rows:")


def _instead_of_nothing(text: str, empty: yaml.Node, column: int) -> _Place:
    """In place of ``rows:`` without a value, or of ``rows: []``; a comment behind it stays."""
    start = len(text[: empty.start_mark.index].rstrip())
    end = _next_line(text, empty.end_mark.index)
    return _Place(start, end, column + 2, text[empty.end_mark.index : end])


def _among(text: str, rows: yaml.Node, block: str, position: int | None) -> _Place:
    """After the last row, or in place of the row at ``position``."""
    tokens = [
        t for t in yaml.scan(text, Loader=yaml.SafeLoader) if t.start_mark.index < t.end_mark.index
    ]
    inside = [
        t for t in tokens if rows.start_mark.index <= t.start_mark.index < rows.end_mark.index
    ]
    entries = [t.start_mark for t in inside if isinstance(t, yaml.BlockEntryToken)]
    column = entries[0].column
    dashes = [mark.index for mark in entries if mark.column == column]
    if position is None:
        end = _after_comments(text, _next_line(text, inside[-1].end_mark.index), column)
        return _Place(end, end, column)
    # A node ends where the next one begins, past comments and blank lines; a token ends with its text,
    # but for a block scalar, which takes the blank lines below it.
    limit = [*dashes, rows.end_mark.index][position + 1]
    last = [t.end_mark.index for t in inside if t.start_mark.index < limit][-1]
    start = text.rfind("\n", 0, dashes[position]) + 1
    end = _next_line(text, len(text[:last].rstrip()))
    return _Place(_own_comment(text, start, block), end, column)


def _next_line(text: str, index: int) -> int:
    """Where the next line begins; the index itself at a line's beginning, where a block scalar ends."""
    if text[index - 1 : index] == "\n":
        return index
    return text.find("\n", index) + 1 or len(text)


def _after_comments(text: str, start: int, column: int) -> int:
    """Past the comment lines that are indented deeper than the dashes: they belong to the row above."""
    comments = re.compile(rf"( {{{column + 1},}}#[^\n]*(\n|\Z))*").match(text, start)
    return comments.end() if comments else start


def _own_comment(text: str, start: int, block: str) -> int:
    """Where the line above begins if an earlier promotion wrote it: the same comment but for its numbers."""
    above = text.rfind("\n", 0, max(start - 1, 0)) + 1
    line, own = text[above:start].strip(), block.partition("\n")[0].strip()
    return above if _NUMBER.sub("0", line) == _NUMBER.sub("0", own) else start


def _reads_back(name: str, text: str, before: Experiment, tuned: Row) -> bool:
    """Whether the text is the experiment with the tuned row in it, and nothing else changed."""
    with tempfile.TemporaryDirectory() as folder:
        # An experiment without a name of its own has its file's.
        copy = Path(folder) / name
        copy.write_bytes(text.encode())
        try:
            after = load_experiment(copy)
        except UserError:
            return False
    rows = [row for row in after.rows if row.name == tuned.name]
    return repr(rows) == repr([tuned]) and _without(after, tuned) == _without(before, tuned)


def _without(experiment: Experiment, tuned: Row) -> str:
    rows = [row for row in experiment.rows if row.name != tuned.name]
    return repr(experiment.model_copy(update={"rows": rows, "path": Path()}))


def _by_hand(path: Path, block: str, earlier: Row | None) -> str:
    what = "appended to" if earlier is None else f"put in the place of '{earlier.name}' in"
    return (
        f"{path}: the tuned row cannot be {what} 'rows', which is not a plain list of lines that begin "
        f"with '- ' (a flow list in brackets, or anchors that other rows use). Write it that way and promote "
        f"again, or put this row there yourself:\n{_indented(block, 2)}"
    )


def _write(path: Path, text: str) -> None:
    target = path.resolve()  # a link stays a link
    try:
        mode = stat.S_IMODE(target.stat().st_mode)
        write_text(target, text)
        target.chmod(mode)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from None
