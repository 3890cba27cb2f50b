"""The contract of a tracker, which shows elsewhere what a run, a study or a leaderboard has on disk.

Five calls: open, log, images, finish, abandon. Before any training `Tracker.door` says what stands in the way.

A tracker is plain code, which may fail or take its time: `benchmark.tracking.guarded` makes the calls, in their order
and in a thread of its own, so that nothing that happens in a tracker can stop or delay a training. It must not prompt.
"""

from __future__ import annotations

import importlib
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from benchmark.experiment.experiment import Tracking
from benchmark.run.record import State
from benchmark.run.samples import ImageSample


@dataclass(frozen=True)
class Subject:
    """What is watched.

    Attributes:
        kind: A run, or the sum of the runs of a study or of a leaderboard.
        id: Opened again under the same id, it is the same one and goes on.
        name: Name for display.
        group: The experiment's name, or the study's: the runs and their sum have it in common.
        tags: Words to filter by.
        config: What was asked for, in values that JSON has.
        folder: Where a tracker may keep files, in a folder that bears its name.
        class_names: Class names of the data in label order; empty where no sample images are shown.
    """

    kind: Literal["run", "study", "leaderboard"]
    id: str
    name: str
    group: str
    tags: tuple[str, ...]
    config: Mapping[str, object]
    folder: Path
    class_names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """A table of plain values.

    Attributes:
        columns: Name of each column.
        numeric: Of each column whether it holds numbers; the others hold text.
        rows: The values of each row in the order of the columns; None where there is none.
    """

    columns: Sequence[str]
    numeric: Sequence[bool]
    rows: Sequence[Sequence[float | str | None]]


Value = float | Table | Path
"""What is logged under a name: a number, a table, or a picture's file."""


@dataclass(frozen=True)
class Door:
    """What stands in the way of tracking, found before any training.

    Attributes:
        refused: What of the experiment's own words the tracker cannot take, a message each; nothing is trained.
        hindered: What of this machine's settings it cannot take, a sentence each; runs are tracked offline then.
        off: Whether this machine's settings switch it off.
    """

    refused: tuple[str, ...] = ()
    hindered: tuple[str, ...] = ()
    off: bool = False


class Tracker(ABC):
    """Shows one subject: opened once, then finished or abandoned.

    Attributes:
        title: Its name in what it says.
        modules: What it imports at its first use. They are loaded before a thread or a fork needs them.
        mode: Whether it reaches its server, or keeps everything on disk.
        url: Address of what it shows; None offline.
    """

    title: ClassVar[str]
    modules: ClassVar[tuple[str, ...]] = ()
    mode: Literal["online", "offline"] = "online"
    url: str | None = None

    @classmethod
    def load(cls) -> None:
        """Imports `modules`.

        Raises:
            ImportError: It is not installed.
        """
        for module in cls.modules:
            importlib.import_module(module)

    @classmethod
    @abstractmethod
    def reach(cls) -> str:
        """How it is reached from this machine under the mode ``auto``, in words; starts nothing."""

    @classmethod
    def door(cls, tracking: Tracking) -> Door:
        """What stands in the way; asks no server, and imports nothing where it can do without.

        Args:
            tracking: Project, entity and mode, which is never ``off`` here.
        """
        return Door()

    @classmethod
    @abstractmethod
    def open(cls, subject: Subject, tracking: Tracking) -> Tracker | None:
        """Starts to watch, or goes on.

        Args:
            subject: What is watched.
            tracking: Project, entity and mode, which is never ``off`` here.

        Returns:
            None where the tracker's own settings on this machine switch it off.
        """

    @abstractmethod
    def log(self, values: Mapping[str, Value], steps: Mapping[str, float]) -> None:
        """Shows values.

        Args:
            values: By name: ``train/loss``, ``val/mAP50``, ``leaderboard/table``.
            steps: ``iter`` and ``epoch`` of the training; empty for a sum of runs. They may go back: a resumed
                run has lost what came after its checkpoint.
        """

    @abstractmethod
    def images(self, name: str, samples: Sequence[ImageSample], steps: Mapping[str, float]) -> None:
        """Shows images with their true and predicted boxes, under one name."""

    @abstractmethod
    def finish(self, summary: Mapping[str, object], state: State | None) -> None:
        """Ends it.

        Args:
            summary: What came out, in values that JSON has.
            state: How the run ended; None for a sum of runs.
        """

    @abstractmethod
    def abandon(self) -> None:
        """Leaves a run that was interrupted, so that the next attempt goes on under the same id."""

    def gone(self) -> bool:
        """Whether its server answers no more, asked while it ends: uploads are waited for less long then."""
        return False

    def rest(self) -> str:
        """What uploads that for which there was no time, asked while it ends; empty where nothing does."""
        return ""


def warn(title: str, text: str) -> None:
    """Writes a line to stderr, which is the job's log."""
    print(f"{title}: {text}", file=sys.stderr, flush=True)
