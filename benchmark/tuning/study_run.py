"""The steps of ``detboard tune``: open the study, run its trials, write its results, promote its best."""

from __future__ import annotations

import socket
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import optuna
from sqlalchemy.engine import URL

from benchmark.errors import MachineError, UserError, why
from benchmark.experiment.cache import ImageCache
from benchmark.experiment.experiment import Tracking, TunedRow
from benchmark.files import read_json, write_json
from benchmark.launchers import Launcher
from benchmark.run.checkout import checkout_of
from benchmark.run.fields import Checked
from benchmark.run.folder import Damaged, RunFolder
from benchmark.run.options import JobOptions
from benchmark.run.runs import Runs
from benchmark.sweep.caching import caching
from benchmark.sweep.loop import Sweep
from benchmark.sweep.stopping import leaves
from benchmark.sweep.watchers import make_watcher
from benchmark.tracking.door import warnings_of
from benchmark.tuning.again import begun, replaced
from benchmark.tuning.database import (
    NO_RECORD,
    OUTAGES,
    named,
    reading,
    storage_url,
    unanswered,
)
from benchmark.tuning.driver import Asked, Tuner
from benchmark.tuning.findings.findings import About, Findings, Trial, read_findings
from benchmark.tuning.findings.summary import write_study
from benchmark.tuning.findings.verdict import counts, verdict
from benchmark.tuning.findings.worth import with_worth, worth
from benchmark.tuning.opening import open_study, preview
from benchmark.tuning.prior import prior_of
from benchmark.tuning.progress import StudyProgress
from benchmark.tuning.promote import Promotion, promote
from benchmark.tuning.storage import FOLDER_ID, Store, StudyKey
from benchmark.tuning.strategies import defaults, kept, strategies_of
from benchmark.tuning.study import Study, made_for, planned_validations
from benchmark.tuning.track_study import track_study
from benchmark.tuning.warm import Warm, inform
from benchmark.writing.console import PlainConsole

NO_CACHE = ImageCache()


@dataclass(frozen=True)
class Running:
    """How the trials are run; none of it changes the results.

    Attributes:
        launcher: Starts the jobs.
        tracking: Where the trials are tracked.
        more: Number of trials that are asked for beyond those that are there; None for the study's ``n_trials``.
        trust_checkpoints: As `benchmark.run.options.JobOptions` has it.
        cache: Where their jobs keep decoded images.
    """

    launcher: Launcher
    tracking: Tracking
    more: int | None = None
    trust_checkpoints: bool = False
    cache: ImageCache = NO_CACHE


@contextmanager
def answering(study: Study, url: str | None) -> Iterator[None]:
    """Says in a message that the storage of ``--storage`` no longer answers, or no longer has the study.

    Raises:
        MachineError: So it is.
    """
    try:
        yield
    except OUTAGES as error:
        raise unanswered(storage_url(url, study.request.results), error) from None
    except KeyError as error:
        if error.args != (NO_RECORD,):
            raise
        where = named(storage_url(url, study.request.results))
        raise MachineError(
            f"study '{study.file.name}' is no longer in {where}",
            "it was deleted meanwhile",
            "the same command begins it anew; the runs of the one that was deleted stay, and are nobody's",
        ) from None


def open_store(study: Study, url: str | None) -> Store:
    """The study in its storage; the results folder is held by this driver.

    Raises:
        UserError: The storage cannot be used, or its study of this name was made for something else.
    """
    results = study.request.results
    place = storage_url(url, results)
    store = open_study(place, _key(study, place), _folder_id(results), study.strategies)
    store.results = results
    return store


def preview_store(study: Study, url: str | None) -> Store:
    """The study as `open_store` would have it, in memory: nothing is made, and its storage is only read.

    Raises:
        UserError: As `open_store` does.
    """
    place = storage_url(url, study.request.results)
    key = _key(study, place)
    with reading(place) as storage:
        return preview(storage, key, study.strategies)


def _key(study: Study, place: URL) -> StudyKey:
    file = study.file
    begun_with = defaults(planned_validations(study.base.runs[0].config))
    warm = Warm.of(file, study.space, place)
    made = made_for(study) | ({"warm start": warm.words} if warm else {})
    prior = warm.reader() if warm else None
    return StudyKey(file.name, file.directions, made, study.space.published(), begun_with, prior)


