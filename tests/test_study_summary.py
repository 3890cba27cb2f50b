from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import pytest
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import TrialState
from PIL import Image

from benchmark.tuning.findings import figures
from benchmark.tuning.findings.budget import Spent, budget
from benchmark.tuning.findings.chapters import chapters
from benchmark.tuning.findings.findings import About, Findings, read_findings
from benchmark.tuning.findings.summary import write_study

LR = FloatDistribution(1e-4, 1e-1, log=True)
GAMMA = FloatDistribution(0.5, 4.0)
ABOUT = About(
    name="r50-lr",
    row="r50_fpn_3x",
    experiment="leaderboard",
    profile="full",
    dataset="trash",
    objectives=("mAP50",),
    n_trials=10,
    sampler="TPESampler(multivariate=True)",
    pruner="HyperbandPruner(max_resource=12)",
    paths={"lr": "optim_wrapper.optimizer.lr"},
    device="NVIDIA H100",
)
BOTH = replace(ABOUT, objectives=("mAP50", "latency"), pruner="none")


def one() -> optuna.Study:
    return optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(0))


def two() -> optuna.Study:
    return optuna.create_study(directions=["maximize", "minimize"])


def trial(
    study: optuna.Study,
    value: float | list[float] | None = None,
    state: TrialState | None = None,
    params: dict[str, tuple[Any, BaseDistribution]] | None = None,
    reports: tuple[float, ...] = (),
    **attrs: Any,
) -> None:
    """Asks for a trial with given parameters, and tells it; without a value or a state it goes on running."""
    params = {"lr": (0.01, LR)} if params is None else params
    study.enqueue_trial({name: value for name, (value, _) in params.items()})
    asked = study.ask({name: distribution for name, (_, distribution) in params.items()})
    asked.set_user_attr("run_id", f"run-{asked.number}")
    for step, reported in enumerate(reports, start=1):
        asked.report(reported, step)
    for name, attr in attrs.items():
        asked.set_user_attr(name, attr)
    if value is not None or state is not None:
        study.tell(asked, value, state)


def text(study: optuna.Study, about: About = ABOUT) -> str:
    return "\n".join(chapters(read_findings(study, about)))


def rows(markdown: str, heading: str) -> list[list[str]]:
    """The cells of the first table under a heading, its head and rule left out."""
    part = markdown.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def full(value: float) -> dict[str, Any]:
    return {"epochs": 12.0, "planned_epochs": 12.0, "device_seconds": 1200.0, "best": value}


def searched(values: int = 26) -> optuna.Study:
    """A search over four kinds of parameters, one of them conditional and one with a single choice."""
    study = one()
    for number in range(values):
        lr = 10 ** (-3.9 + 2.8 * number / values)
        params = {
            "lr": (lr, LR),
            "warmup": (100 * (number % 5), IntDistribution(0, 400, step=100)),
            "anchors": (
                ["small", "tall", True][number % 3],
                CategoricalDistribution(("small", "tall", True)),
            ),
            "only": ("SGD", CategoricalDistribution(("SGD",))),
        }
        if number % 3 == 0:
            params["decay"] = (0.5 + number / 100, FloatDistribution(0.5, 1.0))
        value = 0.2 + 0.01 * number
        curve = (value / 2, value)
        trial(study, value, params=params, reports=curve, published=number == 4, **full(value))
    trial(study, state=TrialState.PRUNED, reports=(0.05,), epochs=3.0, planned_epochs=12.0)
    trial(study, state=TrialState.FAIL, cause="loss is NaN")
    return study


# What was better


def test_a_better_trial_is_said_with_a_positive_difference() -> None:
    study = one()
    trial(study, 0.4, published=True)
    trial(study, 0.45)
    trial(study, 0.43)
    said = text(study)
    assert "by +0.0500 (0.4500 against 0.4000)" in said
    assert "- Best: mAP50 0.4500, trial 1 (run run-1)" in said
    assert "- The row's own setting: mAP50 0.4000, trial 0 (run run-0)" in said
    assert "--promote" in said


