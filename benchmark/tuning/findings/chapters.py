"""The chapters of a study's summary, in Markdown."""

from __future__ import annotations

from benchmark.tuning.findings.budget import Budget, Spent, budget
from benchmark.tuning.findings.findings import Findings, Trial
from benchmark.tuning.findings.importance import RESAMPLES
from benchmark.tuning.findings.texts import (
    cause_text,
    name_of,
    number_text,
    params_text,
    seconds_text,
    share_text,
    state_text,
    value_text,
    values_text,
)
from benchmark.tuning.findings.verdict import counts, numbers_text, verdict
from benchmark.writing.markdown import bullets, grid, heading, paragraph
from benchmark.writing.words import DASH, param_text

# All trials are listed up to the first number, beyond it only the best.
_LISTED_ALL = 50
_LISTED_BEST = 20

_NOISE = (
    "The best of a search is the highest of many noisy values, so its own value flatters it, and an interval over "
    "images says nothing of another training seed: only training it again with the experiment's seeds (detboard tune "
    "with --promote) measures it, though on the images that it was chosen by."
)

_NOISE_OF_BOXES = (
    "The best of a search is the highest of many values on the same boxes, so its own value flatters it. detboard tune "
    "with --promote makes a row of it, which fuses the source rows' boxes of every seed."
)

_CHOSEN = "each trial's best by mAP50, chosen on the very images that it is judged on: its values are too high"

_NOISE_OF_A_FRONT = (
    "What lies on a front is there by noise, too: only training it again with the experiment's seeds "
    "(detboard tune with --promote and --trial NUMBER) measures it."
)


def chapters(findings: Findings) -> list[str]:
    """The summary as blocks of Markdown, but for its plots; the same trials give the same words."""
    about = findings.about
    return [
        heading(f"Study {about.name}: {about.row}", level=1),
        _facts(findings),
        *(_front(findings) if findings.two else _best(findings)),
        *_parameters(findings),
        *([] if findings.about.fitted_on else _budget(findings)),
        *_failures(findings),
        *_trials(findings),
    ]


def _facts(findings: Findings) -> str:
    about = findings.about
    facts = {
        "Row": about.row,
        "Experiment": about.experiment,
        "Profile": about.profile,
        "Data set": about.dataset,
        "Objectives" if findings.two else "Objective": " and ".join(about.objectives),
        "Validation": _CHOSEN if about.select == "best" else "",
        "Sampler": about.sampler,
        "Pruner": about.pruner,
        "Warm start": about.warm_start,
        "Device": about.device,
        "Trials": counts(findings),
    }
    return bullets(f"{name}: {text}" for name, text in facts.items() if text)


def _best(findings: Findings) -> list[str]:
    made = verdict(findings)
    blocks = [
        heading("Best against the row's own setting"),
        paragraph(made.sentence, strong=True),
    ]
    noise = _NOISE_OF_BOXES if findings.about.fitted_on else _NOISE
    return [*blocks, bullets(made.facts), paragraph(noise)] if made.facts else blocks


def _front(findings: Findings) -> list[str]:
    first, second = findings.about.objectives
    blocks = [
        heading("Pareto front against the row's own setting"),
        paragraph(verdict(findings).sentence, strong=True),
    ]
    if not findings.front:
        return blocks
    head = ("Trial", first, second, "State", "Run", "Parameters")
    rows = [_front_row(findings, trial) for trial in findings.front]
    return [
        *blocks,
        paragraph(
            "Of each of these, no other trial is at least as good in both objectives and better in one."
        ),
        grid(head, rows, {0, 1, 2}),
        paragraph(_NOISE_OF_A_FRONT),
    ]


def _front_row(findings: Findings, trial: Trial) -> tuple[str, ...]:
    texts = values_text(findings, trial)
    return (str(trial.number), *texts, state_text(trial), trial.run_id, params_text(trial))


def _parameters(findings: Findings) -> list[str]:
    best = findings.best
    which = f"trial {best.number}" if best else "none yet"
    aim = f"Best {findings.about.objectives[0]}" if findings.two else "Best"
    head = ("Parameter", "Sets", "Row's own", f"{aim} ({which})", "Importance")
    rows = [
        (
            name,
            findings.about.paths.get(name, DASH),
            _setting(findings.published, name),
            _setting(best, name),
            _importance(findings, name),
        )
        for name in findings.parameters
    ]
    return [heading("Parameters"), grid(head, rows, {4}), paragraph(_rests_on(findings))]


def _setting(trial: Trial | None, name: str) -> str:
    return param_text(trial.params[name]) if trial and name in trial.params else DASH


