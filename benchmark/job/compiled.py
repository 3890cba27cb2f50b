"""``compile``: backbones and necks as `torch.compile` makes them while they train; the rest of a detector is not.

A head's targets and losses have other shapes with every batch, which breaks graphs or compiles for ever. What a
backbone or neck cannot be compiled for is said once, and goes on without.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch._dynamo.exc import FailOnRecompileLimitHit, TorchDynamoException
from torch._dynamo.utils import counters

_PARTS = ("backbone", "neck")
# torch compiles for one shape, then for any; a part that asks for more changes what it does with every batch.
MOST = 8

Say = Callable[[str], None]


def compile_parts(model: torch.nn.Module, settings: object, say: Say) -> None:
    """Has the backbones and necks of a detector compiled when they first see a batch in training.

    What is saved, copied or evaluated of them is what it was.

    Args:
        model: The detector.
        settings: True, or arguments of ``torch.compile``.
        say: Takes a sentence for what cannot be compiled.
    """
    torch._dynamo.config.recompile_limit = MOST
    torch._dynamo.config.fail_on_recompile_limit_hit = True
    torch._inductor.config.compile_threads = torch.get_num_threads()
    given = dict(settings) if isinstance(settings, Mapping) else {}
    parts = dict(_parts(model))
    if not parts:
        say(f"compile: {type(model).__name__} has no backbone or neck to compile")
    for name, part in parts.items():
        # Where `Module.compile` keeps it: no copy of a module has it, and no key of a checkpoint changes.
        part._compiled_call_impl = _Compiled(name, part, given, say)


def _parts(model: torch.nn.Module) -> Iterator[tuple[str, torch.nn.Module]]:
    """The backbones and necks of a detector, those of a student in it too, by name; none that is in another."""
    found: list[str] = []
    for name, module in model.named_modules():
        inside = any(name.startswith(f"{outer}.") for outer in found)
        if name.rpartition(".")[2] in _PARTS and not inside:
            found.append(name)
            yield name, module


class _Compiled:
    """How a part is called: compiled in training, as long as that can be done."""

    def __init__(
        self, name: str, part: torch.nn.Module, settings: Mapping[str, Any], say: Say
    ) -> None:
        self._name, self._part, self._say = name, part, say
        self._plain: Callable[..., object] = part._call_impl
        self._compiled: Callable[..., object] | None = torch.compile(self._plain, **settings)
        self._seen = False

    def __call__(self, *inputs: object, **named: object) -> object:
        if self._compiled is None or not self._part.training:
            return self._plain(*inputs, **named)
        try:
            found = self._compiled(*inputs, **named)
        except (TorchDynamoException, FailOnRecompileLimitHit) as error:
            self._compiled = None
            at = ", ".join(_shapes([*inputs, *named.values()]))
            self._say(
                f"compile: {self._name} goes on without, from a batch of {at} on: {_reason(error)}"
            )
            return self._plain(*inputs, **named)
        if not self._seen:
            self._seen = True
            self._tell_breaks()
        return found

    def _tell_breaks(self) -> None:
        """Says what is not compiled of a part that is compiled in pieces."""
        breaks = counters["graph_break"]
        if breaks:
            why = next(iter(breaks)).strip().splitlines()[0]
            self._say(
                f"compile: {self._name} is compiled in pieces, between {len(breaks)} breaks: {why}"
            )
        breaks.clear()


def _reason(error: Exception) -> str:
    """What torch says of it, without what it says of itself."""
    if isinstance(error, FailOnRecompileLimitHit):
        return f"it has been compiled {MOST} times, and would have to be again"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[: 1 + lines[0].endswith(":")]) if lines else type(error).__name__


def _shapes(values: object) -> Iterator[str]:
    """The shapes of the tensors in what a part is given."""
    if isinstance(values, torch.Tensor):
        yield f"({', '.join(map(str, values.shape))})"
    elif isinstance(values, list | tuple):
        for value in values:
            yield from _shapes(value)
