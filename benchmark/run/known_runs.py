"""The runs of rows that need not be composed: those that are complete, of rows of which the run ids are known."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache

from benchmark.config.compose import compose, is_of_parts_alone, layer_files
from benchmark.config.imports import missing_modules, own_module_files
from benchmark.config.sources import Looks, own_data
from benchmark.config.tree import Config
from benchmark.config.written import SHRUNK
from benchmark.errors import attempt
from benchmark.experiment.experiment import Row
from benchmark.run.contents import missing_files, weights_files
from benchmark.run.identity import digest_of
from benchmark.run.known_rows import Known, KnownRow, depends_on_its_text, key_of, versions, watched
from benchmark.run.record import State
from benchmark.run.row_runs import Making, Setting, Way, spec_of
from benchmark.run.spec import MODULE, RunSpec
from benchmark.run.state import Planned

# What of a setting does not count into a config, or is looked at for each row.
_APART = frozenset(
    [
        "experiment",
        "seeds",
        "fold",
        "needs_data",
        "cache",
        "on_disk",
        "contents",
        "essences",
        "files",
        "sources",
    ]
)


class Later(Mapping[str, object]):
    """The config of a run, composed when somebody asks for it: nobody does of most that are complete.

    Args:
        row: The row.
        setting: Of the run.
        seed: Of the run.
        identity: Tells what it is made from: of two configs with the same one all but the seed is the same.
    """

    def __init__(self, row: Row, setting: Setting, seed: int, identity: str = "") -> None:
        self.of = (row, setting, seed)
        self.identity = identity
        self.kept: Config | None = None

    def settle(self) -> None:
        """Composes it now: what is edited from now on does not count."""
        self.kept = _composed(self)

    def __getitem__(self, key: str) -> object:
        return (self.kept or _composed(self))[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.kept or _composed(self))

    def __len__(self) -> int:
        return len(self.kept or _composed(self))

    def __bool__(self) -> bool:
        return True

    __hash__ = object.__hash__


@lru_cache(
    maxsize=16
)  # whoever wants one wants several of its keys; all of them would fill the memory
def _composed(later: Later) -> Config:
    row, setting, seed = later.of
    return compose(row, setting.dataset, setting.around, seed=seed, overrides=setting.overrides)


def settle(runs: Sequence[Planned]) -> None:
    """Composes what is left for later."""
    for run in runs:
        if isinstance(run.config, Later):
            run.config.settle()


@dataclass(frozen=True)
class KnownRuns:
    """The runs of rows in a setting, as far as they are known."""

    setting: Setting

    @cached_property
    def _key(self) -> str:
        one = self.setting
        said = one.experiment.model_dump(exclude={"rows", "seeds"})
        shared = [(f.name, getattr(one, f.name)) for f in fields(one) if f.name not in _APART]
        return repr([said, shared, os.getcwd(), versions()])  # noqa: PTH109 - it may be gone

    @cached_property
    def _looks(self) -> dict[str, bool]:
        return {}

    def complete(self, row: Row) -> list[Planned] | None:
        """The runs of a row that is as it was composed before; None unless all are known, and complete."""
        key = self._key_of(row)
        found = self._known.find(key) if key is not None else None
        if key is not None and found is None:
            self._known.watch(attempt([], watched, row, self.setting.around) or ())
        if found is None or not self._imports_well(found.imports):
            return None
        runs = [self._run(row, found, seed) for seed in self._seeds(row) if seed in found.digests]
        looked = [self.setting.on_disk.look(*run) for run in runs if run is not None]
        whole = len(looked) == len(self._seeds(row))
        return looked if whole and all(run.state is State.COMPLETE for run in looked) else None

    def note(self, row: Row, runs: Sequence[tuple[RunSpec, Config]], looks: int) -> None:
        """Remembers the ids of runs that were composed just now, if nothing else can change them.

        Args:
            row: Theirs.
            runs: All of the row, with their configs.
            looks: `Looks.count` before they were composed.
        """
        key = self._key_of(row)
        if key is None or not runs or Looks.count != looks or not self._is_plain(row, *runs[0]):
            return
        spec, config = runs[0]
        digests = {one.seed: digest_of(one.run_id) for one, _ in runs}
        sources = spec.sources[len(self.setting.files) :]
        known = KnownRow(digests, spec.changes, sources, config.get("custom_imports"))
        self._known.words.update(self.setting.contents.absent)
        self.setting.on_disk.rows.add(self._key, key, known)

    @cached_property
    def _known(self) -> Known:
        return self.setting.on_disk.rows.of(self._key, self.setting.contents)

    @cached_property
    def _state(self) -> bytes:
        """All that configs are made from beside the rows."""
        watched_now = sorted(self._known.watched.items())
        return hashlib.sha256(f"{self._key}{watched_now}".encode()).digest()

    def _key_of(self, row: Row) -> bytes | None:
        alone = self.setting.number is None and not self.setting.experiment.trains_on_all(row)
        return key_of(row) if alone else None

    def _seeds(self, row: Row) -> tuple[int, ...]:
        return row.recipe.seeds(self.setting.experiment.seeds, self.setting.seeds)

    def _run(self, row: Row, found: KnownRow, seed: int) -> tuple[RunSpec, Later]:
        select = self.setting.experiment.select
        given = {} if select == "last" else {"select": select}
        own = hashlib.sha256(self._state + (self._key_of(row) or b"")).hexdigest()
        later = Later(row, self.setting, seed, own)
        sources = (*self.setting.files, *found.sources)
        made = Way({}, "", {}, given, sources, None, found.changes, {}, digests=found.digests)
        return spec_of(self.setting, row, Making(seed), made), later

    def _is_plain(self, row: Row, spec: RunSpec, config: Config) -> bool:
        """Whether the config of a row is made from parts, and names neither files nor modules beside them."""
        around, dataset = self.setting.around, self.setting.dataset
        modules = any(name.startswith(MODULE) for name in spec.given)
        files = spec.files or missing_files(config) or any(weights_files(config))
        if modules or files or config.get(SHRUNK) or own_data(config, dataset):
            return False
        known = spec.given.keys() <= {"select"} and not (spec.making or spec.made_from)
        parts = layer_files(row, around)
        return (
            known
            and is_of_parts_alone(row, dataset, around)
            and all(map(depends_on_its_text, parts))
        )

    def _imports_well(self, imports: object) -> bool:
        """Whether the modules that a config names are there, where that counts, and not beside the experiment."""
        if not imports:
            return True
        if (asked := repr(imports)) not in self._looks:
            config: Config = {"custom_imports": imports}
            folder = self.setting.around.folder
            lacking = self.setting.needs_data and missing_modules(config, folder)
            self._looks[asked] = not lacking and not own_module_files(config, folder)
        return self._looks[asked]
