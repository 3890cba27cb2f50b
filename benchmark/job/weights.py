"""Checkpoints are data: they are loaded without running anything of them, unless the user trusts them.

A checkpoint is a pickle, and a pickle names functions that are called when it is loaded. torch loads it with
``weights_only=True``: tensors, and what else is on a list. mmengine's own loaders take such a file in full as soon as
that fails (``_safe_torch_load``), or at once (addresses); here nothing does.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PosixPath
from pickle import UnpicklingError
from typing import TypedDict, cast

import torch
from mmengine.fileio.handlers.registry_utils import PickleHandler, YamlHandler
from mmengine.logging import HistoryBuffer
from mmengine.optim.scheduler.param_scheduler import OneCycleParamScheduler
from mmengine.runner.checkpoint import get_torch_safe_globals
from typing_extensions import NotRequired

from benchmark.errors import printable
from benchmark.job.inputs import NotAsAsked
from benchmark.run.arrays import NUMPY, NumpyArray, NumpyDtype
from benchmark.run.pickles import DATA, IF_TRUSTED, refusal

_OTHER_KIND = "numpy's data type"
_LATER_PROTOCOL = re.compile(
    r"Unsupported operand 149\b"
)  # FRAME, the first of those of protocol 4
_REFUSED = re.compile(r"GLOBAL (\S+)|(TorchScript)|unrecognized function (.{1,100})")


class NotTrusted(NotAsAsked):
    """A file would run code when it is loaded; the next sweep tries again, and may be told to trust it."""


@contextmanager
def guarded(trusted: bool) -> Iterator[None]:
    """Whatever is loaded meanwhile, by whichever library, is loaded as data.

    Args:
        trusted: Loads everything in full, as mmengine does it in the end.
    """
    before = torch.load, PickleHandler.load_from_fileobj, YamlHandler.load_from_fileobj
    torch.load = _load_all if trusted else _load_data
    if not trusted:
        PickleHandler.load_from_fileobj = _no_pickle
        YamlHandler.load_from_fileobj = _safe_yaml
    try:
        yield
    finally:
        torch.load, PickleHandler.load_from_fileobj, YamlHandler.load_from_fileobj = before


_LOAD: Callable[..., object] = torch.load


class Meta(TypedDict, total=False):
    """What a checkpoint says of itself: the run, and how far it is; ``cfg`` is its config as text."""

    run_id: str
    finished: bool
    epoch: int
    iter: int
    best: float
    cfg: str


class Checkpoint(TypedDict):
    """What mmengine saves of a training; weights by the names of the model."""

    meta: Meta
    state_dict: dict[str, torch.Tensor]
    optimizer: NotRequired[object]


def load_checkpoint(path: Path) -> Checkpoint:
    """A checkpoint of a training as data; its tensors stay in the file until they are used.

    Raises:
        NotTrusted: It would run code, and is not trusted (`guarded`).
        Exception: Whatever torch raises of a file that is damaged, or something else.
    """
    load: Callable[..., object] = _load_data if torch.load is _LOAD else torch.load
    return cast("Checkpoint", load(path, map_location="cpu", mmap=True))


def _load_all(f: object, *args: object, **kwargs: object) -> object:
    """``torch.load``, whose default is data alone."""
    return _LOAD(f, *args, **{"weights_only": False, **kwargs})


def _load_data(f: object, *args: object, **kwargs: object) -> object:
    """``torch.load``, but of data alone, with the few things beside tensors that real checkpoints hold."""
    kwargs = {key: value for key, value in kwargs.items() if key != "pickle_module"}
    positional = args[:1]  # the device; the pickle module behind it is not taken
    try:
        with _allowed():
            content = _LOAD(f, *positional, **{**kwargs, "weights_only": True})
    except (UnpicklingError, RuntimeError, EOFError) as error:
        raise _worded(error, f) from None
    try:
        return _real(content, set())
    except RecursionError:
        raise ValueError(f"{f}: cannot be loaded as data: it is nested too deeply") from None


@contextmanager
def _allowed() -> Iterator[None]:
    """Puts our stand-ins in the place of what mmengine allows: ``getattr`` among it, which leads to anything."""
    before = torch.serialization.get_safe_globals()
    theirs = get_torch_safe_globals()
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals([*(one for one in before if one not in theirs), *_ALLOWED])
    try:
        yield
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(before)


def _worded(error: Exception, file: object) -> Exception:
    """An error of torch's without its advice, which is to load the file in full."""
    if refused := _REFUSED.search(str(error)):
        return NotTrusted(f"{file}: {refusal(filter(None, refused.groups()))}")
    if isinstance(error, EOFError):
        return UnpicklingError(f"{file}: is empty, or cut short")
    if not isinstance(error, UnpicklingError):  # out of memory, say, which has a type of its own
        return RuntimeError(f"{file}: {error}") if type(error) is RuntimeError else error
    what = str(error).rpartition("WeightsUnpickler error:")[2].partition("Check the doc")[0].strip()
    if _LATER_PROTOCOL.search(what):
        what = "it is in a later protocol of pickle than torch loads as data"
    elif _OTHER_KIND not in what:
        return UnpicklingError(f"{file}: cannot be loaded as data: {printable(what)[:300]}")
    return NotTrusted(f"{file}: cannot be loaded as data: {what}; {IF_TRUSTED}")


