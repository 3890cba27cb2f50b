"""Which checkpoint a training goes on from: the newest that is whole, of this very run and of this very model."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from torch import Tensor
from typing_extensions import NotRequired, TypedDict

from benchmark.errors import fault_of, few
from benchmark.job.weights import NotTrusted, load_checkpoint
from benchmark.run import checkpoints
from benchmark.run.fields import Checked, Count, Flag, Number
from benchmark.run.journal import now

# In the meta of a checkpoint.
RUN_ID, FINISHED, RANDOMNESS = "run_id", "finished", "randomness"
_WORK_DIR = re.compile(r"^work_dir *= *(.+)$", re.MULTILINE)


class _Meta(TypedDict):
    """What a checkpoint says of how far its training was, and of the best value before; 0.1 says less."""

    epoch: NotRequired[Count]
    iter: NotRequired[Count]
    best: NotRequired[Number]
    finished: NotRequired[Flag]


_META = Checked(_Meta)


class Unloadable(Exception):
    """A checkpoint that looked whole could not be loaded.

    Attributes:
        path: The checkpoint.
    """

    def __init__(self, path: Path, why: str) -> None:
        self.path = path
        super().__init__(f"it cannot be loaded ({why})")


def not_taken(path: Path, why: object) -> None:
    """Prints that a checkpoint is passed over."""
    print(f"{now()} checkpoint {path.name} is not taken: {why}", flush=True)


def newest_own(
    folder: Path,
    ids: tuple[str, ...],
    weights: Mapping[str, Tensor],
    objection: Callable[[Path], str | None] = lambda _: None,
) -> Path | None:
    """The newest checkpoint that the run may go on from; what is passed over is printed, with the reason.

    Args:
        folder: Folder of the checkpoints.
        ids: Every id that the run has had.
        weights: What its model holds, by name; of a checkpoint the same names and shapes are asked for.
        objection: What else stands against one that is whole and the run's own; None if nothing.

    Returns:
        The file, None where there is none: the training starts anew.
    """
    for path in checkpoints.saved(folder):
        reason = why_not(path, ids, weights, to_resume=True) or objection(path)
        if reason is None:
            return path
        not_taken(path, reason)
    return None


def iteration_of(path: Path) -> int:
    """Training iterations done at a checkpoint that `why_not` has nothing against; -1 where it does not say."""
    return load_checkpoint(path)["meta"].get("iter", -1)


def why_not(
    path: Path, ids: tuple[str, ...], weights: Mapping[str, Tensor], to_resume: bool = False
) -> str | None:
    """Why a checkpoint is not one of a run, or ``to_resume`` none that it may go on from; None if it is.

    See `newest_own`.

    Raises:
        NotTrusted: It would run code when it is loaded.
    """
    if not checkpoints.is_whole(path):
        return "it is damaged"
    try:
        content = load_checkpoint(path)
        _META(content["meta"])
        of, other = _run_of(content["meta"]), difference(content["state_dict"], weights)
    except (
        NotTrusted
    ):  # it may be the work of days: whoever made it decides, and nothing begins anew
        raise
    except Exception as error:  # whatever a file may hold
        if fault_of(error) is not None:
            raise
        return f"it is no checkpoint of a training ({type(error).__name__}: {error})"
    if of not in ids:
        return f"it is of run {of}" if of else "it does not say which run it is of"
    if content["meta"].get(FINISHED):
        return "it is what a training has ended with, without the optimizer's state"
    if to_resume and "optimizer" not in content:  # that of a best validation under another name
        return "it is without the optimizer's state"
    return other


def _run_of(meta: Mapping[str, object]) -> str | None:
    """The run that a checkpoint is of: in its meta, or the name of the run folder that it was trained in.

    Checkpoints of version 0.1 have the config alone, whose ``work_dir`` lies in that folder.
    """
    if RUN_ID in meta:
        return str(meta[RUN_ID])
    found = _WORK_DIR.search(str(meta.get("cfg", "")))
    return Path(ast.literal_eval(found[1])).parent.name if found else None


def difference(state: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> str | None:
    """What tells the weights of a checkpoint from those of a model, by their names and shapes; None if nothing does."""
    lacking, unknown = weights.keys() - state.keys(), state.keys() - weights.keys()
    shaped = [k for k in weights.keys() & state.keys() if state[k].shape != weights[k].shape]
    found = {"lacks": lacking, "has beside": unknown, "has in other shapes": shaped}
    told = [f"it {what} {few(sorted(names), 3)}" for what, names in found.items() if names]
    return f"it is of another model: {'; '.join(told)}" if told else None
