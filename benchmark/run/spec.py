"""What was asked of a run: ``spec.json``."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Annotated

from pydantic import AfterValidator, Field

from benchmark.data.dataset import Dataset, Fold, Split
from benchmark.errors import shown
from benchmark.experiment.experiment import Select
from benchmark.files import JsonObject
from benchmark.run.fields import Checked, Count, Whole
from benchmark.yaml_file import Name

SCHEMA_VERSION = 1
MODULE = "module "  # before the name of a module, in `RunSpec.given`
_SHA256 = re.compile(r"[0-9a-f]{64}|")  # empty for a file that was not there


@lru_cache(maxsize=16)  # thousands of runs share a dataset
def _shared(dataset: Dataset) -> Dataset:
    splits = {"train": dataset.train, "val": dataset.val}
    splits |= {"test": dataset.test} if dataset.test is not None else {}
    for name, split in splits.items():
        if not _SHA256.fullmatch(split.sha256):
            raise ValueError(f"{name}.sha256 is no SHA-256")
        if "\0" in f"{split.annotations}{split.images}":
            raise ValueError(f"{name}: a path holds a null character")
    if dataset.fold is not None:
        _check_fold(dataset.fold)
    return dataset


def _check_fold(fold: Fold) -> None:
    hashes = (fold.sha256, fold.whole.sha256, *(sha for pair in fold.parts for sha in pair))
    if not all(_SHA256.fullmatch(sha) for sha in hashes):
        raise ValueError("fold: one of its hashes is no SHA-256")
    if not 0 <= fold.number < fold.count == len(fold.parts):
        raise ValueError(f"fold: there is no fold {fold.number} of {fold.count}")


def of_seed(seed: int, fold: int | None = None) -> str:
    """Which of a row's runs one is, as run ids say it: ``s0``, of a fold ``s0-f2``."""
    return f"s{seed}" if fold is None else f"s{seed}-f{fold}"


def which(seed: int, fold: int | None = None) -> str:
    """Which of a row's runs one is, in words: ``seed 0``, of a fold ``seed 0, fold 2``."""
    return f"seed {seed}" if fold is None else f"seed {seed}, fold {fold}"


@dataclass(frozen=True)
class PseudoLabels:
    """Boxes of another run that a training learns from, beside the labels; that run is in `RunSpec.made_from`.

    Attributes:
        score: From which score on they are learnt.
        images: The images that they are of; what is labelled there is not looked at.
    """

    score: Annotated[float, Field(ge=0, le=1)]
    images: Split


