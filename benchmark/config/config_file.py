"""mmengine's config files: read and merged without importing mmengine if possible, and written."""

from __future__ import annotations

import ast
import keyword
import math
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from functools import lru_cache
from pathlib import Path, PurePath
from types import FunctionType, ModuleType
from typing import Any

from benchmark.config.bases import State, base_file, state_of
from benchmark.config.tree import Config
from benchmark.errors import UserError

_WIDTH = 100
_RESERVED = ("_base_", "env_variables", "filename", "pretty_text", "text")  # by mmengine.Config


def merged(new: Config, old: Config) -> Config:
    """Merges ``new`` into ``old`` as ``mmengine.Config`` merges a file into its bases.

    Mappings merge key by key, everything else is replaced, and a mapping with ``_delete_=True``
    replaces the old one. As in mmengine, ``_delete_`` stays where there was nothing to delete, for
    a later merge.

    Args:
        new: Wins over ``old``; unchanged.
        old: Unchanged; parts of both are shared by the result.

    Raises:
        TypeError: A mapping would be merged into something else; the message names the key.
    """
    result = dict(old)
    for key, value in new.items():
        result[key] = _merged_value(key, value, old) if isinstance(value, dict) else value
    return result


def _merged_value(key: str, value: Config, old: Config) -> Config:
    if key not in old:
        return value
    unmarked = {k: v for k, v in value.items() if k != "_delete_"}
    if value.get("_delete_", False):
        return unmarked
    if not isinstance(old[key], dict):
        kind = type(old[key]).__name__
        raise TypeError(
            f"'{key}' is a mapping, but what it would merge into is {kind}; "
            "with _delete_=True it replaces that"
        )
    return merged(unmarked, old[key])


