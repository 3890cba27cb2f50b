"""What a study claims: how far its best leads, and what its parameters matter."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from boards import DATA, draws, make_record, on_disk, write_draws
from test_study_summary import ABOUT, BOTH, fronted, one, searched, text, trial

from benchmark.run.runs import Runs
from benchmark.tuning.findings.chapters import chapters
from benchmark.tuning.findings.findings import About, Findings, read_findings
from benchmark.tuning.findings.summary import write_study
from benchmark.tuning.findings.worth import with_worth, worth

IMAGES = {"count": 50, "sha256": "d4" * 32}


def leave(results: Path, number: int, map50: float, noise: float, **changes: Any) -> None:
    """The run folder of a trial: its draws are those of all trials, and noise of its own."""
    record = on_disk(results, make_record(map50=map50, run_id=f"run-{number}", **changes), DATA)
    own = np.random.default_rng(number + 1).normal(0, noise, 1000)
    write_draws(results, record, draws(map50, 0.05) + own)


def led(results: Path, lead: float, noise: float = 0.005, others: int = 0) -> Findings:
    """A study whose trial 1 leads the row's own setting by so much."""
    study = one()
    trial(study, 0.4, published=True)
    trial(study, 0.4 + lead)
    for number in range(others):
        trial(study, 0.1 + number / 1000)
    leave(results, 0, 0.4, noise)
    leave(results, 1, 0.4 + lead, noise)
    return with_worth(read_findings(study, ABOUT), Runs(results))


def told(findings: Findings) -> str:
    return "\n".join(chapters(findings))


def test_a_lead_that_the_images_bear_out_is_better(tmp_path: Path) -> None:
    said = told(led(tmp_path, 0.05))
    assert (
        "**The best trial is better than the row's own setting: its mAP50 is higher, by +0.0500"
        in said
    )
    low, high = re.search(r"95 % interval \+(0\.\d+) to \+(0\.\d+) over", said).groups()
    assert 0.03 < float(low) < 0.05 < float(high) < 0.07


@pytest.mark.parametrize("lead", [0.0009, 6e-6])
def test_a_lead_that_is_noise_is_not_separated(lead: float, tmp_path: Path) -> None:
    said = told(led(tmp_path, lead))
    assert "not separated from the row's own setting: its mAP50 is higher, by +" in said
    assert "holds 0" in said and "is better than" not in said and "beat" not in said


def test_the_best_of_many_needs_a_wider_lead_than_the_best_of_one(tmp_path: Path) -> None:
    alone, many = led(tmp_path / "a", 0.016), led(tmp_path / "b", 0.016, others=40)
    assert (alone.worth[1].word, many.worth[1].word) == ("better", "not separated")
    assert "widened for the best of 41 trials" in told(many)


def test_equal_trials_are_called_better_as_seldom_as_is_said(tmp_path: Path) -> None:
    """The highest of 10 equal settings, each measured with noise that its draws know of."""
    random = np.random.default_rng(5)
    study, wrong = one(), 0
    for number in range(11):
        trial(study, 0.4, published=number == 0)
    read = read_findings(study, ABOUT)
    for sets in range(12):
        results, values = tmp_path / str(sets), (0.4 + random.normal(0, 0.02, 11)).tolist()
        for number, value in enumerate(values):
            record = on_disk(results, make_record(map50=value, run_id=f"run-{number}"))
            write_draws(results, record, random.normal(value, 0.02, 1000))
        tried = tuple(
            replace(t, values=(value,)) for t, value in zip(read.trials, values, strict=True)
        )
        found = with_worth(replace(read, trials=tried), Runs(results))
        best = found.best
        assert best is not None
        wrong += best is not found.published and found.worth[best.number].word == "better"
    assert wrong <= 1  # 5 % of 12; without the correction they are a third


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"val_images": {**IMAGES, "sha256": "ee" * 32}}, "evaluated on different images"),
        ({"val_images": None}, "no usable bootstrap.npy"),
    ],
)
def test_what_is_not_known_is_said(change: dict[str, Any], why: str, tmp_path: Path) -> None:
    led(tmp_path, 0.05)
    leave(tmp_path, 1, 0.45, 0.005, **change)
    study = one()
    trial(study, 0.4, published=True)
    trial(study, 0.45)
    said = told(with_worth(read_findings(study, ABOUT), Runs(tmp_path)))
    assert "own setting is not known (" in said and why in said and "by +0.0500" in said
    elsewhere = with_worth(read_findings(study, ABOUT), Runs(tmp_path / "elsewhere"))
    assert "the run of trial 1 is not in this results folder" in told(elsewhere)


def test_another_objective_has_no_interval(tmp_path: Path) -> None:
    study = one()
    trial(study, 0.4, published=True)
    trial(study, 0.45)
    about = About(**{**vars(ABOUT), "objectives": ("mAP75",)})
    found = with_worth(read_findings(study, about), Runs(tmp_path))
    assert (
        worth(found, found.ranked[0], Runs(tmp_path)).word == "unknown (only mAP50 has an interval)"
    )


def test_what_dominates_on_a_front_is_weighed_too(tmp_path: Path) -> None:
    for number, value in enumerate([0.45, 0.50, 0.40, 0.30, 0.50]):
        leave(tmp_path, number, value, 0.002)
    found = with_worth(read_findings(fronted([0.45, 35.0]), BOTH), Runs(tmp_path))
    assert "dominated by trial 1. By mAP50 over the validation images: trial 1 better." in told(
        found
    )


@pytest.mark.parametrize("count", [8, 24])
def test_importances_of_few_trials_are_not_shown(count: int, tmp_path: Path) -> None:
    study = searched(count)
    said = text(study)
    assert (
        f"Importances are not shown: 25 complete trials are needed, and there are {count}." in said
    )
    assert read_findings(study, ABOUT).importances.shares == {}
    assert re.search(r"\d %", said.split("## Parameters")[1].split("##")[0]) is None


@pytest.mark.slow
def test_the_place_of_the_plot_says_why_it_is_missing(tmp_path: Path) -> None:
    (tmp_path / "importances.png").write_bytes(b"of an earlier version")
    write_study(read_findings(searched(8), ABOUT), tmp_path)
    assert not (tmp_path / "importances.png").exists()
    said = (tmp_path / "summary.md").read_text()
    assert "Plot importances.png is not drawn: 25 complete trials" in said


def test_trials_that_took_over_a_run_do_not_count() -> None:
    study = searched(24)
    trial(study, 0.2, same_as=0)
    assert "and there are 24." in text(study)


def test_importances_come_with_where_they_may_lie() -> None:
    found = read_findings(searched(40), ABOUT).importances
    assert set(found.ranges) == set(found.shares)
    low, high = found.ranges["lr"]
    assert 0 <= low < high <= 1
    assert found.ranges == read_findings(searched(40), ABOUT).importances.ranges
    said = text(searched(40))
    assert re.search(r"\d+ % \(\d+–\d+ %\)", said) and "PED-ANOVA" in said
    assert "40 resamples" in said