@dataclass(frozen=True)
class RunSpec:
    """What was asked: one row, one seed, one dataset or one fold of it, one profile.

    Attributes:
        run_id: Readable prefix and 8 hex digits, see `run_id`.
        experiment: Name of the experiment, or of the study; the group of the tracked run.
        row: Name of the row within the experiment.
        labels: The row's cells in the table, by column title.
        recipe: Key of its recipe in `benchmark.experiment.rows.RECIPES`.
        names: What the row is made of, by kind: ``{"backbone": "resnet50", ...}``.
        seed: Random seed of the training.
        dataset: Where the data is, its classes and hashes.
        profile: Name of the profile part.
        overrides: Key paths of the composed config and their values, applied last.
        command_line: Those of them that were given with ``--set``, and not by the row.
        gpus: Number of processes (one a GPU) that train together.
        study: Id of the study that the run is a trial of, None outside of one.
        trial: Number of that trial.
        params: The trial's parameters by name; what they set is among ``overrides``.
        given: What counts into the run id beside the config, by name: hashes of files that the recipe was given and of
            modules beside the experiment file, ``select`` where it is not the last validation that is recorded, and
            ``train_on`` where it is trained on train and val together.
        files: Hex SHA-256 of the files that the config names beside the data set's annotations (weights, annotations
            of its own), by the text that names them.
        sources: Absolute paths of the files that the run was composed from: experiment, study, parts, their bases, and
            modules beside the experiment file.
        config_sha256: Hex SHA-256 of ``config.py`` as it was written beside ``spec.json``; None until then.
        imports_from: Folder of the experiment file, where its job looks for modules of the config last; None where
            the config imports none from there.
        changes: What was changed of a whole config to make it fit the data set and the parts put into it, and by the
            profile beside plain sizes, a line each; empty where all fits as it is, as it does in rows of parts.
        making: How the run comes to its boxes where it does not train, see `Recipe.making`; empty of one that trains.
        made_from: Ids of the runs whose boxes or weights it is made from; none of one that trains on labels alone.
        pseudo: Boxes of one of these that it learns from, too; None of one that learns from labels alone.
        former_ids: Ids that the run had before its row was renamed, oldest first.
        schema_version: Version of ``spec.json``.
    """

    run_id: str
    experiment: Name
    row: str
    labels: Mapping[str, str]
    recipe: str
    names: Mapping[str, str]
    seed: Whole
    dataset: Annotated[Dataset, AfterValidator(_shared)]
    profile: Name
    overrides: Mapping[str, object] = field(default_factory=dict)
    gpus: Annotated[Count, Field(ge=1)] = 1
    study: str | None = None
    trial: Count | None = None
    params: Mapping[str, object] = field(default_factory=dict)
    command_line: Mapping[str, object] = field(default_factory=dict)
    given: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    sources: tuple[str, ...] = ()
    config_sha256: str | None = None
    imports_from: str | None = None
    changes: tuple[str, ...] = ()
    making: Mapping[str, object] = field(default_factory=dict)
    made_from: tuple[str, ...] = ()
    pseudo: PseudoLabels | None = None
    former_ids: tuple[str, ...] = ()
    schema_version: Whole = SCHEMA_VERSION

    @property
    def trains(self) -> bool:
        """Whether it is a training, rather than made of boxes or weights that there are."""
        return not self.making

    @property
    def ids(self) -> tuple[str, ...]:
        """Every id that the run has had, the present one last; trackers know it by the first."""
        return (*self.former_ids, self.run_id)

    @property
    def fold(self) -> int | None:
        """Which fold it is validated on, from 0; None where the data set is not divided."""
        return self.dataset.fold.number if self.dataset.fold else None

    @property
    def which(self) -> str:
        """Which of its row's runs it is, in words: ``seed 0``, of a fold ``seed 0, fold 2``."""
        return which(self.seed, self.fold)

    @property
    def validates(self) -> bool:
        """Whether it has a validation; one that is trained on train and val together has none."""
        return not self.why_unvalidated

    @property
    def why_unvalidated(self) -> str:
        """Why it has no validation, in words; empty if it has one."""
        if self.given.get("train_on") == "all":
            return "trained on train and val (train_on: all)"
        return "given boxes of the test split alone" if self.given.get("boxes") == "test" else ""

    @property
    def select(self) -> Select:
        """Which of the run's validations is recorded."""
        return "best" if self.given.get("select") == "best" else "last"

    def to_json(self) -> JsonObject:
        """The plain values that ``spec.json`` holds."""
        # An override may be infinite, which JSON has no number for: what counts is in the config.
        text = json.dumps(asdict(self), default=str)
        plain: JsonObject = json.loads(text, parse_constant=str)
        return plain

    @classmethod
    def from_json(cls, value: object) -> RunSpec:
        """Reads back what `to_json` made, in this version or in one that knew rows of parts only.

        Raises:
            ValueError: It is no spec; the message names the field.
        """
        if isinstance(value, dict) and "parts" in value:
            value = {"recipe": "parts", "names": value["parts"], **value}
        spec = _SPEC(value)
        end = f"-{of_seed(spec.seed, spec.fold)}-{spec.profile}"
        if not spec.run_id.rpartition("-")[0].endswith(end):
            of_fold = "" if spec.fold is None else f", fold {spec.fold}"
            raise ValueError(
                f"run_id: {shown(spec.run_id)} is not of seed {spec.seed}{of_fold} and profile {spec.profile}"
            )
        return spec


_SPEC = Checked(RunSpec)
