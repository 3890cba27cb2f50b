"""Weights that a config names by an address are read from this machine: a job asks no server for them.

The sweep has fetched them before it started its jobs, and two jobs that fetch one file at a time would spoil it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmark.files import is_file
from benchmark.job.inputs import NotAsAsked
from benchmark.run.contents import Contents
from benchmark.run.fetched import file_name, hub
from benchmark.run.fetched.places import OWN_VARIABLE, places
from benchmark.run.fetched.soundness import flaw
from benchmark.writing.addresses import public


class NotHere(NotAsAsked):
    """Weights are not on this machine; the next sweep tries again, and fetches them first."""


@contextmanager
def loading(trusted: bool) -> Iterator[None]:
    """Weights that are loaded meanwhile come from this machine, and are loaded as data.

    Args:
        trusted: As of `benchmark.job.weights.guarded`.
    """
    from benchmark.job.weights import guarded

    with _no_network(), guarded(trusted):
        yield


@contextmanager
def _no_network() -> Iterator[None]:
    """Whatever asks torch's hub for a file meanwhile gets it from this machine, or `NotHere`."""
    import torch
    from mmengine.runner import checkpoint

    load: Callable[..., object] = torch.hub.load_state_dict_from_url

    def load_from_disk(
        url: str, model_dir: str | None = None, *args: object, **more: object
    ) -> object:
        if model_dir is not None:
            return load(url, model_dir, *args, **more)
        path = _found(url)
        if path is None:
            raise NotHere(_absent(url))
        return load(url, str(path.parent), *args, **{**more, "file_name": path.name})

    def refuse(url: str, _path: str | Path, *_args: object, **_more: object) -> None:
        raise NotHere(_absent(url))

    ours = {"load_state_dict_from_url": load_from_disk, "download_url_to_file": refuse}
    names, mmengine = vars(torch.hub), vars(checkpoint)
    before = {name: names[name] for name in ours}, mmengine["load_url"]
    names.update(ours)
    mmengine["load_url"] = load_from_disk
    try:
        yield
    finally:
        names.update(before[0])
        mmengine["load_url"] = before[1]


def _found(url: str) -> Path | None:
    """The file that the sweep has found sound, where several have its name; else the only one, for others to judge."""
    there = [path for path in dict.fromkeys(places(url)) if is_file(path)]
    if len(there) < 2:
        return next(iter(there), None)
    contents = Contents()
    return next((path for path in there if flaw(path, contents) is None), there[0])


def _absent(url: str) -> str:
    return (
        f"the weights {public(url)} are not on this machine, neither in {hub()} nor where {OWN_VARIABLE} says; a job "
        f"fetches nothing: give the command again, which does so first, or put {file_name(url)} there"
    )
