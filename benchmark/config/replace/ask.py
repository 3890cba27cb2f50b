"""Asks what a backbone gives: what is known, what is remembered, and the model itself, built in another process.

To import torch and mmdet takes seconds, which a plan must not wait for twice: answers are remembered in the user's
cache, by the versions of the packages that they come from, and one process answers all that a command asks.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from benchmark.config.replace.levels import Described, Level, described, known
from benchmark.config.tree import Config
from benchmark.errors import UserError
from benchmark.files import JsonObject, read_json, write_json
from benchmark.home import caches

_START = Path(__file__).parents[3] / "detboard_start.py"
_PACKAGES = ("timm", "onedl-mmdetection", "onedl-mmpretrain", "onedl-mmcv", "torch")
# The modules that come with these, and DetBoard's own: their versions tell what is in them.
_VERSIONED = ("benchmark", "mmcv", "mmdet", "mmengine", "mmpretrain", "timm", "torch")
_VERSION = 1  # of what an answer holds
_MOST = 2000  # answers that are remembered
_OF_TIMM = "TimmFeatures"  # see `benchmark.models`
# What says nothing of the maps: weights, and what is done with them.
_NO_MATTER = ("frozen_stages", "init_cfg", "norm_eval", "pretrained", "with_cp")


def describe(backbone: Config, modules: Sequence[str], folder: Path | None = None) -> Described:
    """What a backbone gives.

    Args:
        backbone: Its config.
        modules: Those of ``custom_imports``.
        folder: Where modules of one's own lie; of these, and of others' packages, nothing is remembered.

    Raises:
        UserError: It cannot be built.
    """
    found = known(backbone)
    if found is not None:
        return found
    if backbone.get("type") == _OF_TIMM:
        return _described_by_timm(backbone)
    plain = {key: value for key, value in backbone.items() if key not in _NO_MATTER}
    request: JsonObject = {"backbone": repr(plain), "modules": list(modules)}
    if folder is not None and any(_lies_in(folder, module) for module in modules):
        request["folder"] = str(folder)
    return described(ask(request, f"backbone {backbone.get('type')}"))


def _described_by_timm(backbone: Config) -> Described:
    who = f"backbone timm/{backbone.get('model_name')}"
    if find_spec("timm") is None:
        raise UserError(f"{who}: timm is not installed: pip install 'detboard[timm]'")
    answer = ask({"timm": str(backbone.get("model_name"))}, who)
    levels = tuple(Level(*level) for level in answer["levels"])
    chosen = backbone.get("out_indices") or [level.index for level in levels]
    given = tuple(level for level in levels if level.index in chosen)
    return Described(levels, given, chooses=True, norm_eval=True)


def _lies_in(folder: Path, module: str) -> bool:
    top = module.partition(".")[0]
    return (folder / top).is_dir() or (folder / f"{top}.py").is_file()


def ask(request: Mapping[str, object], who: str) -> JsonObject:
    """The answer to a request of `benchmark.config.replace.probe`.

    Args:
        request: Plain values.
        who: What messages call what is asked for.

    Raises:
        UserError: It cannot be told, with the reason.
    """
    key = json.dumps(request, sort_keys=True)
    remembers = _stays(request)
    answer = (_remembered().get(_digest(key)) if remembers else None) or _answer(key)
    if "error" in answer:
        raise UserError(f"{who}: {answer['error']}")
    if remembers and _digest(key) not in _remembered():
        _remember(_digest(key), answer)
    return answer


def _stays(request: Mapping[str, object]) -> bool:
    """Whether versions tell when an answer is another: what is in a module of one's own may change."""
    modules = request.get("modules")
    named = modules if isinstance(modules, list) else []
    return "folder" not in request and all(m.partition(".")[0] in _VERSIONED for m in named)


def remember(request: Mapping[str, object], answer: JsonObject) -> None:
    """Notes that a request has an answer which is known from another one."""
    digest = _digest(json.dumps(request, sort_keys=True))
    if digest not in _remembered():
        _remember(digest, answer)


@lru_cache(maxsize=4096)
def _digest(key: str) -> str:
    return hashlib.sha256(f"{_VERSION} {_versions()} {key}".encode()).hexdigest()[:24]


@lru_cache(maxsize=1)
def _versions() -> str:
    return " ".join(f"{name}={_version(name)}" for name in _PACKAGES)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"


# Remembered


def cache_file() -> Path:
    """Where answers are kept between commands; it may be deleted."""
    return caches() / "detboard" / "backbones.json"


@lru_cache(maxsize=1)
def _remembered() -> dict[str, JsonObject]:
    return _read()


def _read() -> dict[str, JsonObject]:
    with suppress(OSError, ValueError):
        content = read_json(cache_file())
        if isinstance(content, dict):
            return {key: value for key, value in content.items() if _is_answer(value)}
    return {}


def _is_answer(value: object) -> bool:
    levels = value.get("levels") if isinstance(value, dict) else None
    return isinstance(levels, list) and all(isinstance(one, list) for one in levels)


def _remember(digest: str, answer: JsonObject) -> None:
    """Others may have written meanwhile: what they lose by this is asked again."""
    _remembered()[digest] = answer
    content = {**_read(), digest: answer}
    with suppress(OSError):
        write_json(cache_file(), dict(list(content.items())[-_MOST:]), indent=None)


# Asked


@lru_cache(maxsize=4096)
def _answer(key: str) -> JsonObject:
    process = _process()
    try:
        process.stdin.write(key + "\n")  # type: ignore[union-attr]
        process.stdin.flush()  # type: ignore[union-attr]
        line = process.stdout.readline()  # type: ignore[union-attr]
    except BrokenPipeError:
        line = ""
    if not line:
        _process.cache_clear()
        status = process.wait()
        return {"error": f"the process that builds it ended with status {status}"}
    found = json.loads(line)
    return found if isinstance(found, dict) else {}


def forget() -> None:
    """Ends the process, and forgets what is not in the user's cache."""
    if _process.cache_info().currsize:
        process = _process()
        process.stdin.close()  # type: ignore[union-attr]
        process.wait()
    for remembering in (_process, _answer, _remembered):
        remembering.cache_clear()


@lru_cache(maxsize=1)
def _process() -> subprocess.Popen[str]:
    """It ends when its input does: with this process, however that ends."""
    hidden = {"CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1"}  # it needs no weights and no GPU
    return subprocess.Popen(
        [sys.executable, str(_START), "probe"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, **hidden},
        start_new_session=True,  # Ctrl-C is for the command
    )
