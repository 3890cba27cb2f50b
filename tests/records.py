"""Records that a test makes up."""

from __future__ import annotations

from typing import Any

from benchmark.run.record import RunRecord

PROVENANCE: dict[str, Any] = {
    "git": {"commit": "0123456789abcdef" * 2, "dirty": False},
    "device": "CPU: abacus",
    "hashes": {"train": "a1" * 32, "val": "b2" * 32, "config": "c3" * 32},
}
OOM = {"kind": "oom", "message": "CUDA out of memory\nTried to allocate", "log_tail": "..."}
_PLAIN = {
    "run_id": "plain-s0-tiny-00000000",
    "row": "plain",
    "seed": 0,
    "profile": "tiny",
    "state": "complete",
    "metrics": {"mAP50": 0.5, "mAP": 0.3, "mAP_l": None, "per_class": {}},
    "no_predictions": False,
    "params": 1000,
    "train_seconds": 8.0,
    "peak_memory_gib": None,
    "started_at": "2026-01-01T00:00:00+00:00",
    "finished_at": "2026-01-01T00:00:08+00:00",
    "provenance": PROVENANCE,
}


def record(**changes: Any) -> RunRecord:
    """A complete run's record; ``changes`` are plain values as ``record.json`` holds them."""
    return RunRecord.from_json({**_PLAIN, **changes})


def latency(median: float, p95: float, device: str = "CPU: abacus") -> dict[str, Any]:
    """The latency of a record, in milliseconds an image."""
    return {"median": median, "p95": p95, "images": 20, "device": device}