def as_begun(study: Study, store: Store) -> Study:
    """The study with the sampler and the pruner that it was begun with, where its file names none."""
    validations = planned_validations(study.base.runs[0].config)
    if store.defaults == defaults(validations):
        return study
    file = kept(study.file, store.defaults)
    strategies = strategies_of(file, study.space, validations)
    store.search_by(strategies)
    return replace(study, file=file, strategies=strategies)


def _folder_id(results: Path) -> str:
    """A name for the results folder that no other folder has; a copy of it, or one that was moved, gets another.

    Two machines that share the folder see it under one path, and with one inode.
    """
    path = results / "runs" / FOLDER_ID
    path.parent.mkdir(parents=True, exist_ok=True)
    place = {
        "host": socket.gethostname(),
        "path": str(results.resolve()),
        "inode": str(path.parent.stat().st_ino),
    }
    known = _known_place(path)
    alike = {name for name in place if known.get(name) == place[name]}
    if not ("path" in alike and len(alike) > 1 and "id" in known):
        known = {"id": uuid.uuid4().hex, **place}
        write_json(path, known)
    return known["id"]


def _known_place(path: Path) -> dict[str, str]:
    """What the file says; nothing where there is none, or it is damaged: the folder gets another name then."""
    try:
        return Checked(dict[str, str])(read_json(path))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        print(f"warning: {path}: damaged, and made anew: {why(error)}", file=sys.stderr)
        return {}


def run_study(study: Study, store: Store, running: Running) -> list[int]:
    """Runs trials until as many are there as were asked for; returns the numbers of those that ran here."""
    file, launcher = study.file, running.launcher
    store.outlives = launcher.outlives_driver
    if study.learns:
        inform(store.study, study.space)
    target = target_of(store.study, file.n_trials, running.more)
    if begun(store.study.get_trials(deepcopy=False)) < target:
        store.beat()  # a storage that takes no writes is said at once, not waited for
    _say_begin(study, store, running, target)
    past = len(replaced(store.study.get_trials(deepcopy=False)))
    progress = StudyProgress(
        target + past, study=store.study, objective=file.objectives[0], slots=launcher.pool.slots
    )
    checkout = checkout_of([study.composed(run) for run in study.base.runs])
    options = partial(
        JobOptions,
        running.tracking,
        cost=file.costs_time,
        checkout=checkout,
        trust_checkpoints=running.trust_checkpoints,
    )
    asked = Asked(
        study.space.suggest,
        partial(study.plan_trial, store.study_id),
        file.objectives,
        target,
        study.base.rows[0].gpus,
        study.base.rows[0].name,
    )
    with (
        caching(running.cache, launcher) as cache,
        make_watcher(PlainConsole(), progress, (), launcher.shares_terminal) as watcher,
    ):
        tuner = Tuner(store, asked, watcher)
        patience_s = study.base.experiment.patience_min * 60
        left = partial(leaves, quiet=watcher.quiet)
        Sweep(launcher, partial(options, cache=cache), tuner, patience_s, left).run(tuner)
    return tuner.ran


def _say_begin(study: Study, store: Store, running: Running, target: int) -> None:
    """Says what is searched, and how."""
    file, launcher = study.file, running.launcher
    print(f"study '{file.name}': {target} trials in all, {launcher.pool.at_a_time}")
    print(
        f"sampler: {study.strategies.sampler_words}\npruner: {study.strategies.pruner_words}",
        flush=True,
    )
    if (prior := prior_of(store.study)) is not None:
        print(f"warm start: {prior.words(study.learns)}")
    if study.trains and study.base.dataset.fold is not None:
        print(f"data: {study.data}")
    if store.again:
        numbers = ", ".join(map(str, store.again))
        print(f"the machine had ended trial {numbers}: asked for again, with the same parameters")
    if study.trains and not launcher.prunes:
        print(
            f"--launcher {launcher.name}: a trial runs to its end before it is looked at, so none is pruned"
        )
    elif study.trains and (hint := study.hint(target if running.more else file.n_trials)):
        print(hint)


def target_of(study: optuna.Study, n_trials: int, more: int | None) -> int:
    """Up to how many trials a study asks for new ones: ``n_trials``, or so many more than have begun."""
    if more is None:
        return n_trials
    return more + begun(study.get_trials(deepcopy=False))


