"""``detboard all``: what ``run_all.sh`` runs once DetBoard is set up."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import typer

from benchmark.cli.app import (
    Cache,
    Compile,
    DataRoot,
    LauncherName,
    Overrides,
    Precision,
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
from benchmark.cli.tune import More, tune
from benchmark.errors import UserError, allowed, not_written

_EXPERIMENTS = Path("experiments")
_LEADERBOARD = _EXPERIMENTS / "leaderboard.yaml"
_SYNTHETIC = Path("data/synthetic")
_MINIATURE, _MINIATURE_DATA = _EXPERIMENTS / "miniature.yaml", Path("data/miniature")
MINIATURE_IMAGES = {"train": 160, "val": 160, "size": 96}  # as its experiment file says
_MINIATURE_SEED = (
    "0"  # of the three that the committed board has: the other two take twice as long again
)
_SMALL, _STUDY = Path("small.yaml"), Path("tune/small.yaml")
_SMALL_SLOTS = 2  # small enough for two side by side on any machine


@dataclass(frozen=True)
class _Way:
    """How the small rows run: to where, how many side by side, by whom, who watches, how many trials, what is kept."""

    results: Path
    slots: int
    launcher: str
    wandb: str | None
    trials: int | None = None
    cache: str | None = None


def run_all(
    profile: Profile = None,
    data_root: DataRoot = None,
    results: Results = Path("results"),
    rows: Rows = None,
    seeds: Seeds = None,
    set_: Overrides = None,
    precision: Precision = None,
    compile_: Compile = None,
    slots: Slots = None,
    launcher: LauncherName = "local",
    wandb: Wandb = None,
    retry: Retry = None,
    trials: More = None,
    cache: Cache = None,
    trust: Trust = False,
) -> None:
    """Run the leaderboard of this checkout and the miniature one, and tune a small row: what run_all.sh does.

    Without --data-root the data is synthetic, without --profile it is smoke;
    with either of them, only the leaderboard is run. All options go to the
    sweep of the leaderboard, and --results, --slots, --launcher, --wandb and
    --cache to the others, too. --rows names rows of both leaderboards, --trials
    is the study's.
    """
    _check_folder()
    # What takes minutes more on somebody's own data or schedule is theirs to start.
    alone = data_root is not None or profile is not None
    if alone and trials is not None:
        raise UserError(f"--trials {trials}: nothing is tuned with --data-root or --profile")
    published, miniature = (rows, None) if alone else _shared_out(rows)
    data = data_root or _draw(_SYNTHETIC)
    if published != "":
        # Each ends the command with its exit status where it is not done.
        sweep(
            _LEADERBOARD,
            profile=profile or "smoke",
            data_root=data,
            results=results,
            rows=published,
            seeds=seeds,
            set_=set_,
            precision=precision,
            compile_=compile_,
            slots=slots,
            launcher=launcher,
            wandb=wandb,
            retry=retry,
            cache=cache,
            trust=trust,
        )
    if not alone:
        few = _SMALL_SLOTS if slots is None else slots
        way = _Way(results, few, launcher, wandb, trials, cache)
        if miniature != "":
            _sweep_miniature(miniature, way)
        typer.echo()
        _sweep_and_tune_small(data, way)


def _check_folder() -> None:
    if not _LEADERBOARD.is_file():
        raise UserError(
            f"{_LEADERBOARD}: no such file; detboard all runs in the folder of a checkout of DetBoard; "
            "'detboard init DIR' makes a folder of your own"
        )


def _shared_out(rows: str | None) -> tuple[str | None, str | None]:
    """The rows of --rows that are the leaderboard's, and the miniature's, each empty for none.

    Raises:
        UserError: A name is of neither, or empty.
    """
    from benchmark.experiment.experiment import load_experiment

    if rows is None:
        return None, None
    names = [name.strip() for name in rows.split(",")]
    known = [
        {row.name for row in load_experiment(file).rows} for file in (_LEADERBOARD, _MINIATURE)
    ]
    strange = [name for name in names if not any(name in of for of in known)]
    if strange:
        both = set().union(*known)
        raise UserError([f"--rows {name}: no such row; {allowed(name, both)}" for name in strange])
    published, miniature = (",".join(name for name in names if name in of) for of in known)
    return published, miniature


def _sweep_miniature(rows: str | None, way: _Way) -> None:
    """Runs the miniature leaderboard, on data of its own, with one seed."""
    typer.echo()
    _draw(_MINIATURE_DATA, **MINIATURE_IMAGES)
    sweep(
        _MINIATURE,
        results=way.results,
        rows=rows,
        seeds=_MINIATURE_SEED,
        slots=way.slots,
        launcher=way.launcher,
        wandb=way.wandb,
        cache=way.cache,
    )


def _sweep_and_tune_small(data: Path, way: _Way) -> None:
    """Runs the small experiment, tunes its row, and promotes the best trial, in a copy among the results."""
    experiment, study = _copies(way.results)
    sweep(
        experiment,
        data_root=data,
        results=way.results,
        slots=way.slots,
        launcher=way.launcher,
        wandb=way.wandb,
        cache=way.cache,
    )
    tune(
        study,
        data_root=data,
        results=way.results,
        slots=way.slots,
        launcher=way.launcher,
        wandb=way.wandb,
        trials=way.trials,
        cache=way.cache,
        promote=True,
    )


def _draw(folder: Path, **images: int) -> Path:
    """Draws synthetic images, and says where."""
    from benchmark.data.synthesize import synthesize

    folder = synthesize(folder, **images)
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
