"""What a trial's lead over the row's own setting is worth, by the validation images of both."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from benchmark.run.folder import Damaged
from benchmark.run.record import RunRecord, State
from benchmark.run.runs import Runs
from benchmark.statistics import LEVEL
from benchmark.statistics.draws import read_draws
from benchmark.statistics.intervals import Sample, difference, usable
from benchmark.statistics.scores import MAIN
from benchmark.tuning.findings.findings import Findings, Trial, Worth


def with_worth(findings: Findings, runs: Runs) -> Findings:
    """The findings with what the lead of the best trial, or of each on the front, is worth.

    Args:
        findings: As they were read.
        runs: The runs of the results folder; those of other drivers of a shared study are not there.
    """
    leading = findings.front if findings.two else findings.ranked[:1]
    return replace(findings, worth={t.number: worth(findings, t, runs) for t in leading})


def worth(findings: Findings, trial: Trial, runs: Runs) -> Worth:
    """What a complete trial's lead over the row's own setting is worth.

    It is measured by the paired bootstrap of the two runs' validation images, as between two rows of a leaderboard.

    The best of n trials leads by chance more easily than one would, so the interval has the level 1 - 0.05 / n
    (Bonferroni), n the complete trials beside the row's own setting. It says nothing of other training seeds.

    Args:
        findings: The study.
        trial: The trial that leads.
        runs: Where their runs are looked for.
    """
    own = findings.published
    if own is None or own.state != "complete":
        return Worth(why="the row's own setting has no value")
    if findings.about.objectives[0] != MAIN:
        return Worth(why=f"only {MAIN} has an interval")
    rivals = max(sum(t.same_as is None and t is not own for t in findings.ranked), 1)
    samples = [_sample(one, runs) for one in (trial, own)]
    if missing := [sample for sample in samples if isinstance(sample, str)]:
        return Worth(why=missing[0])
    (ours, images), (theirs, others) = (s for s in samples if not isinstance(s, str))
    if images != others:
        return Worth(why="the two were evaluated on different images")
    return Worth(difference(ours, theirs, 1 - (1 - LEVEL) / rivals), rivals)


def _sample(trial: Trial, runs: Runs) -> tuple[Sample, object] | str:
    """A trial's mAP50 over resampled images, and which images these are; or why that is not known."""
    try:
        record = runs.record(trial.run_id) if trial.run_id else None
    except Damaged as damage:
        return str(damage)
    if record is None or record.state is not State.COMPLETE:
        return f"the run of trial {trial.number} is not in this results folder"
    return (
        _of_record(record, runs) or f"the run of trial {trial.number} has no usable bootstrap.npy"
    )


def _of_record(record: RunRecord, runs: Runs) -> tuple[Sample, object] | None:
    value, images = record.score(MAIN), record.val_images
    draws = read_draws(runs.folder(record.run_id).bootstrap_file)
    if value is None or images is None or draws is None:
        return None
    sample = Sample(np.array([value], np.float64), draws, images.count)
    return (sample, images) if usable(sample) else None
