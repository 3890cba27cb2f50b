"""Parts in the place of what stands there: the old one goes, the new one is connected on both sides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmark.config.config_file import merged, plain
from benchmark.config.imports import named_modules
from benchmark.config.replace import necks
from benchmark.config.replace.connect import Connection, backbone_of, before
from benchmark.config.replace.done import Done
from benchmark.config.replace.layer_decay import fit_layer_decay
from benchmark.config.replace.schedule import (
    OF_PIPELINES,
    batch_size,
    drop_hooks,
    put_schedule,
    told_of_batch,
)
from benchmark.config.replace.shares import NORMALISATION, OF_DATA, share
from benchmark.config.tree import Config
from benchmark.errors import UserError, attempt

KINDS = ("dataset", "schedule", "head", "neck", "backbone")
"""What can be replaced, in the order in which it is: later ones fill in what depends on those before."""

_KEPT_BY_A_HEAD = ("backbone", "neck", "data_preprocessor")


@dataclass(frozen=True)
class Part:
    """A part that takes the place of what stands there.

    Attributes:
        config: What it says.
        name: What messages call it; its type, if empty.
        told: What is to be known of it.
    """

    config: Config
    name: str = ""
    told: tuple[str, ...] = ()


def put_in_place(config: Config, kind: str, part: Config, name: str = "") -> tuple[str, ...]:
    """Puts one part in place; see `replace_parts`."""
    return replace_parts(config, {kind: Part(part, name)})


def replace_parts(
    config: Config, parts: Mapping[str, Part], folder: Path | None = None
) -> tuple[str, ...]:
    """Puts parts in the place of what a config has of their kinds, in place.

    They are put in together: a head and a neck may fit each other alone.

    Args:
        config: Plain config of a detector, or what of one is merged so far.
        parts: By kind, of `KINDS`.
        folder: Of the experiment file, where modules of one's own lie.

    Returns:
        What was changed, a short line each.

    Raises:
        UserError: With everything that does not fit, with the channels and strides on both sides.
    """
    work = _Work(config, {kind: parts[kind] for kind in KINDS if kind in parts}, folder)
    problems: list[str] = []
    attempt(problems, work.do)
    if problems := [*problems, *work.done.problems]:
        raise UserError(list(dict.fromkeys(problems)))
    return tuple(dict.fromkeys(work.done.changes))


@dataclass
class _Work:
    config: Config
    parts: Mapping[str, Part]
    folder: Path | None
    done: Done = field(default_factory=Done)

    @property
    def model(self) -> Config:
        model: Config = self.config.setdefault("model", {})
        return model

    def do(self) -> None:
        shares = {kind: share(kind, part.config) for kind, part in self.parts.items()}
        problem = _cannot(self.model, shares)
        if problem:
            raise UserError(problem)
        norm_eval, batch = self._norm_eval(), batch_size(self.config)
        old = before(self.config, self.parts, self.folder)
        for kind, own in shares.items():
            self._imports(own)
            getattr(self, f"_put_{kind}")(own)
        told = told_of_batch(self.config, shares.get("schedule"), batch)
        self.done.changes += [told] if told else []
        if norm_eval is not None:
            self._set_norm_eval(norm_eval, shares)
        Connection(self.config, self.parts, self._name(), self.folder, self.done).make(old)
        self.config.update(plain(self.config))

    def _norm_eval(self) -> bool | None:
        """Whether batch norm keeps its statistics: the schedule's to say, since it is the batch's size that tells."""
        schedule = self.parts.get("schedule")
        said = [(schedule.config.get("model") or {}).get("backbone")] if schedule else []
        for backbone in (*said, self.model.get("backbone")):
            if isinstance(backbone, dict) and "norm_eval" in backbone:
                return bool(backbone["norm_eval"])
        return None

    # What is put in place.

    def _imports(self, own: Config) -> None:
        """A part's modules beside those that are there: both are needed."""
        modules = list(dict.fromkeys([*named_modules(self.config), *named_modules(own)]))
        if modules:
            self.config["custom_imports"] = {"imports": modules, "allow_failed_imports": False}

    def _merge(self, own: Config) -> None:
        own = {key: value for key, value in own.items() if key != "custom_imports"}
        try:
            self.config.update(plain(merged(own, self.config)))
        except TypeError as error:
            raise UserError(str(error)) from None

    def _put_dataset(self, own: Config) -> None:
        named = self.parts["dataset"].name
        self.done.changes.append(f"data, pipelines and evaluators: those of {named}")
        self.done.changes += drop_hooks(self.config, OF_PIPELINES)
        for key in OF_DATA & own.keys():
            self.config.pop(key, None)
        self._merge(own)

    def _put_schedule(self, own: Config) -> None:
        self.done.changes += put_schedule(self.config, own)

    def _put_head(self, own: Config) -> None:
        old, model = self.model, own.get("model") or {}
        gone = [key for key in old if key not in (*_KEPT_BY_A_HEAD, *model)]
        self.done.changes.append(f"detector: {old.get('type')} -> {model.get('type')}")
        if gone:
            self.done.changes.append(f"gone with {old.get('type')}: {', '.join(sorted(gone))}")
        kept = {key: value for key, value in old.items() if key in _KEPT_BY_A_HEAD}
        self.config["model"] = kept
        self._merge(own)

    def _put_neck(self, own: Config) -> None:
        old = necks.kind(self.model)
        self.model.pop("neck", None)
        self._merge(own)
        self.done.changes.append(f"neck: {old} -> {necks.kind(self.model)}")

    def _put_backbone(self, own: Config) -> None:
        old, model = self.model.pop("backbone", {}), own.get("model") or {}
        if model.get("data_preprocessor") and isinstance(self.model.get("data_preprocessor"), dict):
            for key in NORMALISATION:
                self.model["data_preprocessor"].pop(key, None)
        kind = (self.model.get("data_preprocessor") or {}).get("type")
        self.done.changes += fit_layer_decay(
            self.config, model.get("backbone") or {}, "optim_wrapper" in own
        )
        wrapper = self.config.get("optim_wrapper")
        self._merge({**own, "model": {k: v for k, v in model.items() if k != "neck"}})
        if kind:  # what else the detector's own preprocessor does, it still does
            self.model["data_preprocessor"]["type"] = kind
        if old.get("type"):
            new = self.model["backbone"]
            self.done.changes.append(f"backbone: {_called(old)} -> {_called(new, self._name())}")
        if "optim_wrapper" in own and wrapper != self.config["optim_wrapper"]:
            self.done.changes.append(
                f"optim_wrapper: {_optimizer(self.config)}, as the backbone's part has it"
            )

    def _set_norm_eval(self, value: bool, shares: Mapping[str, Config]) -> None:
        said = (shares.get("backbone", {}).get("model") or {}).get("backbone") or {}
        backbone = self.model.get("backbone")
        if not isinstance(backbone, dict) or "norm_eval" in said or said.get("_delete_"):
            return
        if not backbone.get("type"):
            backbone["norm_eval"] = value  # one that is still to come, of a row of parts
        elif backbone.get("norm_eval") != value and backbone_of(self.config, self.folder).norm_eval:
            backbone["norm_eval"] = value
            self.done.changes.append(f"backbone.norm_eval: {value}")

    def _name(self) -> str:
        part = self.parts.get("backbone")
        return (part.name if part else "") or _called(self.model.get("backbone") or {})


