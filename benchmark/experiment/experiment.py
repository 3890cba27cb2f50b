"""The experiment file: read with a safe loader and validated at the door, all problems at once."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AliasChoices,
    Field,
    SerializeAsAny,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.functional_validators import ModelWrapValidatorHandler
from pydantic_core import InitErrorDetails

from benchmark.errors import UserError
from benchmark.experiment.cache import ImageCache
from benchmark.experiment.cluster import Cluster
from benchmark.experiment.data_source import DataSource, Folds
from benchmark.experiment.pseudo import Pseudo
from benchmark.experiment.published import HiddenScores, Judge, Published
from benchmark.experiment.rows.base import Recipe
from benchmark.experiment.rows.keys import details, read_recipe
from benchmark.experiment.rows.parts import Grid
from benchmark.experiment.source_rows import source_problems
from benchmark.yaml_file import Name, Strict, exponents, read_yaml, validated

_TUNED = ".tuned"  # before the suffix of the file of tuned rows


class Row(Strict):
    """One line of the leaderboard.

    In the file the keys of the recipe stand beside the row's own.

    Attributes:
        name: Unique within the experiment; the readable part of the run ids.
        recipe: How it comes to its boxes.
        labels: Cells of the table by column title; the recipe has some for the titles that are missing.
        published: The mAP50 that it was published with, or None.
        leaderboard: What a leaderboard with a hidden test set gave it, or None.
        overrides: Key paths of the composed config and their values (``set`` in the file).
        gpus: Number of GPUs that one run of this row trains on.
        study: The tuning study that the row's values come from, None for a row that was not tuned.
        pseudo: Boxes of another row that it learns from, too; None for a row that learns from labels alone.
        train_on: What it is trained on, ``all`` for train and val together; None as the experiment says.
    """

    name: Name
    recipe: SerializeAsAny[Recipe]
    labels: dict[str, str] = Field(default_factory=dict)
    published: Published | None = None
    leaderboard: HiddenScores | None = None
    overrides: dict[str, Any] = Field(default_factory=dict, alias="set")
    gpus: Annotated[int, Field(ge=1)] = 1
    study: Name | None = None
    pseudo: Pseudo | None = None
    train_on: TrainOn | None = None

    @model_validator(mode="wrap")
    @classmethod
    def _with_its_recipe(cls, content: object, validate: ModelWrapValidatorHandler[Row]) -> Row:
        """The keys of the recipe become `recipe`; what is wrong with them is said with all else that is wrong."""
        if not isinstance(content, dict) or isinstance(content.get("recipe"), Recipe):
            return validate(content)
        keys = [f.alias or name for name, f in cls.model_fields.items() if name != "recipe"]
        own = {key: value for key, value in content.items() if key in keys}
        problems: list[InitErrorDetails] = []
        rest = {key: value for key, value in content.items() if key not in own}
        recipe = read_recipe(rest, keys, problems)
        try:
            row = validate({**own, "recipe": recipe})
        except ValidationError as error:
            problems += [problem for problem in details(error) if problem["loc"] != ("recipe",)]
        if problems:
            raise ValidationError.from_exception_data(cls.__name__, problems)
        return row

    @property
    def cells(self) -> dict[str, str]:
        """What says what the row is, by column title: its labels, then what its recipe gives by default."""
        usual = self.recipe.labels.items()
        return self.labels | {title: text for title, text in usual if title not in self.labels}

    @property
    def source_rows(self) -> tuple[str, ...]:
        """Names of the rows of the experiment whose runs it is made from, or learns boxes of."""
        learnt = (self.pseudo.source,) if self.pseudo else ()
        return (*self.recipe.source_rows, *learnt)

    @model_validator(mode="after")
    def _learns_only_if_it_trains(self) -> Row:
        if self.pseudo and not self.recipe.trains():
            raise ValueError(
                "'pseudo' is a training set, and this row is not trained: leave it out"
            )
        if self.train_on and not self.recipe.trains():
            raise ValueError(
                "'train_on' is of trainings, and this row is not trained: leave it out"
            )
        return self

    @field_validator("overrides")
    @classmethod
    def _exponents_are_numbers(cls, overrides: dict[str, Any]) -> dict[str, Any]:
        return {key: exponents(value) for key, value in overrides.items()}


class TunedRow(Row):
    """A row that a tuning study led to.

    Attributes:
        trial: Number of the trial that its values are from.
    """

    study: Name
    trial: Annotated[int, Field(ge=0)]


class TunedRows(Strict):
    """The file of an experiment's tuned rows: see `tuned_file`."""

    rows: list[TunedRow] = Field(default_factory=list)