def _importance(findings: Findings, name: str) -> str:
    share, ends = findings.importances.shares.get(name), findings.importances.ranges.get(name)
    if share is None:
        return DASH
    between = f" ({100 * ends[0]:.0f}–{100 * ends[1]:.0f} %)" if ends else ""
    return f"{100 * share:.0f} %{between}"


def _rests_on(findings: Findings) -> str:
    importances = findings.importances
    if importances.missing:
        return f"Importances are not shown: {importances.missing}."
    return (
        f"Importance is what told the best tenth of the {importances.n_trials} complete trials from all of them "
        f"by {findings.about.objectives[0]} (PED-ANOVA), as a share; in brackets where it lies in 80 % of "
        f"{RESAMPLES} resamples of these trials. It is about the settings that were tried: of a sampler that tries "
        "mostly good values, as TPE does, a parameter that matters may come last."
    )


def _budget(findings: Findings) -> list[str]:
    spent = budget(findings.trials)
    rows = [_spent_row(group, part) for group, part in spent.spent.items()]
    rows.append(_spent_row("all", spent.total))
    head = ("Trials", "Number", "Epochs", "Device seconds")
    notes = _budget_notes(spent)
    return [
        heading("Budget"),
        grid(head, rows, {1, 2, 3}),
        paragraph(_saved(spent), strong=True),
        *([bullets(notes)] if notes else []),
    ]


def _spent_row(group: str, part: Spent) -> tuple[str, ...]:
    name = "reused (an earlier trial's run, not trained again)" if group == "reused" else group
    return (
        name,
        str(part.trials),
        number_text(part.epochs),
        seconds_text(part.device_seconds),
    )


def _saved(spent: Budget) -> str:
    if "pruned" not in spent.spent:
        return "Pruning saved nothing: no trial was pruned."
    return (
        f"Pruning saved {number_text(spent.saved_epochs)} of the {number_text(spent.epochs_in_full)} epochs that "
        f"these trials would have taken without it "
        f"({share_text(spent.saved_epochs, spent.epochs_in_full)}), and about "
        f"{seconds_text(spent.saved_seconds)} of {seconds_text(spent.seconds_in_full)} on the device "
        f"({share_text(spent.saved_seconds, spent.seconds_in_full)})."
    )


def _budget_notes(spent: Budget) -> list[str]:
    notes = []
    if "running" in spent.spent:
        notes.append("Trials that still run count once they have ended")
    if "pruned" in spent.spent:
        notes.append("Device seconds saved are an estimate, from each pruned trial's own pace")
    if spent.no_plan:
        notes.append(f"Not known how long they would have gone on: {numbers_text(spent.no_plan)}")
    if spent.no_pace:
        notes.append(
            f"Pruned before they trained, so that seconds are not known: {numbers_text(spent.no_pace)}"
        )
    return notes


def _failures(findings: Findings) -> list[str]:
    failed = [trial for trial in findings.trials if trial.state == "failed"]
    if not failed:
        return []
    causes = (f"Trial{name_of(t).removeprefix('trial')}: {cause_text(t)}" for t in failed)
    return [heading("Failed trials"), bullets(causes)]


def _trials(findings: Findings) -> list[str]:
    listed, note = _listed(findings)
    trained = ("Best", "Epochs") if not findings.about.fitted_on else ()
    head = ("Trial", "State", *findings.about.objectives, *trained, "Parameters", "Run")
    right = {0, *range(2, 2 + len(trained) + len(findings.about.objectives))}
    rows = [_trial_row(findings, trial) for trial in listed]
    notes = [paragraph(note)] if note else []
    return [heading("Trials"), *notes, *([grid(head, rows, right)] if rows else [])]


def _listed(findings: Findings) -> tuple[list[Trial], str]:
    first, total = findings.about.objectives[0], len(findings.trials)
    best = (
        f"Best is a trial's best {first} in any of its validations; the {first} of a pruned trial is that of its last "
        "one, after fewer epochs."
    )
    best = "" if findings.about.fitted_on else best
    if total == 0:
        return [], "There is no trial yet."
    if total <= _LISTED_ALL:
        return list(findings.trials), best
    shown = findings.ranked[:_LISTED_BEST]
    which = f"The {len(shown)} best complete trials of {total}, by {first}; all are in trials.csv."
    return shown, f"{which} {best}".rstrip()


def _trial_row(findings: Findings, trial: Trial) -> tuple[str, ...]:
    about = findings.about
    trained = (value_text(about.objectives[0], trial.best), number_text(trial.epochs))
    return (
        str(trial.number),
        state_text(trial),
        *values_text(findings, trial),
        *(() if about.fitted_on else trained),
        params_text(trial),
        trial.run_id or DASH,
    )
