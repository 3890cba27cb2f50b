"""``precision`` and ``compile``: what makes a training faster and changes its numbers, and with them its run id.

Both are keys of an experiment, keys of ``set``, and options of commands. Each says in a word what takes several keys
of mmdet's, and comes after all of these. A row that is not trained is left as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import get_args

from benchmark.config.overrides import key_path
from benchmark.config.tree import Config
from benchmark.config.vocabulary.signatures import WRAPPERS
from benchmark.config.vocabulary.words import class_of, mapping_of
from benchmark.errors import allowed, few, shown
from benchmark.experiment.experiment import Experiment, Precision, Row
from benchmark.experiment.rows.base import Surroundings

PRECISION, COMPILE = "precision", "compile"
PLAIN, AMP = "OptimWrapper", "AmpOptimWrapper"
_MIXED = (AMP, "ApexOptimWrapper")
_WORDS = {
    "fp32": "trained in float32",
    "amp": "trained in float16 where that is safe",
    "bf16": "trained in bfloat16 where that is safe",
}
# Of a wrapper, what says how precise it is.
_OF_WRAPPER = ("type", "dtype", "loss_scale")


@dataclass(frozen=True)
class Faster:
    """What is asked of a training; None leaves it as its config says.

    Attributes:
        precision: ``fp32``, ``amp`` (float16) or ``bf16``.
        compile: Whether its model is compiled, or the arguments of ``torch.compile``.
    """

    precision: Precision | None = None
    compile: bool | Mapping[str, object] | None = None


def is_faster(key: str) -> bool:
    """Whether a key of ``set`` is one of these two, and none of mmdet's."""
    return key_path(key) in (PRECISION, COMPILE)


def asked_of(row: Row, around: Surroundings, overrides: Mapping[str, object]) -> Faster:
    """What is asked of a row: by the command line, else by its own ``set``, else by the experiment.

    A ``set`` that names a wrapper of the optimizer, or its dtype, says more than the experiment's ``precision``.
    """
    found = Faster()
    if not row.recipe.trains():
        return found
    of_experiment = {PRECISION: around.precision, COMPILE: around.compile}
    for level in (of_experiment, row.overrides, overrides):
        own = {key_path(key): value for key, value in level.items()}
        if sets_wrapper(own):
            found = replace(found, precision=None)
        given = {key: own[key] for key in (PRECISION, COMPILE) if own.get(key) is not None}
        found = replace(found, **given)  # type: ignore[arg-type]  # `wrong_in` has looked at them
    return found


def wrong_in(overrides: Mapping[str, object]) -> Iterator[str]:
    """What is wrong with both in a ``set`` or on a command line, a message each that names the key."""
    own = {key_path(key): value for key, value in overrides.items()}
    precision, compiled = own.get(PRECISION), own.get(COMPILE)
    if precision is not None and precision not in get_args(Precision):
        yield f"{PRECISION}: {shown(precision)}; {allowed(str(precision), get_args(Precision))}"
    elif precision is not None and (twice := sets_wrapper(own)):
        yield f"{PRECISION}: {few(twice)} say the same; leave one out"
    if compiled is not None and not isinstance(compiled, bool | dict):
        yield f"{COMPILE}: {shown(compiled)}; write true or false, or the arguments of torch.compile"


def sets_wrapper(overrides: Mapping[str, object]) -> list[str]:
    """The key paths of overrides that say how precise a training is, in mmdet's own words."""
    own = {key_path(key): value for key, value in overrides.items()}
    whole = mapping_of(own.get("optim_wrapper"))
    keys = [f"optim_wrapper.{name}" for name in _OF_WRAPPER]
    return [key for key in keys if key in own or key.rpartition(".")[2] in whole]


def make_faster(config: Config, asked: Faster) -> list[str]:
    """Writes what is asked into a config, in place, in mmdet's own words.

    Args:
        config: A merged config, of which nothing is shared.
        asked: What is asked of it.

    Returns:
        What stands against it, a message each.
    """
    if asked.compile is False:
        config.pop(COMPILE, None)
    elif asked.compile is not None:
        config[COMPILE] = config.get(COMPILE) or True if asked.compile is True else asked.compile
    if asked.precision is None:
        return []
    return _set_precision(config, asked.precision)


