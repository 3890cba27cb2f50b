"""What kind a value of a config is: an override has the kind of what it replaces.

mmengine takes whatever stands in a config, and a text where a list belongs may change a training without an error:
``MultiStepLR`` reads the milestones of ``"[8 11]"`` letter by letter, and none of them is ever an epoch.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Sequence
from contextlib import suppress

from benchmark.config.config_file import merged
from benchmark.config.tree import Config, is_list
from benchmark.errors import shown

# mmdet's Resize takes one size, and those that choose a size take a list of them.
_ONE_SIZE_OR_SEVERAL = ("scale", "img_scale")
# mmdet's necks and heads, and mmcv's ConvModule, read a switch or a word: 'on_input', 'auto'.
_SWITCH_OR_WORD = ("add_extra_convs", "bias", "conv_bias")
# Counts, by the names that mmengine and mmdet give them; a factor or a weight may be a float where an int stood.
_COUNTS = re.compile(
    r"(base_)?batch_size|max_(epochs|iters|keep_ckpts|per_img)|(\w+_)?interval|val_begin|milestones|num_\w+"
    r"|(\w+_)?channels|(base_)?depths?|(start|end)_level|frozen_stages|out_indices|strides|dilations|groups"
    r"|stacked_convs|nms_pre|prefetch_factor|pad_size_divisor|accumulative_counts"
)
_ENDS_OF_LISTS = ("[", "(", "{")
_SWITCHES = {"yes": "true", "on": "true", "no": "false", "off": "false"}


def fitted(path: str, old: object, new: object) -> tuple[object, list[str]]:
    """A new value in the shape of the old one, and what is wrong with it.

    Args:
        path: Key path of both, for the messages.
        old: What stands there; None where there is nothing, or nothing yet.
        new: What is to stand there: a mapping is merged into a mapping, and each of its values has to fit.

    Returns:
        The value: tuples stay tuples, which YAML cannot say, and counts whole numbers. And a message for each value
        that is of another kind than the old one, each of which begins with its key path.
    """
    problems: list[str] = []
    value = _fitted(path, old, new, problems)
    return _into(old, value), problems


def forced(old: object, new: object) -> object:
    """A new value of any kind: a mapping is merged into a mapping, tuples stay tuples, nothing is compared."""
    return _into(old, _like(old, new))


def _into(old: object, new: object) -> object:
    if isinstance(old, dict) and isinstance(new, dict):
        return merged({"": new}, {"": old})[""]
    return new


def _fitted(path: str, old: object, new: object, problems: list[str]) -> object:
    if isinstance(old, dict) and isinstance(new, dict):
        return _mapping(path, old, new, problems)
    if problem := _misfit(path, old, new):
        problems.append(f"{path}: {problem}")
        return new
    return _like(old, _counted(path, new))


def _mapping(path: str, old: Config, new: Config, problems: list[str]) -> Config:
    problems += [
        f"{path}: '{key}' within a mapping: '+' and '!' belong to a whole key path, {path}.{_bare(key)}"
        for key in map(str, new)
        if _bare(key) != key
    ]
    if new.get("_delete_", False):
        return new
    return {
        key: _fitted(f"{path}.{key}", old[key], value, problems) if key in old else value
        for key, value in new.items()
    }


def _bare(key: str) -> str:
    return key.removeprefix("+").removesuffix("!")


def _misfit(path: str, old: object, new: object) -> str | None:
    """What is wrong with a value, None if it may stand where the old one stands."""
    key, was, is_now = _name(path), kind(old), kind(new)
    if (strange := _strange(new)) is not None:
        return (
            f"{strange} is no value of a config ({type(strange).__name__}); in quotes it is a text"
        )
    if was == "none" or is_now == "none":
        return _broken_list(path, new) if was == "none" else None
    if was != is_now and not (key in _SWITCH_OR_WORD and {was, is_now} == {"switch", "text"}):
        return f"{shown(new)} is a {is_now}; the value there is a {was} ({shown(old)}){_how(path, old, new)}"
    if is_list(old) and is_list(new) and _differ(key, old, new):
        there = f"the value there is a {described(old)} ({shown(old)})"
        return f"{shown(new)} is a {described(new)}; {there}{_how(path, old, new)}"
    if _COUNTS.fullmatch(key) and not _has_fractions(old) and _has_fractions(new):
        return (
            f"{shown(new)} is not whole; the value there is a count ({shown(old)}){_anyhow(path)}"
        )
    return None


def _name(path: str) -> str:
    """The key that a value has a name by: the one before its index in a list."""
    names = [key for key in path.split(".") if not key.isdecimal()]
    return names[-1] if names else path


def _strange(value: object) -> object | None:
    """The first value in it that no config holds: a date or a set, for example."""
    if isinstance(value, dict):
        value = list(value.values())
    if is_list(value):
        return next((found for item in value if (found := _strange(item)) is not None), None)
    return value if kind(value) == "other" else None


def kind(value: object) -> str:
    """What a value is, in a word of messages; ``other`` for what no config holds."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "switch"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, dict):
        return "mapping"
    if is_list(value):
        return "list"
    return "text" if isinstance(value, str) else "other"


