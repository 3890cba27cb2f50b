"""Measures a complete run: every entry of `benchmark.job.measure.MEASUREMENTS` that has a function."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib import import_module
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from benchmark.job.failures import of_machine
from benchmark.job.measure import MEASUREMENTS, Measurement
from benchmark.job.measure.evaluated import Evaluated
from benchmark.run.journal import now
from benchmark.run.record import Flops, Latency, Measured, ValImages

_LONGEST_REASON = 300


@dataclass(frozen=True)
class Findings:
    """What was found out about a run beside its scores.

    Attributes:
        measured: By key of a measurement.
        missing: By key of a measurement that failed: the error in one line.
        val_images: The images of the last validation.
    """

    measured: dict[str, Measured]
    missing: dict[str, str]
    val_images: ValImages


def measure(
    evaluated: Evaluated, cost: bool, alone: AbstractContextManager[None] | None = None
) -> Findings:
    """Measures a complete run, and its model if it is a `Trained` one; some measurements write files into its folder.

    A measurement that fails costs its values, not the run.

    Args:
        evaluated: The run.
        cost: Take those, too, that cost time.
        alone: Entered for the measurements that need the machine alone, which come first.

    Raises:
        Exception: The machine is at fault, as `benchmark.job.failures.of_machine` tells.
    """
    from benchmark.job.measure.trained import Trained

    folder = evaluated.folder
    for file in (folder.matches_file, folder.bootstrap_file, folder.samples_file):
        file.unlink(missing_ok=True)  # of an attempt before
    found = Findings({}, {}, images_of(evaluated.evaluation.image_ids))
    wanted = _wanted(cost, isinstance(evaluated, Trained))
    with alone or nullcontext():
        for measurement in wanted:
            if measurement.alone:
                _measure(measurement, evaluated, found)
    for measurement in wanted:
        if not measurement.alone:
            _measure(measurement, evaluated, found)
    return found


def _measure(measurement: Measurement, evaluated: Evaluated, found: Findings) -> None:
    try:
        value = _function(measurement)(evaluated)
        _require_numbers(value)
    except Exception as error:
        if of_machine(error, evaluated.folder) is not None:
            raise
        found.missing[measurement.key] = reason(error)
        print(f"{now()} {measurement.key} not measured: {reason(error)}", flush=True)
    else:
        found.measured.update({} if value is None else {measurement.key: value})


def _wanted(cost: bool, has_model: bool) -> list[Measurement]:
    possible = (m for m in MEASUREMENTS.values() if m.function and (has_model or not m.of_model))
    wanted = [measurement for measurement in possible if cost or not measurement.costs_time]
    return sorted(wanted, key=lambda measurement: measurement.disturbs)


def _function(measurement: Measurement) -> Callable[[Evaluated], Measured | None]:
    module, _, name = measurement.function.partition(":")
    function: Callable[[Evaluated], Measured | None] = getattr(import_module(module), name)
    return function


def _require_numbers(value: Measured | None) -> None:
    """Raises a ValueError if one is NaN or infinite: the record, which is JSON, would take none of it."""
    numbers = vars(value) if isinstance(value, Latency | Flops) else value or {}
    strange = [
        f"{key} {n}" for key, n in numbers.items() if isinstance(n, float) and not isfinite(n)
    ]
    if strange:
        raise ValueError(f"no numbers: {', '.join(strange)}")


def reason(error: Exception) -> str:
    """What an error says, in one line of at most 300 characters."""
    first, *_ = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {first}".strip(": ")[:_LONGEST_REASON]


def images_of(image_ids: NDArray[np.int64]) -> ValImages:
    """Which images an evaluation was on: ``image_ids`` are theirs, sorted."""
    ids = image_ids.astype("<i8")  # the same bytes on every machine
    return ValImages(len(ids), hashlib.sha256(ids.tobytes()).hexdigest())