def _set_precision(config: Config, precision: Precision) -> list[str]:
    wrapper = config.get("optim_wrapper")
    if not isinstance(wrapper, dict):
        return []  # which is told as such
    name = class_of(wrapper) or PLAIN
    if name not in (PLAIN, *_MIXED):
        return [
            f"{PRECISION}: {precision}: optim_wrapper is {shown(name)}, which has a precision of its own; leave it out"
        ]
    if precision == "fp32":
        use_full_precision(config)
    else:
        _mix(wrapper, name, precision)
    return []


def _mix(wrapper: Config, name: str, precision: Precision) -> None:
    """Has a wrapper train in mixed precision; one that does so in float16 already is left as it is."""
    _become(wrapper, name, AMP)
    if precision == "bf16":
        # Its range is float32's: with nothing to scale, no step is skipped, and a CPU takes the same ones.
        wrapper.update(dtype="bfloat16", loss_scale=1.0)
    elif wrapper.get("dtype") not in (None, "float16"):
        # A scale that was chosen for another range would lose float16's small gradients.
        wrapper.update(dtype="float16", loss_scale="dynamic")


def use_full_precision(config: Config) -> list[str]:
    """Trains and evaluates in full precision, in place; returns what was changed, a line each."""
    changes = []
    wrapper = mapping_of(config.get("optim_wrapper"))
    name = class_of(wrapper)
    if name in _MIXED:
        _become(wrapper, name, PLAIN)
        changes.append(f"{name} -> {PLAIN}")
    for key in ("val_cfg", "test_cfg"):
        if mapping_of(config.get(key)).pop("fp16", False):
            changes.append(f"{key}.fp16 dropped")
    return changes


def _become(wrapper: Config, name: str, other: str) -> None:
    """Makes a wrapper one of another class, with the arguments that this one takes."""
    if name != other:
        for argument in {*WRAPPERS[name].arguments} - {*WRAPPERS[other].arguments}:
            wrapper.pop(argument, None)
        wrapper["type"] = other


def precision_of(config: Mapping[str, object]) -> str:
    """What a config trains in: ``fp32``, ``amp`` or ``bf16``."""
    wrapper = mapping_of(config.get("optim_wrapper"))
    if class_of(wrapper) != AMP:
        return "fp32"
    return "bf16" if wrapper.get("dtype") == "bfloat16" else "amp"


def told(asked: Faster, config: Config) -> list[str]:
    """What is asked of a run beside its config's own words, a line each.

    Args:
        asked: What is asked.
        config: The composed config.
    """
    half = mapping_of(config.get("val_cfg")).get("fp16")
    evaluated = "half precision (val_cfg.fp16)" if half else "float32"
    lines = []
    if asked.precision is not None:
        words = f"{_WORDS[asked.precision]}, evaluated in {evaluated}"
        lines.append(f"{PRECISION}: {asked.precision}: {words}")
    if asked.compile is not None:
        lines.append(
            f"{COMPILE}: {'backbone and neck' if asked.compile else 'nothing'}, in training"
        )
    return lines


def in_title(experiment: Experiment, overrides: Mapping[str, object]) -> str:
    """What all rows of a table are changed by, in its title: what the experiment asks for, and a command line."""
    own = {PRECISION: experiment.precision, COMPILE: experiment.compile}
    changed = {key: value for key, value in own.items() if value is not None} | {
        key_path(key) if is_faster(key) else key.removesuffix("!"): value
        for key, value in overrides.items()
    }
    return ", ".join(f"{key}={value}" for key, value in changed.items())


def as_options(overrides: Mapping[str, object]) -> list[str]:
    """Overrides of a command line as the options that give them."""
    return [_option(key_path(key) if is_faster(key) else key, v) for key, v in overrides.items()]


def _option(key: str, value: object) -> str:
    if key == PRECISION:
        return f"--{PRECISION} {value}"
    if key == COMPILE and isinstance(value, bool):
        return f"--{COMPILE}" if value else f"--no-{COMPILE}"
    return f"--set {key}={value}"


def option_names(overrides: Iterable[str]) -> str:
    """The names of the options that give overrides: ``--set``, ``--precision``."""
    names = [f"--{key_path(key)}" if is_faster(key) else "--set" for key in overrides]
    return ", ".join(dict.fromkeys(names))
