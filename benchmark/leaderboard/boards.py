"""Which boards of an experiment a results folder holds, and what the files of each are called.

A board is the leaderboard of an experiment in one setting: a profile and a data set. Its files are called as the
experiment where both are the experiment's own; what is another stands behind: ``leaderboard.smoke.synthetic.md``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from benchmark.data.dataset import Dataset, is_of_source, source_name
from benchmark.errors import UserError
from benchmark.experiment.experiment import Experiment
from benchmark.files import read_json
from benchmark.leaderboard.history import Setting, setting_of
from benchmark.run.plan import Plan, Request, find_dataset
from benchmark.run.runs import Started
from benchmark.yaml_file import read_yaml

_LONGEST = 150  # bytes of a stem: a file's name has 255, and a temporary one more than its own
_NOT_BOARDS = ("datasets.json",)


@dataclass(frozen=True)
class Kept:
    """A board that a results folder keeps, as its JSON file says.

    Attributes:
        path: The JSON file.
        experiment: Name of the experiment.
        setting: Profile, and SHA-256 of the annotations of train and val.
        data: Name of the data set.
        file: The experiment file, relative to the results folder; empty in files of version 0.1.
        seeds: Every seed of any row.
        named: Whether the file says what the board is called, as those of version 0.1 do not.
    """

    path: Path
    experiment: str
    setting: Setting
    data: str
    file: str
    seeds: tuple[int, ...]
    named: bool

    @property
    def stem(self) -> str:
        """What the names of its files begin with."""
        return self.path.stem


@dataclass(frozen=True)
class Made:
    """A setting that runs were made in.

    Attributes:
        profile: Name of the profile.
        dataset: The data set.
    """

    profile: str
    dataset: Dataset

    @property
    def setting(self) -> Setting:
        """Profile, and SHA-256 of the annotations of train and val."""
        return (self.profile, *self.dataset.hashes)


def refuse_taken(plan: Plan, request: Request) -> None:
    """Refuses a plan whose board would be written over another experiment file's of the same name.

    Raises:
        UserError: It would be; nothing is with ``--set``, which writes no file.
    """
    if not request.overrides:
        Boards(plan.experiment, request.results).stem(plan.profile, plan.dataset)


def kept_boards(results: Path) -> list[Kept]:
    """The boards that a results folder keeps, sorted by file; a copy under another name is none."""
    found = (_kept(path) for path in sorted(results.glob("*.json")) if path.name not in _NOT_BOARDS)
    return [board for board in found if board is not None]


def _kept(path: Path) -> Kept | None:
    try:
        content = read_json(path)
        data = content["dataset"]
        texts = (
            content["experiment"],
            content["profile"],
            data["train"],
            data["val"],
            data["name"],
        )
        seeds = tuple(map(int, content["seeds"]))
    except (OSError, ValueError, LookupError, TypeError, OverflowError):
        return None
    experiment, profile, train, val, name = map(str, texts)
    if content.get("board", experiment) != path.stem:
        return None
    file = str(content.get("file", ""))
    return Kept(path, experiment, (profile, train, val), name, file, seeds, "board" in content)


def settings_made(started: Iterable[Started]) -> list[Made]:
    """The settings of runs, that of the oldest first."""
    ended = "9"  # after every time
    runs = sorted(started, key=lambda run: run.record.started_at if run.record else ended)
    made = {setting_of(r.spec): Made(r.spec.profile, r.spec.dataset) for r in reversed(runs)}
    return list(reversed(made.values()))


@dataclass(frozen=True)
class Boards:
    """The boards of an experiment in a results folder.

    Attributes:
        experiment: The experiment.
        results: The results folder.
        made: The settings that its runs were made in, the oldest first.
    """

    experiment: Experiment
    results: Path
    made: Sequence[Made] = ()

    @property
    def file(self) -> str:
        """The experiment file, relative to the results folder; what is no text in its name is a replacement letter."""
        path = os.path.relpath(self.experiment.path, self.results.resolve())
        return os.fsencode(path).decode(errors="replace")

    @cached_property
    def kept(self) -> tuple[Kept, ...]:
        """The boards of this experiment that the folder keeps."""
        return tuple(board for board in self._all if not self._is_foreign(board))

    @cached_property
    def stems(self) -> Mapping[Setting, str]:
        """What the files of each board are called, made or kept.

        A board that is called right keeps its name; of two that would be called alike the later one has the first
        digits of its annotations' SHA-256 behind its name.
        """
        wanted = {made.setting: made.dataset.name for made in self.made}
        wanted |= {k.setting: wanted.get(k.setting, k.data) for k in self.kept}
        stems = {board.setting: board.stem for board in self.kept if self._is_right(board)}
        taken = {stem.casefold() for stem in stems.values()}
        for setting, data in wanted.items():
            if setting not in stems:
                stems[setting] = self._free(setting, data, taken)
                taken.add(stems[setting].casefold())
        return stems

    @property
    def renamed(self) -> dict[str, str]:
        """Of the boards whose files are not called as they should be: how they are, and how they should be."""
        stems = self.stems
        right = {board.stem for board in self.kept if board.stem == stems[board.setting]}
        pairs = {board.stem: stems[board.setting] for board in self.kept}
        return {old: new for old, new in pairs.items() if old != new and new not in right}

    def stem(self, profile: str, dataset: Dataset) -> str:
        """What the files of one board are called.

        Raises:
            UserError: Another experiment file has a board of that name.
        """
        made = Made(profile, dataset)
        known = self if made.setting in self.stems else replace(self, made=(*self.made, made))
        stem = known.stems[made.setting]
        if other := self.other_of(stem):
            raise UserError(self._taken(other))
        return stem

    def other_of(self, stem: str) -> Kept | None:
        """The board of another experiment, or of another file of this name, that is called so, if there is one."""
        alike = (board for board in self._all if board.stem.casefold() == stem.casefold())
        return next((board for board in alike if self._is_foreign(board)), None)

    def _taken(self, board: Kept) -> str:
        if board.experiment != self.experiment.name:
            whose = f"experiment '{board.experiment}'"
        else:
            whose = f"{(self.results / board.file).resolve()}, which has the same name"
        return (
            f"{self.experiment.path}: name '{self.experiment.name}': {board.path} is the board of {whose}; "
            "give one of them another 'name', or another results folder with --results"
        )

    @cached_property
    def _all(self) -> list[Kept]:
        return kept_boards(self.results)

    def _is_foreign(self, board: Kept) -> bool:
        """Whether it is of another experiment: one of another name, or another file that still has this one."""
        if board.experiment != self.experiment.name:
            return True
        if not board.file or board.file == self.file:
            return False
        return _name_in(self.results / board.file) == self.experiment.name

    @cached_property
    def _own_hashes(self) -> tuple[str, str] | None:
        """Hashes of the experiment's own data; where it names none, of the first that it was run on."""
        source, base = self.experiment.dataset, self.experiment.path.parent
        divided = self.experiment.folds is not None
        if source.sha256 is not None and not divided:
            return source.sha256.train, source.sha256.val
        made = [m.dataset for m in self.made if (m.dataset.fold is not None) == divided]
        name = source_name(source, base)
        if name is None:
            return self._without_data() or next((data.hashes for data in made), None)
        cache = self.results / "datasets.json"
        try:
            return find_dataset(self.experiment, Request(self.experiment.path, self.results)).hashes
        except UserError:  # it is not on this machine
            there = (data for data in made if is_of_source(data, source, base, cache))
            newest = next(reversed([data.hashes for data in there]), None)
            return newest or self._without_data(name)

    def _without_data(self, data: str | None = None) -> tuple[str, str] | None:
        """Hashes of the data of a kept board whose name names none; one of version 0.1 only where it is called so."""
        name = self.experiment.name
        for board in self.kept:
            profile, *hashes = board.setting
            sure = data is None or board.named or board.data == data
            if sure and board.stem in (name, f"{name}.{profile}"):
                return hashes[0], hashes[1]
        return None

    def _prefix(self, profile: str) -> str:
        """The experiment, and the profile where it is another."""
        name = self.experiment.name
        return name if profile == self.experiment.profile else f"{name}.{profile}"

    def _usual(self, setting: Setting, data: str) -> str:
        profile, *hashes = setting
        prefix = self._prefix(profile)
        return prefix if tuple(hashes) == self._own_hashes else f"{prefix}.{_clean(data)}"

    def _is_right(self, board: Kept) -> bool:
        """Whether a kept board is called as its setting says; by whichever name of the data set."""
        usual = self._usual(board.setting, board.data)
        prefix = self._prefix(board.setting[0])
        named = usual != prefix and board.named and board.stem.startswith(f"{prefix}.")
        return named or board.stem in (usual, _told_apart(usual, board.setting))

    def _free(self, setting: Setting, data: str, taken: set[str]) -> str:
        usual = self._usual(setting, data)
        free = usual.casefold() not in taken and len(usual.encode()) <= _LONGEST
        return usual if free else _told_apart(usual, setting)


def _told_apart(stem: str, setting: Setting) -> str:
    short = stem.encode()[:_LONGEST].decode(errors="ignore")
    return f"{short}-{setting[1][:8]}-{setting[2][:8]}"


def _clean(name: str) -> str:
    """A data set's name as a part of a file's."""
    return re.sub(r"[^\w.+-]+", "_", name).strip("._-") or "data"


def _name_in(path: Path) -> str | None:
    """The name of the experiment in a file; None if there is none."""
    try:
        return str(read_yaml(path, "an experiment").get("name", path.stem))
    except UserError:
        return None