def _no_pickle(_handler: object, _file: object, **_kwargs: object) -> object:
    raise NotTrusted(
        f"a file that the config names, as proposal_file does, {refusal(['a pickle'])}"
    )


def _safe_yaml(_handler: object, file: object, **_kwargs: object) -> object:
    import yaml

    return yaml.safe_load(file)  # type: ignore[arg-type]


# What stands in a pickle for objects of mmengine, as those of `benchmark.run.arrays` do for numpy's.


class _History:
    """mmengine's `HistoryBuffer`; its functions are not taken from a file."""

    def __setstate__(self, state: Mapping[str, object]) -> None:
        self.state = state

    @property
    def real(self) -> HistoryBuffer:
        names = ("_log_history", "_count_history")
        values, counts = (_real(self.state.get(name, ()), set()) for name in names)
        return HistoryBuffer(
            values, counts, int(cast("int", self.state.get("max_length", 1_000_000)))
        )


class _OneCycle:
    """Names mmengine's scheduler of that name, two of whose functions are in its state."""


class _Function:
    """A function that a pickle names by its class."""

    def __init__(self, owner: object, name: str) -> None:
        known = owner is _OneCycle and name in ("_annealing_cos", "_annealing_linear")
        self.real = getattr(OneCycleParamScheduler, name) if known else None


def _mapping(content: dict[str, object]) -> dict[str, object]:
    """Mmengine's `ConfigDict`, such as a data set's ``metainfo``: a mapping of plain values."""
    if type(content) is not dict:
        raise UnpicklingError("a mapping of mmengine's of something else")
    return content


_STAND_INS: dict[str, Callable[..., object]] = {
    "ConfigDict": _mapping,
    "HistoryBuffer": _History,
    "OneCycleParamScheduler": _OneCycle,
    "getattr": _Function,
    "bytes": lambda: b"",  # what pickle writes of no bytes
    "Namespace": argparse.Namespace,
    "PosixPath": PosixPath,
    "TorchVersion": str,
}
_ALLOWED: list[Callable[..., object] | tuple[Callable[..., object], str]] = [
    (NUMPY.get(name) or _STAND_INS[name.rpartition(".")[2]], name) for name in sorted(DATA)
]
_STANDING = (NumpyArray, NumpyDtype, _History, _Function)


def _real(node: object, seen: set[int]) -> object:
    """What was loaded, with real objects in the place of those that stood for them; changed in place."""
    if isinstance(node, _STANDING):
        return node.real
    if type(node) is tuple:
        return tuple(_real(item, seen) for item in node)
    if id(node) in seen:
        return node
    if isinstance(node, dict):
        seen.add(id(node))
        for key in list(node):  # `update` of a Counter adds: milestones would count twice
            node[key] = _real(node[key], seen)
    elif type(node) is list:
        seen.add(id(node))
        node[:] = [_real(item, seen) for item in node]
    elif isinstance(node, argparse.Namespace):
        _real(vars(node), seen)
    return node