Select = Literal["last", "best"]
"""Which validation of a run is recorded: the last, or the one with the best mAP50."""

TrainOn = Literal["train", "all"]
"""What rows are trained on: the training split, or train and val together."""

Precision = Literal["fp32", "amp", "bf16"]
"""What rows are trained in: float32, or float16 or bfloat16 where that is safe and float32 elsewhere."""

TrackingMode = Literal["auto", "online", "offline", "off"]


class Tracking(Strict):
    """Where the runs are tracked.

    Attributes:
        name: The tracker, an entry of `benchmark.tracking.TRACKERS`.
        project: The project that the runs are logged to.
        entity: The user or team that it belongs to; None for the default one.
        mode: ``auto`` is online with a login or an API key, offline otherwise.
        images: How many validation images of a run are shown at most.
    """

    name: Name = "wandb"
    project: str = "detboard"
    entity: str | None = None
    mode: TrackingMode = "auto"
    images: Annotated[int, Field(ge=0)] = 4

    @field_validator("mode", mode="before")
    @classmethod
    def _off_is_a_word(cls, mode: Any) -> Any:
        return "off" if mode is False else mode  # YAML 1.1 reads a bare off as false


# Nothing that a job does is without a file or a CPU's work for so long; a mount that hangs may come back sooner.
PATIENCE_MIN = 30.0


class Experiment(Strict):
    """A leaderboard to regenerate.

    Attributes:
        name: Name of the experiment; the group of its tracked runs, and the stem of the table's files.
        title: Heading of the table.
        dataset: Where the data is.
        profile: Name of the profile part: how much is done.
        seeds: Every row runs once with each.
        folds: Every row runs once a fold, of so many, or of the folder of fold files that is named (relative to the
            experiment file); the training split is divided, and ``val`` left aside. None divides nothing.
        select: Which validation of a run is recorded.
        judge: Which split ranks the rows: ``test`` needs a test split with annotations.
        train_on: What rows are trained on that do not say so themselves; ``all`` leaves no val score.
        precision: What all rows that do not say so themselves are trained in; None as their configs say.
        compile: Whether all rows that do not say so themselves are compiled; None as their configs say.
        tracking: Where the runs are tracked; ``wandb`` in the file is the same.
        patience_min: Minutes without a sign of life after which a job is ended.
        cluster: What its jobs ask of a cluster, where they run on one.
        cache: Where decoded images are kept; no run depends on it.
        rows: The lines of the table, in order.
        path: The experiment file.
    """

    no_keys: ClassVar[tuple[str, ...]] = ("path",)
    more_keys: ClassVar[tuple[str, ...]] = ("grid",)

    name: Name
    title: str
    dataset: DataSource = DataSource()
    profile: Name = "full"
    seeds: list[Annotated[int, Field(ge=0, lt=2**32)]] = Field(default=[0], min_length=1)
    folds: Folds = None
    select: Select = "last"
    judge: Judge = "val"
    train_on: TrainOn = "train"
    precision: Precision | None = None
    compile: bool | None = None
    tracking: Tracking = Field(
        default=Tracking(), validation_alias=AliasChoices("tracking", "wandb")
    )
    patience_min: Annotated[float, Field(gt=0, allow_inf_nan=False)] = PATIENCE_MIN
    cluster: Cluster = Cluster()
    cache: ImageCache = ImageCache()
    rows: list[Row] = Field(default_factory=list)
    path: Path

    @property
    def files(self) -> tuple[str, ...]:
        """The files that it was read from: absolute paths of its own and, where there is one, that of tuned rows."""
        tuned = tuned_file(self.path)
        own = (str(self.path),)
        return (*own, str(tuned)) if any(isinstance(row, TunedRow) for row in self.rows) else own

    @field_validator("name")
    @classmethod
    def _name_is_free(cls, name: str) -> str:
        if name == "datasets":
            raise ValueError("'datasets' is taken: results/datasets.json is the data's cache")
        return name

    @field_validator("seeds")
    @classmethod
    def _seeds_differ(cls, seeds: list[int]) -> list[int]:
        if len(set(seeds)) != len(seeds):
            raise ValueError(f"the seeds repeat: {seeds}")
        return seeds

    @model_validator(mode="after")
    def _validated_on_something(self) -> Experiment:
        if self.dataset.train and not self.dataset.val and self.folds is None:
            raise ValueError(
                "dataset: 'train' and 'val' belong together: 'val' is missing (only 'folds' need none)"
            )
        return self

    @model_validator(mode="after")
    def _validated_if_chosen(self) -> Experiment:
        on_all = [row.name for row in self.rows if self.trains_on_all(row)]
        if on_all and self.select == "best":
            raise ValueError(
                f"train_on: all leaves no validation to choose by with select: best (row {on_all[0]}); leave one out"
            )
        if on_all and self.folds is not None:
            raise ValueError(
                f"train_on: all would train on the images that each fold holds out (row {on_all[0]}); leave it or "
                "'folds' out"
            )
        return self

    def trains_on_all(self, row: Row) -> bool:
        """Whether a row is trained on train and val together; never one that is not trained."""
        return row.recipe.trains() and (row.train_on or self.train_on) == "all"

    @model_validator(mode="after")
    def _rows_differ(self) -> Experiment:
        names = [row.name for row in self.rows]
        repeated = sorted(name for name, times in Counter(names).items() if times > 1)
        if repeated:
            raise ValueError(f"row names repeat: {', '.join(repeated)}")
        if alike := differing_in_case(names):
            raise ValueError(
                f"row names differ in upper and lower case only: {', '.join(alike)}; rename one of them, since many "
                "file systems take their run folders for the same"
            )
        if not names:
            raise ValueError("no rows: give 'rows', 'grid' or both")
        return self


