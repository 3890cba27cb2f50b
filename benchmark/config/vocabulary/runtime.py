"""The sections that a config must have, and the settings that are DetBoard's to make."""

from __future__ import annotations

from collections.abc import Iterator

from benchmark.config.tree import Config
from benchmark.config.vocabulary.words import mapping_of, not_a_number, one_of
from benchmark.errors import allowed, few, shown

_NEEDED = (
    "model",
    "train_dataloader",
    "train_cfg",
    "optim_wrapper",
    "val_dataloader",
    "val_cfg",
    "val_evaluator",
)
_MAPPINGS = (
    *_NEEDED[:-1],
    "auto_scale_lr",
    "default_hooks",
    "env_cfg",
    "log_processor",
    "randomness",
    "visualizer",
)
_LEVELS = ("CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG", "NOTSET", 50, 40, 30, 20, 10, 0)
_COMPILING: dict[str, tuple[type, str]] = {
    "backend": (str, "a text"),
    "disable": (bool, "true or false"),
    "dynamic": (bool, "true or false"),
    "fullgraph": (bool, "true or false"),
    "mode": (str, "a text"),
    "options": (dict, "a mapping"),
}
COMPILE_MODES = ("default", "lite", "reduce-overhead", "max-autotune-no-cudagraphs", "max-autotune")
"""As torch lists them."""
_RANDOMNESS = {"deterministic", "diff_rank_seed", "seed"}
_TEST = ("test_dataloader", "test_cfg", "test_evaluator")


def sections(config: Config) -> Iterator[str]:
    """A run trains and is evaluated; mmengine asks for the three of its test all or none."""
    for key in _NEEDED:
        if config.get(key) is None:
            yield f"{key}: is missing; a run is trained and evaluated"
    if "env_cfg" in config and config["env_cfg"] is None:
        yield "env_cfg: null: leave it out, or write a mapping"
    for key in _MAPPINGS:
        if config.get(key) is not None and not isinstance(config[key], dict):
            yield f"{key}: {shown(config[key])} is no mapping"
    absent = [key for key in _TEST if config.get(key) is None]
    if 0 < len(absent) < len(_TEST):
        yield f"{few(absent)}: mmengine wants {', '.join(_TEST)} all, or none; add or leave out"


def not_ours(config: Config) -> Iterator[str]:
    """Settings that a run makes itself, or that its Runner does not know."""
    if config.get("resume"):
        yield "resume: a run that was cut short is continued in any case; leave it out"
    if config.get("launcher") not in (None, "none"):
        yield "launcher: comes from --launcher, and the row's 'gpus'; leave it out"
    for key in ("strategy", "runner_type"):
        if config.get(key) not in (None, "Runner"):
            yield f"{key}: a run is trained by mmengine's Runner, which has no strategies; leave it out"


def words(config: Config) -> Iterator[str]:
    """Words that mmengine looks up, and the batch size that rates are scaled by."""
    if config.get("default_scope", "mmdet") != "mmdet":
        yield f"default_scope: {shown(config['default_scope'])}: classes are looked up in mmdet; leave it out"
    if "log_level" in config and config["log_level"] not in _LEVELS:
        level = config["log_level"]
        yield f"log_level: {shown(level)}; {allowed(str(level), map(str, _LEVELS))}"
    workers = mapping_of(mapping_of(config.get("env_cfg")).get("mp_cfg"))
    yield from one_of("env_cfg.mp_cfg", workers, "mp_start_method", ("fork", "forkserver", "spawn"))
    for name in mapping_of(config.get("randomness")).keys() - _RANDOMNESS:
        yield f"randomness.{name}: no such setting; {allowed(str(name), _RANDOMNESS)}"


def compiled(config: Config) -> Iterator[str]:
    """Arguments that torch.compile takes; which options and backends there are, only torch knows."""
    given = config.get("compile")
    if given is not None and not isinstance(given, bool | dict):
        yield f"compile: {shown(given)}; write true or false, or the arguments of torch.compile"
    for name, value in mapping_of(given).items():
        yield from _unfit_for_compile(str(name), value)
    if isinstance(mapping_of(given).get("mode"), str):
        yield from one_of("compile", mapping_of(given), "mode", COMPILE_MODES)
    if {"mode", "options"} <= mapping_of(given).keys():
        yield "compile: torch.compile takes 'mode' or 'options', and not both; leave one out"


def _unfit_for_compile(name: str, value: object) -> Iterator[str]:
    if name not in _COMPILING:
        yield f"compile.{name}: torch.compile takes no such argument; {allowed(name, _COMPILING)}"
        return
    kind, words = _COMPILING[name]
    if value is not None and not isinstance(value, kind):
        yield f"compile.{name}: {shown(value)}; write {words}"


def scaled_rate(config: Config) -> Iterator[str]:
    """The rate is scaled to the batch only where it is known what batch it is meant for."""
    scaling = mapping_of(config.get("auto_scale_lr"))
    if scaling.get("enable") and scaling.get("base_batch_size") is None:
        yield "auto_scale_lr.base_batch_size: is missing; it is the batch that the rate is meant for, mostly 16"
    yield from not_a_number("auto_scale_lr", scaling, "base_batch_size", 1, whole=True)
