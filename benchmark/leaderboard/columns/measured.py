"""The columns of what is measured of a complete run: kinds of error, and what a model costs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmark.leaderboard.columns.column import Column
from benchmark.leaderboard.results import RowResult
from benchmark.writing.words import billions, duration, fraction, hundredths, millions, tenths


def _error(kind: str, about: str) -> Column:
    return Column(
        f"tide_{kind.lower()}",
        kind,
        lambda r: r.error(kind),
        f"TIDE: how much mAP50 would rise if {about}.",
        dtype="float64",
        text=fraction,
        unit="fraction",
        better="lower",
        group="errors",
        missing="tide",
    )


def _cost(
    key: str, title: str, read: Callable[[RowResult], Any], about: str, **more: Any
) -> Column:
    usual = {"dtype": "float64", "better": "lower", "group": "cost"}
    return Column(key, title, read, about, **{**usual, **more})


ERROR_COLUMNS = (
    _error("Cls", "boxes of the wrong class had the right one"),
    _error("Loc", "boxes that lie badly lay well"),
    _error("Both", "boxes of the wrong class that lie badly were gone"),
    _error("Dupe", "second boxes of an object were gone"),
    _error("Bkg", "boxes on the background were gone"),
    _error("Miss", "objects without a box were found"),
)

COST_COLUMNS = (
    _cost(
        "params",
        "Parameters (M)",
        lambda r: r.params,
        "Parameters of the model.",
        text=millions,
        unit="parameters",
        dtype="Int64",
        group="main",
    ),
    _cost(
        "flops",
        "GFLOPs",
        lambda r: r.flops,
        "Multiply-adds of one image at the test size, as mmengine counts them.",
        text=billions,
        unit="multiply-adds",
        dtype="Int64",
    ),
    _cost(
        "latency_ms",
        "Latency (ms)",
        lambda r: r.latency("median"),
        "Median of the predict path at batch 1 on the device; mean over the seeds.",
        text=tenths,
        unit="ms",
    ),
    _cost(
        "latency_p95_ms",
        "Latency, 95th percentile (ms)",
        lambda r: r.latency("p95"),
        "95th percentile of the same; mean over the seeds.",
        text=tenths,
        unit="ms",
        missing="latency_ms",
    ),
    _cost(
        "peak_memory_gib",
        "Peak memory (GiB)",
        lambda r: r.peak_memory_gib,
        "Highest of the seeds: of the GPU where there is one, else of the process.",
        text=hundredths,
        unit="GiB",
    ),
    Column("device", "Device", lambda r: r.device, "What the complete runs ran on.", group="cost"),
    _cost(
        "train_seconds",
        "Training time",
        lambda r: r.train_seconds,
        "Training and validation of one run; mean over the seeds.",
        text=duration,
        unit="s",
        group="main",
    ),
)
