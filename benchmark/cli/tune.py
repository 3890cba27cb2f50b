"""``detboard tune``: continues a study, or starts it."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.app import (
    FAILED,
    Cache,
    Compile,
    DataRoot,
    LauncherName,
    Overrides,
    Precision,
    Profile,
    Results,
    Slots,
    Trust,
    Wandb,
)
from benchmark.cli.sweep import run_sweep, tell_obstacles
from benchmark.errors import UserError
from benchmark.process import OutputLost, say_ended

if TYPE_CHECKING:
    from benchmark.run.plan import Request
    from benchmark.tuning.storage import Store
    from benchmark.tuning.study import Study
    from benchmark.tuning.study_run import Running


StudyPath = Annotated[Path, typer.Argument(metavar="STUDY", help="The study file (YAML).")]
SeedsOfRow = Annotated[
    str | None,
    typer.Option(
        metavar="0,1,2",
        help="With --promote: seeds that the tuned row is trained with, in place of the leaderboard's.",
    ),
]
More = Annotated[
    int | None,
    typer.Option(min=0, metavar="N", help="This many more trials, in place of n_trials in all."),
]
Storage = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="postgresql://..., for several drivers; studies.db in the results folder if not given.",
    ),
]
Promote = Annotated[
    bool,
    typer.Option("--promote", help="Make the best trial a row of the experiment, and train that."),
]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Simulate how far the budget goes; nothing is trained or made."),
]
Promoted = Annotated[
    int | None,
    typer.Option(min=0, metavar="N", help="The trial to promote, in place of the best."),
]


def tune(
    study: StudyPath,
    profile: Profile = None,
    data_root: DataRoot = None,
    results: Results = Path("results"),
    seeds: SeedsOfRow = None,
    set_: Overrides = None,
    precision: Precision = None,
    compile_: Compile = None,
    slots: Slots = None,
    launcher: LauncherName = "local",
    wandb: Wandb = None,
    trials: More = None,
    storage: Storage = None,
    promote: Promote = False,
    trial: Promoted = None,
    cache: Cache = None,
    trust: Trust = False,
    dry_run: DryRun = False,
) -> None:
    """Continue a study, or start it: tune one row with Optuna."""
    from benchmark.cli.options import request_of

    request = request_of(study, profile, data_root, results, None, seeds, set_, precision, compile_)
    if not promote:
        _refuse_without_promotion(trial, seeds)
    if dry_run:
        _refuse_with_dry_run(promote, trials)
    from benchmark.tuning.study import read_study

    made = read_study(request)
    if dry_run:
        _say_dry_run(made, slots, launcher, trials, storage)
        return
    if promote:
        _refuse_promotion(made, request, trial)
    options = _Options(slots, launcher, wandb, trials, storage, promote, trial, trust, cache)
    well, row = _tune(made, options)
    if row is not None:
        wanted = request.seeds or _seeds_of_board(made)
        of_row = replace(made.request, rows=(row,), seeds=wanted, overrides={})
        well = run_sweep(of_row, slots, launcher, wandb, set(), trust, cache=cache) and well
    if not well:
        raise typer.Exit(FAILED)


def _refuse_with_dry_run(promote: bool, trials: int | None) -> None:
    """Refuses what has no meaning for a study that is only simulated.

    Raises:
        UserError: With each of them.
    """
    problems = ["--dry-run trains nothing: drop --promote"] if promote else []
    if trials == 0:
        problems.append("--dry-run: --trials 0 leaves nothing to simulate: give a number from 1")
    if problems:
        raise UserError(problems)


def _say_dry_run(
    made: Study, slots: int | None, launcher: str, trials: int | None, storage: str | None
) -> None:
    """Simulates what is to come of the study, and says how far its budget goes."""
    from benchmark.launchers import make_launcher
    from benchmark.tuning.dry_run import dry_run
    from benchmark.tuning.study_run import answering

    starter = make_launcher(launcher, slots, made.base.experiment.cluster)
    with answering(made, storage):
        for line in dry_run(made, starter.pool.slots, starter.prunes, trials, storage):
            typer.echo(line)


def _refuse_without_promotion(trial: int | None, seeds: str | None) -> None:
    """Refuses options that say how a trial is promoted.

    Raises:
        UserError: With each of them.
    """
    problems = []
    if trial is not None:
        problems.append("--trial names the trial to promote: give --promote, too")
    if seeds is not None:
        problems.append(
            "--seeds says what the tuned row is trained with: give --promote, too; trials train with the "
            "'train_seed' of the study file"
        )
    if problems:
        raise UserError(problems)


def _refuse_promotion(made: Study, request: Request, trial: int | None) -> None:
    """Refuses what a trial cannot be promoted with.

    Raises:
        UserError: The seeds, the objectives, or another experiment file's board of the same name stand in the way.
    """
    from benchmark.leaderboard.boards import refuse_taken

    trained, seeds = made.base.seeds[0], request.seeds or ()
    if made.trains and trained in seeds:
        raise UserError(
            f"--seeds {','.join(map(str, seeds))}: the trials train with seed {trained}, and the best of "
            "them is chosen for its result: the tuned row needs other seeds"
        )
    if trial is None and len(made.file.objectives) > 1:
        raise UserError(
            "--promote: two objectives have no best trial; look at the Pareto front in the summary, "
            "and name one of it with --trial NUMBER"
        )
    refuse_taken(made.base, replace(request, overrides={}))


def _seeds_of_board(made: Study) -> tuple[int, ...]:
    """The seeds that the leaderboard has, without the one that the best trial was chosen with."""
    from benchmark.leaderboard.select import seeds_of_board

    known, trained = seeds_of_board(made.base, made.request), made.base.seeds[0]
    if not made.trains:
        return known
    if trained in known:
        typer.echo(
            f"seed {trained} of the leaderboard is left out for the tuned row: the best trial was chosen with it"
        )
    return tuple(seed for seed in known if seed != trained)


@dataclass(frozen=True)
class _Options:
    """What was given on the command line, as `tune` has it."""

    slots: int | None
    launcher: str
    wandb: str | None
    trials: int | None
    storage: str | None
    promote: bool
    trial: int | None
    trust: bool
    cache: str | None


def _tune(made: Study, given: _Options) -> tuple[bool, str | None]:
    """Runs a study and writes what it found; returns whether a trial is complete, and the name of a promoted row."""
    from benchmark.cli.options import cache_of, tracking_of
    from benchmark.cli.weights import fetch_shown
    from benchmark.launchers import AUTO, make_launcher
    from benchmark.run.fetched.needs import needs_of
    from benchmark.sweep.holders import only_driver
    from benchmark.tuning.overruled import lacking
    from benchmark.tuning.study_run import (
        Running,
        answering,
        as_begun,
        open_store,
    )

    if given.slots == AUTO and made.file.costs_time:
        raise UserError(
            "--slots auto: latency is an objective, and trials that share a device slow each other; give --slots 1"
        )
    starter = make_launcher(given.launcher, given.slots, made.base.experiment.cluster)
    tell_obstacles(made.base, starter, given.trust)
    if problems := lacking(made, lambda: starter.pool.has_gpus):
        raise UserError(problems)
    searched = [parameter.choices for parameter in made.file.search.values()]
    fetch_shown(needs_of(made.base.runs, searched), made.base.runs, given.trust)
    tracking, cache = tracking_of(made.base, given.wandb), cache_of(made.base, given.cache)
    if given.storage is not None and not starter.prunes:
        raise UserError(
            f"--launcher {given.launcher} gives no sign of life to the others of a shared study"
        )
    running = Running(starter, tracking, given.trials, given.trust, cache)
    with (
        only_driver(made.request.results),
        answering(made, given.storage),
        closing(open_store(made, given.storage)) as store,
    ):
        return _run(as_begun(made, store), store, running, given)


def _run(made: Study, store: Store, running: Running, given: _Options) -> tuple[bool, str | None]:
    """Runs the trials of a study that is open; see `_tune`."""
    from benchmark.tuning.study_run import close_study, promoted, run_study

    try:
        ran = run_study(made, store, running)
    except (KeyboardInterrupt, OutputLost):
        which = "the same command" if given.trials is None else "the command without --trials"
        raise typer.Exit(say_ended(f"{which} continues where it was")) from None
    findings = close_study(made, store, running.tracking, ran=bool(ran))
    row = promoted(made, findings, given.trial) if findings.well and given.promote else None
    return findings.well, row.row.name if row else None