@pytest.mark.parametrize("others", [(0.39, 0.1), (0.4,), ()])
def test_when_nothing_beat_the_published_setting_the_summary_says_so(
    others: tuple[float, ...],
) -> None:
    study = one()
    trial(study, 0.4, published=True)
    for value in others:
        trial(study, value)
    said = text(study)
    assert "**No trial beat the row's own setting.**" in said
    assert "- Best: mAP50 0.4000, trial 0" in said


def test_a_difference_too_small_for_four_digits_is_not_worded_as_zero() -> None:
    study = one()
    trial(study, 0.4, published=True)
    trial(study, 0.400004)
    assert "by +4e-06" in text(study)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (TrialState.FAIL, r"own setting failed \(trial 0 \(run run-0\): out of memory\)"),
        (TrialState.PRUNED, "own setting was pruned"),
        (None, "own setting is not trained yet"),
    ],
)
def test_a_published_setting_without_a_value_is_not_compared(
    state: TrialState | None, words: str
) -> None:
    study = one()
    trial(study, state=state, published=True, cause="out of memory", reports=(0.6,))
    trial(study, 0.3)
    said = text(study)
    assert re.search(words, said)
    assert "nothing to compare" in said
    assert "beat" not in said


def test_a_published_setting_outside_of_the_search_is_compared(tmp_path: Path) -> None:
    study = one()
    trial(study, 0.4, params={"lr": (0.5, LR), "gamma": (0.1, GAMMA)}, published=True)
    for number in range(3):
        trial(study, 0.2 + number / 100, params={"lr": (0.01, LR), "gamma": (1.0 + number, GAMMA)})
    write_study(read_findings(study, ABOUT), tmp_path)
    said = (tmp_path / "summary.md").read_text()
    assert "No trial beat the row's own setting" in said
    assert rows(said, "Parameters")[0][:4] == ["lr", "optim_wrapper.optimizer.lr", "0.5", "0.5"]
    assert (tmp_path / "slice.png").exists()


def test_a_study_without_the_published_setting_says_so() -> None:
    study = one()
    trial(study, 0.3)
    assert "was not tried, so there is nothing to compare" in text(study)


def test_a_published_setting_that_failed_once_counts_when_it_completes() -> None:
    study = one()
    trial(study, state=TrialState.FAIL, published=True)
    trial(study, 0.3, published=True)
    trial(study, 0.31)
    assert "by +0.0100" in text(study)


# What it cost


def spenders() -> optuna.Study:
    study = one()
    trial(study, 0.4, **full(0.4))
    pruned = {"epochs": 3.0, "planned_epochs": 12.0}
    trial(study, state=TrialState.PRUNED, reports=(0.1,), device_seconds=330.0, **pruned)
    trial(study, state=TrialState.FAIL, epochs=1.0, planned_epochs=12.0, device_seconds=90.0)
    trial(study, 0.4, epochs=0.0, planned_epochs=12.0, device_seconds=0.0, same_as=0)
    trial(
        study, state=TrialState.PRUNED, reports=(0.1,), same_as=1, epochs=0.0, planned_epochs=12.0
    )
    return study


def test_the_budget_adds_up() -> None:
    found = budget(read_findings(spenders(), ABOUT).trials)
    assert found.spent == {
        "complete": Spent(1, 12.0, 1200.0),
        "pruned": Spent(1, 3.0, 330.0),
        "failed": Spent(1, 1.0, 90.0),
        "reused": Spent(2, 0.0, 0.0),
    }
    assert found.total == Spent(5, 16.0, 1620.0)
    assert (found.saved_epochs, found.saved_seconds) == (9.0, 990.0)  # 9 epochs at 110 s
    assert (found.epochs_in_full, found.seconds_in_full) == (25.0, 2610.0)


def test_the_summary_says_what_pruning_saved() -> None:
    said = text(spenders())
    assert "saved 9 of the 25 epochs" in said
    assert "(36.0 %)" in said
    assert "990 s (16 min 30 s) of 2610 s (43 min 30 s)" in said
    assert "(37.9 %)" in said


