"""The columns of what is measured of a complete run: kinds of error, and what a model costs."""

from __future__ import annotations

from benchmark.job.measure import MEASUREMENTS, AnyReading, Measurement
from benchmark.leaderboard.columns.column import Column


def measured_columns() -> tuple[Column, ...]:
    """A column for each value that is measured."""
    return tuple(
        _column(measurement, reading)
        for measurement in MEASUREMENTS.values()
        for reading in measurement.readings
    )


def _column(measurement: Measurement, reading: AnyReading) -> Column:
    return Column(
        reading.key,
        reading.title,
        lambda result: result.over(reading),
        reading.about,
        dtype=reading.dtype,
        text=reading.text,
        unit=reading.unit,
        better=reading.better,
        group=reading.group,
        missing=measurement.key,
        axis=reading.axis,
    )
