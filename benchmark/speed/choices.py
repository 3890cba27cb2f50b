"""What the speed of a training depends on and can be chosen. A new one is an entry of `CHOICES`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

from benchmark.config.faster import COMPILE, PRECISION, precision_of, sets_wrapper
from benchmark.config.overrides import key_path, passed_over
from benchmark.config.vocabulary.words import mapping_of
from benchmark.experiment.cache import ImageCache
from benchmark.run.devices import cpu_count, visible_gpus
from benchmark.run.plan import Plan, Request

WORKERS_KEY = "train_dataloader.num_workers"
_AS_IT_IS = "as the experiment has it"


class Kind(Enum):
    """What a choice does to results."""

    SAME = "same"
    """It changes no number."""
    REDRAWN = "redrawn"
    """Run ids stay; the random numbers of augmentations are others, as if they were drawn anew."""
    OTHER = "other"
    """It changes what is trained, so that runs have other ids."""


@dataclass(frozen=True)
class Machine:
    """What one run's share of this machine is.

    Attributes:
        gpus: GPUs of the machine.
        cpus: CPUs for each GPU, or all where there is none.
    """

    gpus: tuple[str, ...]
    cpus: int

    @classmethod
    def this(cls) -> Machine:
        """This machine."""
        gpus = visible_gpus()
        return cls(gpus, max(1, cpu_count() // max(1, len(gpus))))


@dataclass(frozen=True)
class How:
    """How runs are timed.

    Attributes:
        request: What they are planned by.
        cache: Where they keep decoded images.
        slots: Runs side by side on one GPU, or on all CPUs.
    """

    request: Request
    cache: ImageCache = field(default_factory=ImageCache)
    slots: int = 1


@dataclass(frozen=True)
class Choice:
    """Something that is chosen.

    Attributes:
        name: What it is called.
        kind: What it does to results.
        loads: Whether it is about how images are read.
        values: What is tried beside what the rows have, best guess last.
        put: How runs are timed with a value.
        option: What a sweep is told of a value: an option and its value, empty of a flag.
    """

    name: str
    kind: Kind
    loads: bool
    values: Callable[[Machine, Plan], Sequence[str]]
    put: Callable[[How, str], How]
    option: Callable[[Machine, str], tuple[str, str]]


@dataclass(frozen=True)
class Combination:
    """Values of some choices; what is not among them is as the experiment has it.

    Attributes:
        values: Names of choices and values, in the order of `CHOICES`.
    """

    values: tuple[tuple[str, str], ...] = ()

    def with_value(self, choice: Choice, value: str) -> Combination:
        """The same, with one more value."""
        found = {**dict(self.values), choice.name: value}
        return Combination(tuple((name, found[name]) for name in CHOICES if name in found))

    @property
    def choices(self) -> list[Choice]:
        """What is chosen otherwise."""
        return [CHOICES[name] for name, _ in self.values]

    @property
    def changes(self) -> bool:
        """Whether runs have other ids with it."""
        return any(choice.kind is Kind.OTHER for choice in self.choices)

    def words(self) -> str:
        """``precision bf16, workers 4``."""
        return ", ".join(f"{name} {value}" for name, value in self.values) or _AS_IT_IS

    def put(self, how: How) -> How:
        """How runs are timed with it."""
        for name, value in self.values:
            how = CHOICES[name].put(how, value)
        return how

    def options(self, machine: Machine) -> list[tuple[str, str]]:
        """What a sweep is told: options and their values."""
        return [CHOICES[name].option(machine, value) for name, value in self.values]


def values_of(machine: Machine, made: Plan) -> dict[str, Sequence[str]]:
    """What is tried of each choice for the rows of a plan, by its name."""
    return {name: choice.values(machine, made) for name, choice in CHOICES.items()}


def _numbers_of_workers(machine: Machine, made: Plan) -> list[str]:
    """A quarter, a half and as many as there are CPUs; without a GPU, whose CPUs train, none up to a half."""
    if given_whole(made)["workers"]:
        return []
    cpus = machine.cpus
    tried = {cpus // 4, cpus // 2, cpus} - {0} if machine.gpus else {0, cpus // 2}
    loaders = [mapping_of(run.config.get("train_dataloader")) for run in made.runs]
    known = {int(loader.get("num_workers") or 0) for loader in loaders}
    return [str(number) for number in sorted(tried) if known != {number}]


def _setting(how: How, key: str, value: object) -> How:
    """A key of the config in place of what was given for it."""
    given = {k: v for k, v in how.request.overrides.items() if key_path(k) != key_path(key)}
    return replace(how, request=replace(how.request, overrides={**given, key: value}))


def _precisions(machine: Machine, made: Plan) -> list[str]:
    """Half precision of both kinds on a GPU, bfloat16 on a CPU; none that all rows have, or where it was given."""
    if given_whole(made)[PRECISION]:
        return []
    known = {precision_of(run.config) for run in made.runs}
    return [value for value in (("amp", "bf16") if machine.gpus else ("bf16",)) if known != {value}]


def given_whole(made: Plan) -> dict[str, list[str]]:
    """By the name of a choice the keys of ``--set`` beside which no value of it can be given, as it would be twice."""
    given = [run.spec.command_line for run in made.runs]
    wrapper = [key for overrides in given for key in sets_wrapper(overrides)]
    loader = [
        key
        for overrides in given
        for key, value in overrides.items()
        if passed_over({key: value, WORKERS_KEY: None})
    ]
    return {PRECISION: [*dict.fromkeys(wrapper)], "workers": [*dict.fromkeys(loader)]}


def _compiling(_: Machine, made: Plan) -> list[str]:
    return [] if all(run.config.get(COMPILE) for run in made.runs) else ["on"]


def _numbers_of_slots(machine: Machine, made: Plan) -> list[str]:
    """Two and three on a GPU, two where there is none; none for rows that want several GPUs."""
    if any(run.spec.gpus > 1 for run in made.runs):
        return []
    if machine.gpus:
        return ["2", "3"]
    return ["2"] if machine.cpus > 1 else []


def _slots_option(machine: Machine, value: str) -> tuple[str, str]:
    return "--slots", str(int(value) * max(1, len(machine.gpus)))


def _by_name(choices: Iterable[Choice]) -> dict[str, Choice]:
    return {choice.name: choice for choice in choices}


CHOICES = _by_name(
    [
        Choice(
            PRECISION,
            Kind.OTHER,
            loads=False,
            values=_precisions,
            put=lambda how, value: _setting(how, PRECISION, value),
            option=lambda _, value: (f"--{PRECISION}", value),
        ),
        Choice(
            COMPILE,
            Kind.OTHER,
            loads=False,
            values=_compiling,
            put=lambda how, _: _setting(how, COMPILE, True),
            option=lambda *_: (f"--{COMPILE}", ""),
        ),
        Choice(
            "cache",
            Kind.SAME,
            loads=True,
            # Not on disk: the few images that are read here would be in the system's memory.
            values=lambda _, made: [] if made.experiment.cache.kind == "ram" else ["ram"],
            put=lambda how, _: replace(how, cache=ImageCache(kind="ram")),
            option=lambda _, value: ("--cache", value),
        ),
        Choice(
            "workers",
            Kind.REDRAWN,
            loads=True,
            values=_numbers_of_workers,
            put=lambda how, value: _setting(how, f"+{WORKERS_KEY}", int(value)),
            option=lambda _, value: ("--set", f"+{WORKERS_KEY}={value}"),
        ),
        Choice(
            "slots",
            Kind.SAME,
            loads=False,
            values=_numbers_of_slots,
            put=lambda how, value: replace(how, slots=int(value)),
            option=_slots_option,
        ),
    ]
)