def test_what_is_not_known_of_a_pruned_trial_is_not_counted_as_saved() -> None:
    study = one()
    trial(study, state=TrialState.PRUNED, epochs=3.0)
    trial(study, state=TrialState.PRUNED, epochs=0.0, planned_epochs=12.0)
    found = budget(read_findings(study, ABOUT).trials)
    assert (found.saved_epochs, found.saved_seconds) == (12.0, 0.0)
    assert (found.no_plan, found.no_pace) == ((0,), (1,))
    assert "would have gone on: trial 0" in text(study)


def test_without_pruning_nothing_was_saved() -> None:
    study = one()
    trial(study, 0.4, **full(0.4))
    assert "no trial was pruned" in text(study)


# Trials of every state


def test_states_are_counted_and_failures_named_with_their_cause() -> None:
    study = one()
    trial(study, 0.4, no_predictions=True, at_once=2)
    trial(study, state=TrialState.FAIL, cause="out of memory\nat batch 3")
    trial(study)
    study.enqueue_trial({"lr": 0.02})
    said = text(study)
    assert (
        "- Trials: 1 complete, 0 pruned, 1 failed, 1 running, 1 waiting; 3 begun, n_trials is 10"
        in said
    )
    assert "- Trial 1 (run run-1): out of memory at batch 3" in said
    states = [row[1] for row in rows(said, "Trials")]
    assert states == [
        "complete, no predictions, batches in parts of 2",
        "failed",
        "running",
        "waiting",
    ]


def test_over_fifty_trials_the_best_twenty_are_listed() -> None:
    study = one()
    for number in range(51):
        trial(study, number / 100)
    listed = rows(said := text(study), "Trials")
    assert [row[0] for row in listed] == [str(number) for number in range(50, 30, -1)]
    assert "all are in trials.csv" in said


@pytest.mark.parametrize("begun", [False, True])
def test_a_study_without_a_complete_trial_is_summarised(tmp_path: Path, begun: bool) -> None:
    study = one()
    if begun:
        trial(study)
        trial(study, state=TrialState.FAIL, cause="bad config")
    (tmp_path / "history.png").write_bytes(b"of an earlier study")
    written = write_study(read_findings(study, ABOUT), tmp_path)
    assert {path.name for path in written} == {"summary.md", "trials.csv"}
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in written}
    said = (tmp_path / "summary.md").read_text()
    assert "No trial is complete" in said
    assert "Plot history.png is not drawn: no trial is complete." in said
    assert len(pd.read_csv(tmp_path / "trials.csv")) == 2 * begun


# Importances


def test_one_trial_or_equal_values_give_a_reason_instead_of_importances() -> None:
    study = one()
    trial(study, 0.4)
    assert "25 complete trials are needed, and there is 1" in text(study)
    for number in range(24):
        trial(study, 0.4, params={"lr": (0.01 + number / 1000, LR)})
    assert "all 25 complete trials have the same mAP50" in text(study)


def test_a_parameter_that_cannot_differ_gives_a_reason() -> None:
    study = one()
    for value in range(25):
        trial(study, value / 100, params={"only": ("SGD", CategoricalDistribution(("SGD",)))})
    assert "no parameter told the best trials from the others" in text(study)


def test_the_parameter_that_decides_is_the_most_important() -> None:
    shares = read_findings(searched(40), ABOUT).importances.shares
    assert next(iter(shares)) == "lr"
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["only"] == 0
    assert set(shares) == {"lr", "warmup", "anchors", "only", "decay"}


@pytest.mark.parametrize("about", [ABOUT, BOTH])
def test_importances_are_about_the_best_trials_not_the_worst(about: About) -> None:
    study = one() if about is ABOUT else two()
    good, bad = FloatDistribution(0, 1), FloatDistribution(0, 1)
    for number in range(100):
        x, y = number / 100, (number * 37 % 100) / 100
        value = 0.5 + 0.3 * (x >= 0.9) - 0.3 * (y >= 0.9) * (x < 0.9)
        told = value if about is ABOUT else [value, 20.0]
        trial(study, told, params={"lifts": (x, good), "spoils": (y, bad)})
    shares = read_findings(study, about).importances.shares
    assert shares["lifts"] > 0.8


# Two objectives