def _cannot(model: Config, shares: Mapping[str, Config]) -> str | None:
    """What stands there and cannot be told apart."""
    if not shares.keys() & {"backbone", "neck"}:
        return None
    inner = necks.backbone_within(model)
    if inner and "neck" not in shares:
        return (
            f"neck {necks.kind(model)} holds a backbone of its own (neck.{inner}), which goes with the other: "
            "replace the neck, too"
        )
    if "head" not in shares and "shared_head" in (model.get("roi_head") or {}):
        return (
            "roi_head.shared_head is a stage of the backbone itself, so that neither backbone nor neck can be "
            "replaced: take a config with a feature pyramid (..._fpn_...)"
        )
    if "head" not in shares and "Trident" in str(model.get("type")):
        return f"{model['type']} is made for its own backbone: replace the head, too"
    return None


def _called(backbone: Config, name: str = "") -> str:
    kind = str(backbone.get("type"))
    size = backbone.get("depth", backbone.get("arch"))
    if not name and not isinstance(size, int | str):
        return kind
    return f"{kind} ({name})" if name else f"{kind} {size}"


def _optimizer(config: Config) -> str:
    optimizer = (config.get("optim_wrapper") or {}).get("optimizer") or {}
    return f"{optimizer.get('type')} at {optimizer.get('lr')}"
