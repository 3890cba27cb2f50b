"""``detboard tune``: continues a study, or starts it."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.app import (
    FAILED,
    INTERRUPTED,
    DataRoot,
    LauncherName,
    Overrides,
    Profile,
    Results,
    Slots,
    Trust,
    Wandb,
)
from benchmark.cli.sweep import run_sweep, tell_obstacles
from benchmark.errors import UserError

if TYPE_CHECKING:
    from benchmark.tuning.study import Study


def tune(
    study: Annotated[Path, typer.Argument(metavar="STUDY", help="The study file (YAML).")],
    profile: Profile = None,
    data_root: DataRoot = None,
    results: Results = Path("results"),
    set_: Overrides = None,
    slots: Slots = None,
    launcher: LauncherName = "local",
    wandb: Wandb = None,
    trials: Annotated[
        int | None, typer.Option(min=0, help="This many more trials, in place of n_trials in all.")
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="postgresql://..., for several drivers; studies.db in the results folder if not given.",
        ),
    ] = None,
    promote: Annotated[
        bool,
        typer.Option(
            "--promote", help="Make the best trial a row of the experiment, and train that."
        ),
    ] = False,
    trial: Annotated[
        int | None, typer.Option(min=0, help="The trial to promote, in place of the best.")
    ] = None,
    trust: Trust = False,
) -> None:
    """Continue a study, or start it: tune one row with Optuna."""
    from benchmark.cli.options import request_of

    request = request_of(study, profile, data_root, results, None, None, set_)
    if trial is not None and not promote:
        raise UserError("--trial names the trial to promote: give --promote, too")
    from benchmark.tuning.study import read_study

    made = read_study(request)
    if promote and trial is None and len(made.file.objectives) > 1:
        raise UserError(
            "--promote: two objectives have no best trial; look at the Pareto front in the summary, "
            "and name one of it with --trial NUMBER"
        )
    well, row = _tune(made, slots, launcher, wandb, trials, storage, (promote, trial), trust)
    if row is not None:
        of_row = replace(made.request, rows=(row,), seeds=None, overrides={})
        well = run_sweep(of_row, slots, launcher, wandb, set(), trust) and well
    if not well:
        raise typer.Exit(FAILED)


def _tune(
    made: Study,
    slots: int | None,
    launcher: str,
    wandb: str | None,
    trials: int | None,
    storage: str | None,
    promote: tuple[bool, int | None],
    trust: bool,
) -> tuple[bool, str | None]:
    """Runs a study and writes what it found; returns whether a trial is complete, and the name of a promoted row."""
    from benchmark.cli.options import tracking_of
    from benchmark.launchers import make_launcher
    from benchmark.sweep.holders import only_driver
    from benchmark.tuning.study_run import (
        Running,
        answering,
        close_study,
        open_store,
        promoted,
        run_study,
    )

    starter = make_launcher(launcher, slots)
    tell_obstacles(made.base, starter, trust)
    tracking = tracking_of(made.base, wandb)
    if storage is not None and not starter.prunes:
        raise UserError(
            f"--launcher {launcher} gives no sign of life to the others of a shared study"
        )
    running = Running(starter, tracking, trials, trust)
    with (
        only_driver(made.request.results),
        answering(made, storage),
        closing(open_store(made, storage)) as store,
    ):
        try:
            ran = run_study(made, store, running)
        except KeyboardInterrupt:
            which = "the same command" if trials is None else "the command without --trials"
            typer.echo(f"interrupted: {which} continues where it was", err=True)
            raise typer.Exit(INTERRUPTED) from None
        findings = close_study(made, store, tracking, ran=bool(ran))
        row = promoted(made, findings, promote[1]) if findings.well and promote[0] else None
        return findings.well, row.row.name if row else None