def fronted(published: list[float]) -> optuna.Study:
    study = two()
    trial(study, published, published=True)
    trial(study, [0.50, 30.0])
    trial(study, [0.40, 20.0])
    trial(study, [0.30, 25.0])  # worse than trial 2 in both
    trial(study, [0.50, 30.0], same_as=1)
    return study


def test_the_front_holds_what_nothing_beats() -> None:
    found = read_findings(fronted([0.45, 35.0]), BOTH)
    assert [t.number for t in found.front] == [1, 2]
    said = text(fronted([0.45, 35.0]), BOTH)
    assert [row[:3] for row in rows(said, "Pareto front against the row's own setting")] == [
        ["1", "0.5000", "30.00 ms"],
        ["2", "0.4000", "20.00 ms"],
    ]
    assert "not on the front (trial 0: mAP50 0.4500 and latency 35.00 ms)" in said
    assert "it is dominated by trial 1." in said


def test_a_published_setting_on_the_front_is_said_and_marked() -> None:
    said = text(fronted([0.45, 28.0]), BOTH)
    assert "own setting is on the front (trial 0: mAP50 0.4500 and latency 28.00 ms)" in said
    states = [row[3] for row in rows(said, "Pareto front against the row's own setting")]
    assert states == ["complete", "complete, the row's own setting", "complete"]


@pytest.mark.slow
def test_two_objectives_have_a_pareto_plot_and_one_has_none(tmp_path: Path) -> None:
    write_study(read_findings(fronted([0.45, 35.0]), BOTH), tmp_path)
    assert_drawn(tmp_path / "pareto.png", figures.ORANGE, figures.BLUE, figures.VERMILLION)
    assert_drawn(tmp_path / "history.png", figures.ORANGE, figures.GREEN, figures.VERMILLION)
    write_study(read_findings(searched(), ABOUT), tmp_path)
    assert not (tmp_path / "pareto.png").exists()


# Files


def assert_drawn(path: Path, *colors: str) -> None:
    """The picture is wide enough, and has more than a few dots of each colour."""
    with Image.open(path) as image:
        assert 800 <= image.width <= 1600
        pixels = {color: n for n, color in image.convert("RGB").getcolors(1 << 24)}
    for color in colors:
        assert pixels.get(tuple(bytes.fromhex(color[1:])), 0) > 20, color


@pytest.mark.slow
def test_a_study_is_written_whole_and_the_same_twice(tmp_path: Path) -> None:
    study = searched()
    level = optuna.logging.get_verbosity()
    first = write_study(read_findings(study, ABOUT), tmp_path / "a")
    second = write_study(read_findings(study, ABOUT), tmp_path / "b")
    names = [
        "summary.md",
        "trials.csv",
        "history.png",
        "importances.png",
        "slice.png",
    ]
    assert [path.name for path in first] == names
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == sorted(names)
    assert str(tmp_path) not in (tmp_path / "a" / "summary.md").read_text()
    assert optuna.logging.get_verbosity() == level


@pytest.mark.slow
def test_the_plots_show_every_kind_of_trial(tmp_path: Path) -> None:
    write_study(read_findings(searched(), ABOUT), tmp_path)
    kinds = (figures.BLUE, figures.GREY, figures.ORANGE, figures.VERMILLION)
    assert_drawn(tmp_path / "history.png", figures.GREEN, *kinds)
    assert_drawn(tmp_path / "slice.png", *kinds)
    assert_drawn(tmp_path / "importances.png", figures.BLUE)
    said = (tmp_path / "summary.md").read_text()
    assert "![Value of every trial](history.png)" in said
    assert "not drawn" not in said


