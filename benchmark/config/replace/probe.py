"""The process that builds backbones and tells what they give; see `benchmark.config.replace.ask`.

It reads a request a line from standard input, and writes an answer a line, both JSON, until its input ends. Models are
built on torch's ``meta`` device where they can be: no memory, no weights, tenths of a second.
"""

from __future__ import annotations

import ast
import inspect
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from benchmark import ops
from benchmark.config.imports import importing_from
from benchmark.config.replace.probe_timm import of_timm, on_meta
from benchmark.errors import nearest, why

if TYPE_CHECKING:
    import torch

# What makes a classifier's backbone give maps, of images of any size, by argument; where it has that.
_AS_BACKBONE = {"gap_before_final_norm": False, "out_type": "featmap", "pad_small_map": True}
Answer = dict[str, object]
_SIDE = 256  # of the image that a backbone is shown
_MOST_LEVELS = 20  # no backbone of mmdet or mmpretrain has more
_NOT_NEEDED = ("init_cfg", "pretrained", "frozen_stages")  # weights, and what is done with them


def main() -> None:
    """Answers until the input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints is no answer
    for line in sys.stdin:
        answers.write(json.dumps(answer(json.loads(line))) + "\n")
        answers.flush()


def answer(request: Mapping[str, object]) -> Answer:
    """What a backbone gives, or ``error``: why nothing can be told.

    Args:
        request: ``timm``: a name; ``mmpretrain`` and ``arch``: a backbone there; or ``backbone``: the source of a
            mapping, with ``modules`` to import and the ``folder`` to look for them in.
    """
    try:
        if "timm" in request:
            return of_timm(str(request["timm"]))
        if "mmpretrain" in request:
            return of_mmpretrain(str(request["mmpretrain"]), str(request["arch"]))
        modules, folder = request.get("modules"), request.get("folder")
        backbone = ast.literal_eval(str(request["backbone"]))
        with importing_from(None if folder is None else str(folder)):
            return of_mmdet(backbone, modules if isinstance(modules, list) else [])
    except Exception as error:  # whatever a model may raise
        return {"error": why(error)}


# Of mmdet's registry


def of_mmdet(backbone: Mapping[str, object], modules: Sequence[str] = ()) -> Answer:
    """What a backbone of mmdet's registry gives.

    Returns:
        ``levels`` and ``given``: ``[index, channels, stride]`` of every map that it can give, and of those that it
        gives as it is; ``chooses``: whether ``out_indices`` chooses among them; ``norm_eval``: whether it takes that.

    Raises:
        Exception: Whatever it raises where it cannot be built.
    """
    kind = _class_of(backbone, modules)
    arguments = _arguments(kind)
    plain = {key: value for key, value in backbone.items() if key not in (*_NOT_NEEDED, "type")}
    model = _Model(kind, plain)
    chosen = plain.get("out_indices", arguments.get("out_indices"))
    given = model.maps(plain, [chosen] if isinstance(chosen, int) else chosen)
    every = model.every() if "out_indices" in arguments else []
    if not every and not given:
        raise ValueError(model.fault or "it gives no maps")
    # Of some, these are no indices of the maps: of SSD's VGG.
    chooses = bool(every) and (chosen is None or all(m in every for m in given if m.place >= 0))
    return {
        "levels": _stages(every if chooses else given),
        "given": [[one.place, one.channels, one.stride] for one in given],
        "chooses": chooses,
        "norm_eval": "norm_eval" in arguments,
    }


def of_mmpretrain(kind: str, arch: str) -> Answer:
    """What a backbone of mmpretrain gives, and ``backbone``: the mapping that makes it give maps.

    Raises:
        ValueError: There is no such backbone, or none whose size one word says.
        Exception: Whatever it raises where there is no such architecture.
    """
    _register()
    import mmpretrain.models.backbones as known

    names = [name for name in dir(known) if isinstance(getattr(known, name), type)]
    if kind not in names:
        raise ValueError(f"mmpretrain has no backbone '{kind}'{nearest(kind, names)}")
    arguments = _arguments(getattr(known, kind))
    if not {"arch", "depth"} & arguments.keys():
        raise ValueError(
            "its size is said neither by an arch nor by a depth: write a part of your own, with "
            f"type='mmpretrain.{kind}' and its arguments in model.backbone"
        )
    size: object = int(arch) if arch.isdecimal() else arch
    backbone = {"type": f"mmpretrain.{kind}", "arch" if "arch" in arguments else "depth": size}
    backbone |= {key: value for key, value in _AS_BACKBONE.items() if key in arguments}
    return {**of_mmdet(backbone, ["mmpretrain.models"]), "backbone": backbone}


def _class_of(backbone: Mapping[str, object], modules: Sequence[str]) -> type[torch.nn.Module]:
    _register()
    from mmdet.registry import MODELS
    from mmengine.utils import import_modules_from_strings

    import_modules_from_strings(list(modules))
    kind = MODELS.get(str(backbone.get("type")))
    if kind is None:
        raise ValueError(f"no model '{backbone.get('type')}' is registered")
    found: type[torch.nn.Module] = kind
    return found


@lru_cache(maxsize=1)
def _register() -> None:
    import torch

    torch.set_num_threads(1)
    ops.install()
    from mmdet.utils import register_all_modules

    register_all_modules(init_default_scope=True)


def _arguments(kind: type) -> dict[str, object]:
    """What a class takes, and hands on to its bases, with the defaults."""
    taken: dict[str, object] = {}
    for one in kind.__mro__:
        parameters = inspect.signature(one.__init__).parameters.values()  # type: ignore[misc]
        named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
        taken = {p.name: p.default for p in named if p.name != "self"} | taken
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return taken


class _Map(NamedTuple):
    """A map that a model gives; ``of_head`` where a single convolution of 1 x 1 makes it."""

    place: int
    channels: int
    stride: int
    of_head: bool


def _stages(maps: Sequence[_Map]) -> list[list[int]]:
    """Without the last convolution of a classifier, which has the stride of the stage before it."""
    stages = {one.stride for one in maps if not one.of_head}
    kept = [one for one in maps if not one.of_head or one.stride not in stages]
    return [[one.place, one.channels, one.stride] for one in kept]


class _Model:
    """A class of models, tried with several arguments, on the first device that it can be built on."""

    def __init__(self, kind: type[torch.nn.Module], arguments: Mapping[str, object]) -> None:
        self._kind, self._arguments = kind, arguments
        self._device: Callable[[], AbstractContextManager[None]] = on_meta
        self.fault = ""

    def maps(self, arguments: Mapping[str, object], chosen: object) -> list[_Map]:
        """What comes out; empty where it raises, on the CPU as well."""
        found = self._attempt(arguments, chosen)
        if not found:  # it computes with values while it is built
            self._device = nullcontext
            found = self._attempt(arguments, chosen)
        return found

    def every(self) -> list[_Map]:
        """All maps that ``out_indices`` can choose: as many as there are before it raises."""
        best = next(filter(None, map(self._first, (4, 3, 2, 1))), [])
        while len(best) in range(4, _MOST_LEVELS) and len(more := self._first(len(best) + 1)) > len(
            best
        ):
            best = more
        return best

    def _first(self, count: int) -> list[_Map]:
        chosen = tuple(range(count))
        return self._attempt({**self._arguments, "out_indices": chosen}, chosen)

    def _attempt(self, arguments: Mapping[str, object], chosen: object) -> list[_Map]:
        try:
            with self._device():
                return _run(self._kind, arguments, chosen)
        except Exception as error:  # an index that there is not: each class says so in its own way
            self.fault = self.fault or why(error)
            return []


def _run(
    kind: type[torch.nn.Module], arguments: Mapping[str, object], chosen: object
) -> list[_Map]:
    import torch

    model = kind(**arguments)
    model.eval()  # some of mmdet's return nothing here
    last: dict[int, torch.nn.Module] = {}

    def note(module: torch.nn.Module, _: object, result: object) -> None:
        last[id(result)] = module

    hooks = [m.register_forward_hook(note) for m in model.modules() if m is not model]
    with torch.no_grad():
        maps = model(torch.zeros(1, 3, _SIDE, _SIDE))
    for hook in hooks:
        hook.remove()
    maps = maps if isinstance(maps, tuple | list) else [maps]
    if not all(isinstance(one, torch.Tensor) and one.ndim == 4 for one in maps):
        raise ValueError("it gives no maps")
    named = list(chosen) if isinstance(chosen, Sequence) else []
    indices = named if len(named) == len(maps) else range(len(maps))
    return [
        _Map(int(i), one.shape[1], _SIDE // one.shape[-1], _is_pointwise(last.get(id(one))))
        for i, one in zip(indices, maps, strict=True)
    ]


def _is_pointwise(module: torch.nn.Module | None) -> bool:
    conv = getattr(module, "conv", None)
    return type(module).__name__ == "ConvModule" and getattr(conv, "kernel_size", 0) == (1, 1)
