"""Which key of a config an error comes from: its traceback tells what was being built, or which part was at work."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import CodeType, FrameType

from benchmark.config.tree import Config, is_list
from benchmark.errors import causes

_UNEXPECTED = re.compile(r"unexpected keyword argument '(\w+)'")
_UNKNOWN = re.compile(r"^'?(\S+) is not in the \S+ registry")
# What mmengine's Runner builds, by its own functions, where nothing below them tells more.
_SECTIONS = {
    "setup_env": "env_cfg",
    "set_randomness": "randomness",
    "build_visualizer": "visualizer",
    "build_log_processor": "log_processor",
    "build_model": "model",
    "wrap_model": "model_wrapper_cfg",
    "register_default_hooks": "default_hooks",
    "register_custom_hooks": "custom_hooks",
    "build_optim_wrapper": "optim_wrapper",
    "scale_lr": "auto_scale_lr",
    "build_param_scheduler": "param_scheduler",
    "build_evaluator": "val_evaluator",
}

Named = Mapping[int, str]
"""Key paths of what was built, by the object's ``id``."""


def key_of(error: BaseException, content: Config, section: str, named: Named) -> str:
    """The key path that an error comes from.

    Args:
        error: With its traceback.
        content: The config, as it was before anything was built from it.
        section: Key of what the step that failed is about, where the traceback does not tell; may be empty.
        named: What was built so far, by `benchmark.job.tryout.places`.
    """
    found = (_place(frame, content, section, named) for frame in _frames(error))
    path = next((path for path in found if path), section)
    return _argument(error, path, content)


def raised_at(error: BaseException) -> str:
    """File and line where an error was raised, ``mmdet/models/necks/fpn.py:158``: the last that is a model's or data's.

    What lies below, in torch and its like, is told by the error itself.
    """
    *_, first = causes(error)
    frames = traceback.extract_tb(first.__traceback__)
    plain = [one for one in frames if not re.search(r"/torch/|/numpy/|<frozen", one.filename)]
    return f"{_short(plain[-1].filename)}:{plain[-1].lineno}" if plain else ""


def _short(filename: str) -> str:
    """A file's path from its package on."""
    path = Path(filename)
    parts = path.parts
    start = parts.index("site-packages") + 1 if "site-packages" in parts else 0
    return str(Path(*parts[start:]))


def _frames(error: BaseException) -> Iterator[FrameType]:
    """Where an error came from, the innermost frame first."""
    for one in reversed(list(causes(error))):
        frames = [frame for frame, _ in traceback.walk_tb(one.__traceback__)]
        yield from reversed(frames)


def _place(frame: FrameType, content: Config, section: str, named: Named) -> str:
    code, names = frame.f_code, frame.f_locals
    if code.co_name == "build_from_cfg" and _of_mmengine(code):
        return _built_from(names.get("cfg"), content, section)
    if code.co_name in _SECTIONS and _of_mmengine(code):
        return _SECTIONS[code.co_name]
    owner = names.get("self")
    if owner is None:
        return ""
    return named.get(id(owner)) or _only_one_of(type(owner).__name__, content, section)


def _of_mmengine(code: CodeType) -> bool:
    return "mmengine" in Path(code.co_filename).parts


def _built_from(cfg: object, content: Config, section: str) -> str:
    """Where the mapping stands that something is built from: mmengine hands on copies, to which others add."""
    if not isinstance(cfg, dict):
        return ""
    nodes = _nodes_within(content, section)
    alike = [(path, node) for path, node in nodes if node and node.get("type") == cfg.get("type")]
    shares = [(_share(node, cfg), path) for path, node in alike]
    best = max((share for share, _ in shares), default=0.0)
    return next((path for share, path in shares if share == best and best > 0), "")


def _share(node: Config, cfg: Mapping[str, object]) -> float:
    """How much of a node stands in a mapping; of two that do wholly the larger counts."""
    same = sum(_equal(cfg.get(key), value) for key, value in node.items() if key in cfg)
    return same / len(node) + same / 1e6


def _equal(one: object, other: object) -> bool:
    try:
        return bool(one == other)
    except (ValueError, RuntimeError):  # arrays
        return False


def _only_one_of(kind: str, content: Config, section: str) -> str:
    """The key path of the one mapping that names a class; empty where several do, or none."""
    nodes = _nodes_within(content, section)
    paths = [path for path, node in nodes if str(node.get("type", "")).rpartition(".")[2] == kind]
    return paths[0] if len(paths) == 1 else ""


def _nodes_within(content: Config, section: str) -> list[tuple[str, Config]]:
    """The mappings of a config with their key paths: those of a section, and the others where it has none."""
    top = section.partition(".")[0]
    nodes = list(mappings(content))
    own = [(path, node) for path, node in nodes if path.partition(".")[0] == top]
    return [*own, *((path, node) for path, node in nodes if path.partition(".")[0] != top)]


def mappings(node: object, path: str = "") -> Iterator[tuple[str, Config]]:
    """Every mapping within a config with its key path, outer ones first."""
    if is_list(node):
        node = dict(enumerate(node))
    elif isinstance(node, dict) and path:
        yield path, node
    if isinstance(node, dict):
        for key, value in node.items():
            yield from mappings(value, f"{path}.{key}" if path else str(key))


def _argument(error: BaseException, path: str, content: Config) -> str:
    """The key below a path that the error's own words name."""
    node = dict(mappings(content)).get(path, {})
    unexpected = _UNEXPECTED.search(str(error))
    if unexpected and unexpected[1] in node:
        return f"{path}.{unexpected[1]}"
    unknown = _UNKNOWN.search(str(error).strip('"'))
    named = unknown is not None and node.get("type") == unknown[1]
    return f"{path}.type" if named else path