@pytest.mark.slow
def test_the_table_of_trials_is_exact(tmp_path: Path) -> None:
    study = one()
    params = {"lr": (0.012345678901234567, LR), "gamma": (2.0, GAMMA)}
    metrics = {"mAP50": 1 / 3, "mAP_l": None, "per_class": {"Metal": 0.1}}
    trial(study, 1 / 3, params=params, metrics=metrics, host="box", published=True, **full(1 / 3))
    trial(study, state=TrialState.PRUNED, reports=(0.1, 0.05), best=0.1)
    trial(study, state=TrialState.FAIL, cause='a "quoted", cause')
    trial(study, 1 / 3, same_as=0)
    write_study(read_findings(study, ABOUT), tmp_path)
    read = pd.read_csv(tmp_path / "trials.csv", float_precision="round_trip")
    assert list(read.columns) == [
        *("number", "state", "mAP50", "best", "published", "epochs", "planned_epochs"),
        *("device_seconds", "param_lr", "param_gamma", "metric_mAP50", "metric_mAP_l"),
        *("no_predictions", "run_id", "host", "same_as", "cause", "started", "finished"),
    ]
    assert read["mAP50"].tolist()[:2] == [1 / 3, 0.05]
    assert read["param_lr"][0] == 0.012345678901234567
    assert read["state"].tolist() == ["complete", "pruned", "failed", "complete"]
    assert read["published"].tolist() == [True, False, False, False]
    assert read["cause"][2] == 'a "quoted", cause'
    assert read["same_as"][3] == 0
    assert read["param_gamma"].isna().tolist() == [False, True, True, True]


def test_markup_in_names_does_not_break_out(tmp_path: Path) -> None:
    evil = "</script><script>alert(1)</script>|<b>*x*$\\frac$"
    about = replace(ABOUT, row=evil, name=evil, dataset=evil, device=evil, paths={evil: evil})
    study = one()
    for number in range(25):
        value = number / 100
        choice = (f"{evil}{number % 2}", CategoricalDistribution((f"{evil}0", f"{evil}1")))
        trial(
            study, value, params={evil: choice, "lr": (0.01 + number / 1000, LR)}, reports=(value,)
        )
    trial(study, state=TrialState.FAIL, cause=evil)
    write_study(read_findings(study, about), tmp_path)
    said = (tmp_path / "summary.md").read_text()
    assert "<script" not in said
    assert "not drawn" not in said
    cells = {
        len(re.findall(r"(?<!\\)\|", line)) for line in said.splitlines() if line.startswith("| ")
    }
    assert cells == {6, 5, 8}  # parameters, budget, trials: no cell more


def test_a_plot_that_fails_costs_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Findings) -> Any:
        raise RuntimeError("no ink")

    (tmp_path / "slice.png").write_bytes(b"of an earlier study")
    drawn = [replace(p, draw=broken) if p.file == "slice.png" else p for p in figures.PLOTS]
    monkeypatch.setattr(figures, "PLOTS", tuple(drawn))
    written = {path.name for path in write_study(read_findings(searched(), ABOUT), tmp_path)}
    assert written == {"summary.md", "trials.csv", "history.png", "importances.png"}
    assert {path.name for path in tmp_path.iterdir()} == written
    said = (tmp_path / "summary.md").read_text()
    assert "Plot slice.png is not drawn: RuntimeError: no ink." in said


@pytest.mark.slow
def test_more_parameters_than_panels_are_cut_to_the_most_important(tmp_path: Path) -> None:
    study = one()
    for number in range(25):
        params = {
            f"p{index:02}": ((number + index) % 4 / 3, FloatDistribution(0, 1))
            for index in range(15)
        }
        trial(study, number / 100, params=params)
    found = read_findings(study, ABOUT)
    shown = figures._most_important(found)
    assert shown == list(found.importances.shares)[:12]
    slices = next(plot for plot in figures.PLOTS if plot.file == "slice.png")
    slices.save(found, tmp_path / "slice.png")
    assert_drawn(tmp_path / "slice.png", figures.BLUE)


def test_importing_the_summary_is_cheap() -> None:
    slow = "{'optuna', 'pandas', 'matplotlib', 'torch', 'numpy'}"
    code = (
        f"import sys, benchmark.tuning.findings.summary; print({slow} & set(sys.modules) or 'none')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "none"


def test_trials_judged_by_their_best_validation_are_said_to_be() -> None:
    chosen = "- Validation: each trial's best by mAP50, chosen on the very images"
    assert chosen in text(one(), replace(ABOUT, select="best"))
    assert "Validation:" not in text(one())
