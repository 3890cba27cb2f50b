"""Backbone, neck and heads of a model, connected: by stride, and with the channels that come out."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.config.imports import named_modules
from benchmark.config.replace import heads, necks
from benchmark.config.replace.ask import describe
from benchmark.config.replace.done import Done
from benchmark.config.replace.levels import Described, Level, like, listed
from benchmark.config.tree import Config, is_list
from benchmark.errors import UserError
from benchmark.experiment.rows.made import is_made

_CONNECTED = frozenset({"backbone", "neck", "head"})


@dataclass(frozen=True)
class Before:
    """What stood there.

    Attributes:
        strides: Of the maps that the neck took of the backbone, from the first to the last; heads, if there was none.
        gives: What the neck gave to the heads; None where nothing tells.
        backwards: Whether the neck names its inputs from the last one on.
    """

    strides: tuple[int, ...] = ()
    gives: necks.Maps | None = None
    backwards: bool = False


def backbone_of(config: Config, folder: Path | None) -> Described:
    """What the backbone of a config gives.

    Raises:
        UserError: Nothing tells.
    """
    return describe(config["model"]["backbone"], named_modules(config), folder)


def before(config: Config, kinds: Collection[str], folder: Path | None) -> Before:
    """What stands in a config in which parts of some kinds are to be replaced.

    Raises:
        UserError: Nothing tells what the backbone gives whose neck stays.
    """
    model = config.get("model") or {}
    if not _CONNECTED.intersection(kinds):
        return Before()
    stage = necks.entry(model)
    if not (model.get("backbone") or {}).get("type"):  # a row of parts
        return Before(necks.wanted(stage) if stage else ())
    try:
        levels = backbone_of(config, folder).given
    except UserError:
        if "neck" not in kinds:
            raise
        return Before()  # it is not asked for by its successors
    if stage is None:
        return Before(tuple(level.stride for level in levels))
    takes = stage.get("in_channels")
    levels = levels[-(len(takes) if is_list(takes) else 1) :]
    strides = tuple(level.stride for level in levels)
    backwards = necks.runs_backwards(stage, [level.channels for level in levels])
    return Before(strides, necks.gives(model, _ordered(strides, backwards)), backwards)


def _ordered(strides: Sequence[int], backwards: bool) -> Sequence[int]:
    return strides[::-1] if backwards else strides


@dataclass
class Connection:
    """A model of which parts were replaced.

    Attributes:
        config: Plain config, changed in place.
        kinds: What was replaced.
        name: What messages call its backbone.
        folder: Of the experiment file, where modules of one's own lie.
        done: Takes up what was changed, and what does not fit.
    """

    config: Config
    kinds: Collection[str]
    name: str
    folder: Path | None
    done: Done

    def make(self, old: Before) -> None:
        """Connects both sides.

        Raises:
            UserError: The model's parts cannot be replaced at all, or nothing tells what the backbone gives.
        """
        model: Config = self.config["model"]
        if "type" not in (model.get("backbone") or {}) or not _CONNECTED.intersection(self.kinds):
            return  # the backbone of a row of parts is still to come
        stage, new_neck = necks.entry(model), "neck" in self.kinds
        strides = necks.wanted(stage) if stage and new_neck else old.strides
        backwards = old.backwards and not new_neck
        levels = self._levels(strides)
        if not levels:
            return
        strides = tuple(level.stride for level in levels)
        gives: necks.Maps | None = necks.Maps(tuple(level.channels for level in levels), strides)
        if stage is not None:
            self._connect_neck(stage, levels, backwards)
            gives = necks.gives(model, _ordered(strides, backwards))
        if gives is not None and gives.channels:
            who = f"neck {necks.kind(model)}" if stage else f"backbone {self.name}"
            heads.fit(model, None if "head" in self.kinds else old.gives, gives, who, self.done)

    def _levels(self, strides: Sequence[int]) -> tuple[Level, ...]:
        """The maps that the backbone is now told to give; empty where it cannot."""
        backbone: Config = self.config["model"]["backbone"]
        new = backbone_of(self.config, self.folder)
        levels = new.at(strides)
        if levels is None:
            neck = necks.kind(self.config["model"])
            taker = "the heads take" if neck == "none" else f"neck {neck} takes"
            at = f"{len(strides)} maps, at strides {listed(strides)}"
            self.done.problems.append(f"backbone {self.name} gives {new}; {taker} {at}")
            return ()
        if levels != new.given:
            had, indices = backbone.get("out_indices"), [level.index for level in levels]
            backbone["out_indices"] = like(had if is_list(had) else (), indices)
            if had is not None and not is_made(self.name):
                told = f"backbone.out_indices: {listed(had)} -> {listed(indices)}"
                self.done.changes.append(told)
        return levels

    def _connect_neck(self, stage: Config, levels: Sequence[Level], backwards: bool) -> None:
        channels = [level.channels for level in levels][:: -1 if backwards else 1]
        had = stage.get("in_channels", [])
        takes = like(had, channels)
        if had == takes:
            return
        stage["in_channels"] = takes
        if had:
            self.done.changes.append(f"neck.in_channels: {listed(had)} -> {listed(takes)}")
        if stage.get("type") == "SSDNeck":  # whose first maps are the backbone's own
            own = stage["out_channels"]
            stage["out_channels"] = like(own, [*channels, *own[len(channels) :]])