def differing_in_case(names: Iterable[str]) -> list[str]:
    """Those of different names that are the same in upper and lower case, sorted."""
    alike = defaultdict(set)
    for name in names:
        alike[name.casefold()].add(name)
    return sorted(name for found in alike.values() if len(found) > 1 for name in found)


def load_experiment(path: Path) -> Experiment:
    """Reads and validates an experiment file, and its tuned rows if it has any.

    Raises:
        UserError: With every problem in the file, each naming its field.
    """
    _refuse_tuned(path)
    content = read_yaml(path, "an experiment is a mapping with 'rows'")
    if "search" in content and "rows" not in content:
        raise UserError(f"{path}: this is a study: detboard tune runs it; give an experiment file")
    grid = [validated(Grid, content.pop("grid"), path, "grid")] if "grid" in content else []
    rows = [row for part in grid for row in part.rows()]
    own = _listed(content, "rows")
    content["rows"] = [*own, *rows]
    content.setdefault("name", path.stem)
    content.setdefault("title", content["name"])
    made = validated(Experiment, {**content, "path": path.resolve()}, path, "experiment")
    whole = _with_tuned(made, path, len(own))
    if problems := source_problems({row.name: row.source_rows for row in whole.rows}):
        raise UserError(f"{path}: {problem}" for problem in problems)
    return whole


def tuned_file(experiment: Path) -> Path:
    """Where an experiment's tuned rows are: ``small.tuned.yaml`` beside ``small.yaml``; a link is followed."""
    real = experiment.resolve() if experiment.is_symlink() else experiment
    return real.with_name(f"{real.stem}{_TUNED}{real.suffix}")


def load_tuned(path: Path) -> list[TunedRow]:
    """Reads a file of tuned rows; without a file there are none.

    Raises:
        UserError: With every problem in the file, each naming its field.
    """
    if not os.path.lexists(path):  # unlike Path.exists, it bears a name that is too long
        return []
    content = read_yaml(path, "tuned rows are a mapping with 'rows'")
    return validated(TunedRows, content, path, "tuned rows").rows


def _with_tuned(experiment: Experiment, path: Path, own: int) -> Experiment:
    """The experiment with its tuned rows, behind the ``own`` rows of its file and before those of its grid."""
    file = tuned_file(path)
    tuned = load_tuned(file)
    names = [row.name for row in (*experiment.rows, *tuned)]
    times = Counter(names)
    if clashes := dict.fromkeys(row.name for row in tuned if times[row.name] > 1):
        raise UserError(
            f"{file}: {name}: another row has this name; rename the one in {path}, or delete either"
            for name in clashes
        )
    if alike := differing_in_case(names):
        raise UserError(
            f"{file}: rows differ in upper and lower case only: {', '.join(alike)}; rename one"
        )
    rows = [*experiment.rows[:own], *tuned, *experiment.rows[own:]]
    return experiment.model_copy(update={"rows": rows})


def _refuse_tuned(path: Path) -> None:
    owner = path.with_name(f"{path.stem.removesuffix(_TUNED)}{path.suffix}")
    if path.stem.endswith(_TUNED) and owner.exists():
        raise UserError(f"{path}: the tuned rows of {owner}, which includes them: give that file")


def _listed(content: dict[str, Any], key: str) -> list[Any]:
    value = content.get(key) or []
    if not isinstance(value, list):
        raise UserError(f"'{key}' is a list of rows; this is {type(value).__name__}")
    return value