def described(value: Sequence[object]) -> str:
    """A list with the kinds of its items: ``list of numbers``."""
    kinds = dict.fromkeys(kind(item) for item in value if item is not None)
    words = {"switch": "switches", "none": "nothing", "other": "other things"}
    return f"list of {' and '.join(words.get(k, f'{k}s') for k in kinds) or 'nothing'}"


def _differ(key: str, old: Sequence[object], new: Sequence[object]) -> bool:
    """Whether the items are of other kinds, however deep; an empty list says nothing of its items."""
    known = {kind(item) for item in old if item is not None}
    found = {kind(item) for item in new if item is not None}
    if not known or found <= known:
        inner = next((item for item in old if is_list(item)), ())
        return any(_differ("", inner, item) for item in new if is_list(item) and inner)
    return not (key in _ONE_SIZE_OR_SEVERAL and known | found == {"number", "list"})


def _has_fractions(value: object) -> bool:
    if is_list(value):
        return any(map(_has_fractions, value))
    return isinstance(value, float) and not value.is_integer()


def _counted(path: str, new: object) -> object:
    """Counts written as floats, ``2.0``, as the whole numbers that they are: torch takes no other."""
    return _whole(new) if _COUNTS.fullmatch(_name(path)) else new


def _whole(value: object) -> object:
    if isinstance(value, list | tuple):
        return type(value)(map(_whole, value))
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _broken_list(path: str, new: object) -> str | None:
    """A text that was meant to be a list, put where nothing says what belongs there."""
    if not isinstance(new, str) or not new.startswith(_ENDS_OF_LISTS):
        return None
    try:
        ast.literal_eval(new)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        example = f"as in --set '{path}=[8, 11]', or {path}: [8, 11] in YAML"
        return f"{new!r} is a text and no list or mapping: write those {example}{_anyhow(path)}"
    return None


def _how(path: str, old: object, new: object) -> str:
    """How a value of the kind that belongs there is written."""
    if kind(old) == "number" and isinstance(new, str) and (number := _number(new)) is not None:
        exponent = (
            " (YAML reads an exponent only after a decimal point)" if "e" in new.lower() else ""
        )
        return f"; write it as {number!r}{exponent}{_anyhow(path)}"
    if kind(old) == "switch" and str(new).lower() in _SWITCHES:
        return f"; write it as {_SWITCHES[str(new).lower()]}{_anyhow(path)}"
    if isinstance(old, dict):
        return _anyhow(path)
    example = json.dumps(_example(old), ensure_ascii=False)
    return f": write --set '{path}={example}', or {path}: {example} in YAML{_anyhow(path)}"


def _anyhow(path: str) -> str:
    return f"; '{path}!' takes any type"


def _number(text: str) -> float | None:
    for read in (int, float):
        with suppress(ValueError):
            return read(text)
    return None


def _example(old: object) -> object:
    """The old value, of a list the first two items; two numbers for an empty one."""
    if isinstance(old, list | tuple):
        return [_example(item) for item in old[:2]] or [1, 2]
    return {} if isinstance(old, dict) else old


def _like(old: object, new: object) -> object:
    if not isinstance(new, list | tuple) or not isinstance(old, list | tuple):
        return new
    items = [_like(old[min(i, len(old) - 1)], item) for i, item in enumerate(new)] if old else new
    return type(old)(items)