def close_study(study: Study, store: Store, tracking: Tracking, ran: bool) -> Findings:
    """Writes the study's files, tracks them if anything ran, and says the essence."""
    folder = study.request.results / "studies" / study.file.name
    read = read_findings(store.study, _about(study, store))
    findings = with_worth(read, Runs(study.request.results))
    written = write_study(findings, folder)
    made = verdict(findings)
    print(f"study '{study.file.name}': {counts(findings)}")
    print("\n".join([made.sentence, *made.facts, *(f"wrote {path}" for path in written)]))
    for trial in findings.trials:
        if trial.state == "failed":
            print(f"trial {trial.number}: failed: {_cause(study, trial)}", file=sys.stderr)
    if ran:
        track_study(study, store, tracking, findings, written)
        for sentence in warnings_of(tracking):
            print(f"warning: {sentence}", file=sys.stderr)
    return findings


def _about(study: Study, store: Store) -> About:
    file, base, prior = study.file, study.base, prior_of(store.study)
    return About(
        name=file.name,
        row=file.row,
        experiment=base.experiment.name,
        profile=base.profile,
        dataset=study.data,
        objectives=file.objectives,
        n_trials=file.n_trials,
        sampler=study.strategies.sampler_words,
        pruner=study.strategies.pruner_words,
        paths=study.space.sets(),
        device=_device(study, store),
        select=base.experiment.select,
        fitted_on=study.fitted_on,
        warm_start=prior.words(study.learns) if prior else "",
    )


def _device(study: Study, store: Store) -> str:
    """What the trials of this folder ran on; those of other drivers are not looked at."""
    devices: dict[str, None] = {}
    for trial in store.study.get_trials(deepcopy=False):
        run_id, device = (trial.user_attrs.get(name) for name in ("run_id", "device"))
        folder = RunFolder(study.request.results / "runs" / str(run_id))
        if run_id and folder.finished:
            # A trial of an earlier version says nothing of it.
            devices[_recorded_device(folder) if device is None else device] = None
    return ", ".join(filter(None, devices))


def _recorded_device(folder: RunFolder) -> str:
    try:
        return folder.read_record().provenance.device or ""
    except Damaged:
        return ""


def _cause(study: Study, trial: Trial) -> str:
    log = RunFolder(study.request.results / "runs" / trial.run_id).log_file
    where = f"; see {log}" if trial.run_id and log.exists() else ""
    return f"{trial.cause or 'no cause was given'}{where}"


def promoted(study: Study, findings: Findings, number: int | None) -> Promotion | None:
    """Makes the best trial, or the one with this number, a row of the experiment, and says so.

    Returns:
        What became of it; None where there is nothing to promote.

    Raises:
        UserError: No such trial is complete, or the file of tuned rows cannot be written.
    """
    file = study.file
    chosen = _chosen(findings, number)
    own = study.space.overrides(study.space.published())
    if study.space.overrides(chosen.params) == own:
        which = "no trial beat" if number is None else f"trial {number} is"
        print(f"nothing to promote: {which} the row's own setting")
        return None
    overrides = study.promoted(chosen.params)
    method = study.base.rows[0].cells.get("Learning Method", "")
    made = promote(file.experiment, file.row, file.name, chosen.number, overrides, method)
    print(_promotion_line(made, file.experiment))
    found = worth(findings, chosen, Runs(study.request.results))
    print(
        f"trial {chosen.number} against the row's own setting, on the validation images: {found.word}"
    )
    return made


def _promotion_line(made: Promotion, experiment: Path) -> str:
    file = made.file if isinstance(made.row, TunedRow) else experiment
    how = "as it is in" if not made.changed else "replaced in" if made.replaced else "added to"
    left = f"; {made.left}, of the same study, stays in {experiment} as it is" if made.left else ""
    return f"row {made.row.name}: {how} {file}{left}"


def _chosen(findings: Findings, number: int | None) -> Trial:
    complete, name = findings.ranked, findings.about.name
    if not complete:
        raise UserError(f"study '{name}' has no complete trial: nothing to promote")
    if number is None:
        return complete[0]
    chosen = next((trial for trial in complete if trial.number == number), None)
    if chosen is None:
        numbers = ", ".join(str(trial.number) for trial in sorted(complete, key=_number))
        raise UserError(f"--trial {number}: no such complete trial; allowed: {numbers}")
    return chosen


def _number(trial: Trial) -> int:
    return trial.number
