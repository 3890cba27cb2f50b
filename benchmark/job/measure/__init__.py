"""What is measured of a run beside its scores, each declared once: a new one is one more entry of `MEASUREMENTS`.

Nothing heavy is imported here: the leaderboard and studies read what is declared, the job alone calls the functions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Generic, Literal, TypeVar

from benchmark.run.record import RunRecord
from benchmark.statistics.scores import Better
from benchmark.writing.words import billions, duration, fraction, hundredths, millions, tenths

_T = TypeVar("_T", float, str)


@dataclass(frozen=True)
class Axis:
    """A cost as an axis of the plots that mAP50 is drawn against.

    Attributes:
        title: What it is.
        unit: Unit of the axis.
        divide: What a value is divided by to be in that unit.
        of_device: Whether values compare on the same device only.
        up_to: Key of the reading that says how far single values spread upwards; empty where they do not.
    """

    title: str
    unit: str
    divide: float = 1
    of_device: bool = False
    up_to: str = ""


@dataclass(frozen=True)
class Objective:
    """A cost as the second objective of a study.

    Attributes:
        name: Name in the study file.
        title: What it is, in a sentence or on an axis.
        unit: Unit of the axis.
        symbol: Unit behind a value.
        divide: What a value is divided by to be in that unit.
    """

    name: str
    title: str
    unit: str
    symbol: str
    divide: float = 1


@dataclass(frozen=True)
class Reading(Generic[_T]):
    """A value of a measurement: a column of the leaderboard.

    Attributes:
        key: The column's key.
        title: Heading for readers.
        about: What it is, in a sentence.
        read: Takes it out of a complete run's record; None where it was not measured.
        over: The value of a row from those of its runs, at least one.
        unit: Unit; empty where it has none.
        better: Which way is better, None where neither is.
        dtype: pandas dtype that holds it, and its absence, without loss.
        text: Words it for readers.
        group: The table that it stands in on the Markdown page; ``main`` is the README's, too.
        axis: How the page and the plots draw it, None where they do not.
        objective: How studies minimize it, None where they cannot.
    """

    key: str
    title: str
    about: str
    read: Callable[[RunRecord], _T | None]
    over: Callable[[Sequence[_T]], _T]
    unit: str = ""
    better: Better | None = "lower"
    dtype: Literal["object", "float64", "Int64"] = "float64"
    text: Callable[[_T], str] = str
    group: Literal["main", "cost", "errors"] = "cost"
    axis: Axis | None = None
    objective: Objective | None = None


AnyReading = Reading[float] | Reading[str]


@dataclass(frozen=True)
class Measurement:
    """What is measured of a run.

    Attributes:
        key: Name in the record: under ``missing``, and of what was found unless that went into files.
        function: ``module:name`` of the function that measures: it takes an
            `benchmark.job.measure.evaluated.Evaluated`, a `benchmark.job.measure.trained.Trained` if it is of a model,
            and gives what `benchmark.run.record.RunRecord.with_measured` takes, or None if it wrote files. It may
            raise: a measurement that fails costs its values, not the run. Empty for what the training itself leaves in
            the record.
        readings: Its columns.
        costs_time: Whether it takes so long that trials do without, unless it is their objective.
        of_model: Whether it is of a model or its training, which a row whose boxes come from elsewhere has not.
        disturbs: Whether a failure may leave traces in the model, so that it comes last.
        alone: Whether it needs the machine alone, as a time does, so that it comes first and no other job of this
            driver ends meanwhile.
    """

    key: str
    function: str = ""
    readings: tuple[AnyReading, ...] = ()
    costs_time: bool = False
    of_model: bool = False
    disturbs: bool = False
    alone: bool = False


def number(key: str, name: str) -> Callable[[RunRecord], float | None]:
    """Reads a number of a measurement that has no field of its own in the record."""
    return lambda record: record.measured.get(key, {}).get(name)


def _first(values: Sequence[float]) -> float:
    """Of what no seed changes."""
    return values[0]


def _joined(names: Sequence[str]) -> str:
    return " / ".join(sorted({*names}))


def _share(kind: str, about: str) -> Reading[float]:
    return Reading(
        key=f"tide_{kind.lower()}",
        title=kind,
        about=f"TIDE: how much mAP50 would rise if {about}.",
        read=lambda record: (record.tide or {}).get(kind),
        over=fmean,
        unit="fraction",
        text=fraction,
        group="errors",
    )


_TIDE = Measurement(
    key="tide",
    function="benchmark.job.measure.tide:shares_of",
    readings=(
        _share(
            "Cls",
            "boxes on an object of another class (IoU from 0.5) had its class, or were gone where it has one",
        ),
        _share(
            "Loc",
            "boxes that lie badly on an object of their class (IoU 0.1 to 0.5) lay well, or were gone where it has one",
        ),
        _share(
            "Both",
            "boxes that lie badly on objects of other classes only (IoU 0.1 to 0.5) were gone",
        ),
        _share("Dupe", "further boxes on an object that has one were gone"),
        _share("Bkg", "boxes on no object (IoU up to 0.1) were gone"),
        _share(
            "Miss",
            "objects without a box, to which the corrections of Cls and Loc give none either, no longer counted",
        ),
    ),
)

_PARAMS = Measurement(
    key="params",
    of_model=True,
    readings=(
        Reading[float](
            key="params",
            title="Parameters (M)",
            about="Parameters of the model, frozen ones too.",
            read=lambda record: record.params,
            over=_first,
            unit="parameters",
            dtype="Int64",
            text=millions,
            group="main",
            axis=Axis("Parameters", "million", 1e6),
            objective=Objective("params", "parameters", "millions", "M", 1e6),
        ),
    ),
)

_FLOPS = Measurement(
    key="flops",
    function="benchmark.job.measure.flops:flops_of",
    readings=(
        Reading[float](
            key="flops",
            title="GFLOPs",
            about="Multiply-adds, each counted as one, of the first validation image at the test size, by mmengine.",
            read=lambda record: record.flops.value if record.flops else None,
            over=_first,
            unit="multiply-adds",
            dtype="Int64",
            text=billions,
            axis=Axis("Multiply-adds", "billion", 1e9),
        ),
    ),
    costs_time=True,
    of_model=True,
    disturbs=True,
)

_LATENCY = Measurement(
    key="latency_ms",
    function="benchmark.job.measure.latency:latency_of",
    readings=(
        Reading(
            key="latency_ms",
            title="Latency (ms)",
            about="Median of the predict path at batch 1 on the device, over 20 images; mean over the seeds.",
            read=lambda record: record.latency_ms.median if record.latency_ms else None,
            over=fmean,
            unit="ms",
            text=tenths,
            axis=Axis("Latency", "ms", of_device=True, up_to="latency_p95_ms"),
            objective=Objective("latency", "latency", "ms", "ms"),
        ),
        Reading(
            key="latency_p95_ms",
            title="Latency, 95th percentile (ms)",
            about="95th percentile of the same, which is near the slowest image; mean over the seeds.",
            read=lambda record: record.latency_ms.p95 if record.latency_ms else None,
            over=fmean,
            unit="ms",
            text=tenths,
        ),
    ),
    costs_time=True,
    of_model=True,
    alone=True,
)

_TRAINING = Measurement(
    key="training",
    of_model=True,
    readings=(
        Reading(
            key="peak_memory_gib",
            title="Peak memory (GiB)",
            about="Highest of the seeds: of the GPU where there is one, else of the process.",
            read=lambda record: record.peak_memory_gib,
            over=max,
            unit="GiB",
            text=hundredths,
            axis=Axis("Peak memory", "GiB", of_device=True),
        ),
        Reading(
            key="device",
            title="Device",
            about="What the complete runs ran on.",
            read=lambda record: record.provenance.device_words or None,
            over=_joined,
            better=None,
            dtype="object",
        ),
        Reading(
            key="train_seconds",
            title="Training time",
            about="Training and validation of one run; mean over the seeds.",
            read=lambda record: record.train_seconds,
            over=fmean,
            unit="s",
            text=duration,
            group="main",
            axis=Axis("Training time", "s", of_device=True),
        ),
    ),
)

# ``matches.npz`` and ``bootstrap.npy``, which intervals, ranks and comparisons are made from.
_BOOTSTRAP = Measurement("bootstrap", "benchmark.job.measure.matches:keep_bootstrap")
# ``samples.json``, which the page's gallery is made from.
_SAMPLES = Measurement("samples", "benchmark.job.measure.samples:keep_samples")

_ALL = (_TIDE, _PARAMS, _FLOPS, _LATENCY, _TRAINING, _BOOTSTRAP, _SAMPLES)
MEASUREMENTS = {measurement.key: measurement for measurement in _ALL}


def objectives() -> dict[str, tuple[Measurement, AnyReading]]:
    """By name in a study file: the measurement and its value that a study can minimize."""
    return {
        reading.objective.name: (measurement, reading)
        for measurement in MEASUREMENTS.values()
        for reading in measurement.readings
        if reading.objective is not None
    }
