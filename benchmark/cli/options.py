"""What stands behind the options of the command line: texts become values, all problems at once."""

from __future__ import annotations

import ast
import os
from pathlib import Path
from typing import get_args

from pydantic import ValidationError

from benchmark.cli.app import warn
from benchmark.config.faster import COMPILE, PRECISION, wrong_in
from benchmark.config.overrides import given_twice, key_path, passed_over
from benchmark.errors import UserError, allowed
from benchmark.experiment.cache import HOW, ImageCache
from benchmark.experiment.experiment import Tracking, TrackingMode
from benchmark.run.plan import Plan, Request
from benchmark.run.record import State
from benchmark.run.runs import Runs
from benchmark.tracking.door import door_of, warnings_of


def request_of(
    experiment: Path,
    profile: str | None,
    data_root: Path | None,
    results: Path,
    rows: str | None,
    seeds: str | None,
    overrides: list[str] | None,
    precision: str | None = None,
    compile_: bool | None = None,
) -> Request:
    """The options that `plan`, `config`, `sweep`, `tune` and `report` share.

    Raises:
        UserError: With everything that is wrong with them.
    """
    problems: list[str] = []
    request = Request(
        path=experiment,
        results=results,
        profile=profile,
        data_root=data_root,
        rows=_names("--rows", rows, problems),
        seeds=_seeds(seeds, problems),
        overrides={
            **_overrides(overrides or [], problems),
            **_faster(overrides or [], {PRECISION: precision, COMPILE: compile_}, problems),
        },
    )
    problems += [f"--{problem}" for problem in wrong_in(request.overrides)]
    places = (results, *results.parents)
    blocked = next((p for p in places if os.path.lexists(p) and not p.is_dir()), None)
    if blocked is not None:
        what = "leads nowhere" if blocked.is_symlink() else "is a file"
        problems.append(f"--results {results}: {blocked} {what}; give a folder")
    if problems:
        raise UserError(problems)
    return request


def _names(option: str, text: str | None, problems: list[str]) -> tuple[str, ...] | None:
    """The names of a list with commas; a script that has no name for a place has an unset variable."""
    if text is None:
        return None
    names = tuple(name.strip() for name in text.split(","))
    if not all(names):
        problems.append(
            f"{option} {text}: a name is empty; give names with commas between, as in a,b"
        )
    return names


def _seeds(text: str | None, problems: list[str]) -> tuple[int, ...] | None:
    if text is None:
        return None
    names = [name.strip() for name in text.split(",")]
    if not all(name.isdecimal() and int(name) < 2**32 for name in names):
        problems.append(f"--seeds {text}: give whole numbers from 0 to 4294967295, as in 0,1,2")
        return None
    return tuple(dict.fromkeys(int(name) for name in names))


def _overrides(texts: list[str], problems: list[str]) -> dict[str, object]:
    """Key paths with their marks, and values."""
    found: dict[str, object] = {}
    keys = []
    for text in texts:
        key, _, value = (part.strip() for part in text.partition("="))
        if not key_path(key) or not value:
            problems.append(f"--set {text}: write KEY.PATH=VALUE{_empty(key, value)}")
            continue
        keys.append(key)
        found[key] = _value(value)
        problems += [f"--set {text}: the key {twice} is given twice" for twice in _twice(value)]
    problems += [f"--set {problem}" for problem in [*given_twice(keys), *passed_over(found)]]
    return found


def _faster(texts: list[str], given: dict[str, object], problems: list[str]) -> dict[str, object]:
    """The options that stand for a key of their own; ``--set precision=bf16`` says the same."""
    said = {key_path(text.partition("=")[0].strip()) for text in texts}
    asked = {key: value for key, value in given.items() if value is not None}
    problems += [f"--{key}: is given in --set, too; once is enough" for key in asked if key in said]
    return asked


def _empty(key: str, value: str) -> str:
    """How an empty text is written, where the value is all that lacks."""
    return f"; an empty text is '{key}=\"\"'" if key_path(key) and not value else ""


def _value(text: str) -> object:
    """A Python literal, one of true, false and null, or the text itself."""
    words = {"true": True, "false": False, "null": None, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    try:
        return ast.literal_eval(text)
    except (
        ValueError,
        SyntaxError,
        TypeError,
        RecursionError,
        MemoryError,
    ):  # {[1]: 2} is a TypeError
        return text


def _twice(text: str) -> list[str]:
    """The keys that stand more than once in a mapping of a literal, of which Python keeps the last."""
    try:
        nodes = ast.walk(ast.parse(text, mode="eval"))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    mappings = [node.keys for node in nodes if isinstance(node, ast.Dict)]
    known = [[ast.unparse(key) for key in keys if key is not None] for keys in mappings]
    return [key for keys in known for key in dict.fromkeys(keys) if keys.count(key) > 1]


def states_of(retry: str | None) -> set[State]:
    """The states that ``--retry`` names.

    Raises:
        UserError: With every name that is none.
    """
    choices = {state.value: state for state in (State.FAILED, State.PRUNED, State.DAMAGED)}
    wrong: list[str] = []
    names = _names("--retry", retry, wrong) or ()
    wrong += [
        f"--retry {name}: {allowed(name, choices)}"
        for name in names
        if name and name not in choices
    ]
    if wrong:
        raise UserError(wrong)
    return {choices[name] for name in names}


def tracking_of(made: Plan, mode: str | None) -> Tracking:
    """The experiment's tracking, in the mode of ``--wandb`` if that is given; warns of what hinders it.

    Raises:
        UserError: There is no such mode, no such tracker, or it cannot take what the experiment says.
    """
    tracking = made.experiment.tracking
    if mode is not None and mode not in (modes := get_args(TrackingMode)):
        raise UserError(f"--wandb {mode}: {allowed(mode, modes)}")
    tracking = tracking.model_copy(update={"mode": mode} if mode else {})
    door = door_of(tracking)
    if door.refused:
        raise UserError([f"{made.experiment.path}: {problem}" for problem in door.refused])
    warn(warnings_of(tracking, door))
    return tracking


def cache_of(made: Plan, text: str | None) -> ImageCache:
    """Where decoded images are kept: as ``--cache`` says if that is given, else as the experiment does.

    Raises:
        UserError: The option says nothing of the kind.
    """
    if text is None:
        return made.experiment.cache
    try:
        return ImageCache.model_validate(text)
    except ValidationError:
        raise UserError(f"--cache {text}: {HOW}") from None


def look_at(made: Plan, request: Request, on_disk: Runs) -> None:
    """Shows what of the experiment and its runs on disk a user may want to mend; what was read of them is remembered.

    Raises:
        UserError: Its board would be written over another's.
    """
    from benchmark.data.folds import left_aside
    from benchmark.experiment.titles import title_warnings
    from benchmark.leaderboard.boards import refuse_taken
    from benchmark.leaderboard.published import warnings_of_published
    from benchmark.run.plan import damages, test_left_aside, without_score
    from benchmark.run.renamed import renamed

    on_disk.remember()
    warn([*title_warnings(made.experiment.rows), *damages(made.runs)])
    warn([*warnings_of_published(made, request), *without_score(made)])
    warn([aside] if (aside := test_left_aside(made.experiment, request)) else [])
    if made.dataset.fold is not None:
        source, base = made.experiment.dataset, made.experiment.path.parent
        warn([aside] if (aside := left_aside(source, base, request.data_root)) else [])
    warn(renamed(made, on_disk))
    refuse_taken(made, request)