def plain(config: Config) -> Config:
    """A deep copy in which nothing is shared, without mmengine's ``_delete_`` marks."""
    return {key: _plain(value) for key, value in config.items() if key != "_delete_"}


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return plain(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return tuple(map(_plain, value)) if isinstance(value, tuple) else value


def load_config(path: Path) -> Config:
    """Reads one config file and its bases as ``mmengine.Config.fromfile`` does.

    Plain Python files and their ``_base_`` are read here. Files with ``{{ }}``, ``read_base`` or
    imports from outside the standard library go to mmengine, which takes half a second to import.

    Args:
        path: A ``.py`` file. Read once a process, as long as neither it nor a file that it rests on changes.

    Returns:
        The config. It is shared: do not change it.

    Raises:
        UserError: The file cannot be read or raises; the message names it.
    """
    return _load(path, state_of(str(path)))


@lru_cache(maxsize=1024)
def _load(path: Path, _state: State) -> Config:
    path = path.resolve()
    try:
        source = path.read_text(encoding="utf-8")
        tree = ast.parse(source, str(path))
        simple = "{{" not in source and not any(_needs_mmengine(node) for node in ast.walk(tree))
        # What a file prints is no part of what a command prints.
        with redirect_stdout(sys.stderr):
            config = _run(tree, path) if simple else _load_with_mmengine(path)
        return {key: _settled(value) for key, value in config.items()}
    except UserError:
        raise
    except (Exception, SystemExit) as error:  # whatever a config file may raise
        raise UserError(f"{path}: cannot be loaded: {type(error).__name__}: {error}") from error


def _settled(node: Any) -> Any:
    """A value with paths as text, and numbers of numpy as Python's: so they are written, and count in an id."""
    if isinstance(node, dict):
        return {key: _settled(value) for key, value in node.items()}
    if type(node) in (list, tuple):
        return type(node)(map(_settled, node))
    if isinstance(node, PurePath):
        return str(node)
    if type(node).__module__ == "numpy" and getattr(node, "ndim", None) == 0:
        return node.item()
    return node


def unwritable(node: object, key: str = "") -> Iterator[str]:
    """A message for each value that a config file cannot hold, with its key path."""
    if isinstance(node, dict):
        for name, value in node.items():
            yield from unwritable(value, f"{key}.{name}".lstrip("."))
    elif isinstance(node, list | tuple):
        for at, value in enumerate(node):
            yield from unwritable(value, f"{key}.{at}")
    elif not (node is None or isinstance(node, str | int | float)):
        yield f"{key}: {_cannot_hold(node)}"


def _cannot_hold(value: object) -> str:
    if callable(value):
        name = getattr(value, "__qualname__", type(value).__name__)
        return (
            f"a config cannot hold {name}, which is made in the file itself; put it into a module of its own, name "
            "that in custom_imports, and write the name under which it is registered"
        )
    return f"a config cannot hold {value!r}: only text, numbers, lists, tuples and mappings"


def _needs_mmengine(node: ast.AST) -> bool:
    if isinstance(node, ast.Name) and node.id == "_base_":
        return isinstance(node.ctx, ast.Load)
    if isinstance(node, ast.ImportFrom):
        return node.level > 0 or not _is_standard(node.module or "")
    if isinstance(node, ast.Import):
        return not all(_is_standard(alias.name) for alias in node.names)
    return isinstance(node, ast.With)


def _is_standard(module: str) -> bool:
    return module.split(".")[0] in sys.stdlib_module_names


def _run(tree: ast.Module, path: Path) -> Config:
    """What a file leaves defined, less functions, modules and ``__names``, over its bases."""
    names: Config = {}
    exec(compile(tree, str(path), "exec"), names)
    bases = names.pop("_base_", [])
    own = {
        key: value
        for key, value in names.items()
        if not key.startswith("__") and not isinstance(value, FunctionType | ModuleType)
    }
    return merged(own, _bases([bases] if isinstance(bases, str) else bases, path))


def _bases(names: list[str], path: Path) -> Config:
    if any("::" in name for name in names):  # of an installed package, which mmengine finds
        return _load_with_mmengine(path)
    together: Config = {}
    for name in names:
        base = load_config(base_file(path, name))
        if repeated := sorted(together.keys() & base.keys()):
            raise UserError(f"{path}: bases that both define {', '.join(repeated)}")
        together.update(base)
    return together


def _load_with_mmengine(path: Path) -> Config:
    import mmengine

    from benchmark import ops

    ops.install()  # a file may import mmdet's classes

    # Imports of the whole config run when its model is built, not once a part.
    config: Config = mmengine.Config.fromfile(path, import_custom_modules=False).to_dict()
    return config


def render(config: Config) -> str:
    """Writes a config as Python source that ``mmengine.Config.fromfile`` reads back exactly.

    Args:
        config: Plain values: mappings, lists, tuples, text, numbers, True, False, None.

    Returns:
        One assignment a top-level key, in the config's order; the same config gives the same text.

    Raises:
        UserError: A key or value that cannot be written so.
    """
    bad = [key for key in config if not _is_name(key) or key.startswith("__") or key in _RESERVED]
    if bad:
        raise UserError([f"{key!r} cannot be a top-level key of a config file" for key in bad])
    return "".join(f"{key} = {_source(value, 0, len(key) + 3)}\n" for key, value in config.items())


def _source(value: object, indent: int, used: int) -> str:
    """Source of a value: one line if that fits behind ``used`` characters, else an item a line."""
    left, items, right = _pieces(value)
    if items is None:
        return left
    line = left + ", ".join(key + _source(item, 0, -(10**6)) for key, item in items) + right
    if indent + used + len(line) < _WIDTH or not items:
        return line
    inner = indent + 4
    lines = [f"{' ' * inner}{key}{_source(item, inner, len(key) + 1)},\n" for key, item in items]
    return f"{left}\n{''.join(lines)}{' ' * indent}{right}"


def _pieces(value: object) -> tuple[str, list[tuple[str, object]] | None, str]:
    """Opening, items (each with what stands before it) and closing of a value's source."""
    if isinstance(value, dict):
        if value and all(isinstance(key, str) and _is_name(key) for key in value):
            return "dict(", [(f"{key}=", item) for key, item in value.items()], ")"
        return "{", [(f"{_quoted(key)}: ", item) for key, item in value.items()], "}"
    if isinstance(value, list):
        return "[", [("", item) for item in value], "]"
    if isinstance(value, tuple):
        return "(", [("", item) for item in value], ",)" if len(value) == 1 else ")"
    return _atom(value), None, ""


def _atom(value: object) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return f"float({str(value)!r})"
    if value is None or isinstance(value, str | int | float):
        return _quoted(value)
    raise UserError(_cannot_hold(value))


def _quoted(value: object) -> str:
    """Source of a value, in which mmengine finds nothing to fill in: it looks for ``{{ }}`` in the whole text."""
    return repr(value).replace("{{", "{\\x7b")


def _is_name(key: str) -> bool:
    return key.isidentifier() and not keyword.iskeyword(key)
