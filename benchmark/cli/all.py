"""``detboard all``: what ``run_all.sh`` runs once DetBoard is set up."""

from __future__ import annotations

from pathlib import Path

import typer

from benchmark.cli.app import (
    DataRoot,
    LauncherName,
    Overrides,
    Profile,
    Results,
    Retry,
    Rows,
    Seeds,
    Slots,
    Trust,
    Wandb,
)
from benchmark.cli.sweep import sweep
from benchmark.cli.tune import tune
from benchmark.errors import UserError, not_written

_EXPERIMENTS = Path("experiments")
_SYNTHETIC = Path("data/synthetic")
_SMALL, _STUDY = Path("small.yaml"), Path("tune/small.yaml")
_SMALL_SLOTS = 2  # small enough for two side by side on any machine


def run_all(
    profile: Profile = None,
    data_root: DataRoot = None,
    results: Results = Path("results"),
    rows: Rows = None,
    seeds: Seeds = None,
    set_: Overrides = None,
    slots: Slots = None,
    launcher: LauncherName = "local",
    wandb: Wandb = None,
    retry: Retry = None,
    trust: Trust = False,
) -> None:
    """Run the leaderboard of this checkout, and tune a small row: what run_all.sh does.

    Without --data-root the data is synthetic, without --profile it is smoke;
    with either of them, nothing is tuned. All options go to the sweep of the
    leaderboard, and --results, --slots, --launcher and --wandb to the small
    row's, too.
    """
    leaderboard = _EXPERIMENTS / "leaderboard.yaml"
    if not leaderboard.is_file():
        raise UserError(
            f"{leaderboard}: no such file; detboard all runs in the folder of a checkout of DetBoard; "
            "'detboard init DIR' makes a folder of your own"
        )
    # A study on somebody's own data or schedule is theirs to start.
    small = data_root is None and profile is None
    data = data_root or _synthetic_data()
    # Each ends the command with its exit status where it is not done.
    sweep(
        leaderboard,
        profile=profile or "smoke",
        data_root=data,
        results=results,
        rows=rows,
        seeds=seeds,
        set_=set_,
        slots=slots,
        launcher=launcher,
        wandb=wandb,
        retry=retry,
        trust=trust,
    )
    if small:
        typer.echo()
        _sweep_and_tune_small(results, data, slots or _SMALL_SLOTS, launcher, wandb)


def _sweep_and_tune_small(
    results: Path, data: Path, slots: int, launcher: str, wandb: str | None
) -> None:
    """Runs the small experiment, tunes its row, and promotes the best trial, in a copy among the results."""
    experiment, study = _copies(results)
    sweep(experiment, data_root=data, results=results, slots=slots, launcher=launcher, wandb=wandb)
    tune(
        study,
        data_root=data,
        results=results,
        slots=slots,
        launcher=launcher,
        wandb=wandb,
        promote=True,
    )


def _synthetic_data() -> Path:
    from benchmark.data.synthesize import synthesize

    folder = synthesize(_SYNTHETIC)
    typer.echo(f"synthetic data in {folder}")
    return folder


def _copies(results: Path) -> tuple[Path, Path]:
    """The small experiment and its study among the results, where the best trial becomes a row.

    Beside the experiment itself, the tuned row would change a folder that is under version control. A tuned row of an
    earlier copy goes: the study makes it again.
    """
    from benchmark.experiment.experiment import tuned_file
    from benchmark.files import write_text

    folder = results / "experiments"
    try:
        for name in (_SMALL, _STUDY):
            write_text(folder / name, (_EXPERIMENTS / name).read_text(encoding="utf-8"))
        tuned_file(folder / _SMALL).unlink(missing_ok=True)
    except OSError as error:
        raise not_written(folder, error) from None
    return folder / _SMALL, folder / _STUDY
