"""The chapters of a study's summary, in words; `document` writes them as Markdown and as HTML."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.tuning.findings.budget import Budget, Spent, budget
from benchmark.tuning.findings.document import Block, Bullets, Grid, Heading, Text
from benchmark.tuning.findings.findings import Findings, Trial
from benchmark.tuning.findings.texts import (
    cause_text,
    difference_text,
    name_of,
    number_text,
    param_text,
    params_text,
    seconds_text,
    share_text,
    state_text,
    value_text,
    values_text,
)
from benchmark.writing.words import DASH

# All trials are listed up to the first number, beyond it only the best.
_LISTED_ALL = 50
_LISTED_BEST = 20

# Below this many complete trials the best tenth, by which importances are measured, is fewer than the 5 trials
# that Optuna's documentation of PedAnovaImportanceEvaluator asks for.
_ENOUGH_FOR_IMPORTANCES = 50

_NOISE = (
    "The best of a search is the highest of many noisy values, so it flatters itself: only training it again with "
    "the experiment's seeds (detboard tune with --promote) measures it."
)

_NOISE_OF_A_FRONT = (
    "What lies on a front is there by noise, too: only training it again with the experiment's seeds "
    "(detboard tune with --promote and --trial NUMBER) measures it."
)


def chapters(findings: Findings) -> list[Block]:
    """The summary but for its plots; the same trials give the same words."""
    about = findings.about
    return [
        Heading(f"Study {about.name}: {about.row}", level=1),
        _facts(findings),
        *(_front(findings) if findings.two else _best(findings)),
        *_parameters(findings),
        *_budget(findings),
        *_failures(findings),
        *_trials(findings),
    ]


def _facts(findings: Findings) -> Bullets:
    about = findings.about
    facts = {
        "Row": about.row,
        "Experiment": about.experiment,
        "Profile": about.profile,
        "Data set": about.dataset,
        "Objectives" if findings.two else "Objective": " and ".join(about.objectives),
        "Sampler": about.sampler,
        "Pruner": about.pruner,
        "Device": about.device,
        "Trials": _counts(findings),
    }
    return Bullets(tuple(f"{name}: {text}" for name, text in facts.items() if text))


def _counts(findings: Findings) -> str:
    always = [f"{findings.count(s)} {s}" for s in ("complete", "pruned", "failed", "running")]
    waiting = findings.count("waiting")
    listed = ", ".join(always + ([f"{waiting} waiting"] if waiting else []))
    begun = len(findings.trials) - waiting
    return f"{listed}; {begun} begun, n_trials is {findings.about.n_trials}"


def _best(findings: Findings) -> list[Block]:
    best, published, objective = findings.best, findings.published, findings.about.objectives[0]
    blocks: list[Block] = [Heading("Best against the row's own setting")]
    if best is None:
        return [*blocks, Text("No trial is complete, so there is no best one yet.", strong=True)]
    blocks.append(Text(_verdict(findings, best, published), strong=True))
    lines = [f"Best: {objective} {value_text(objective, best.values[0])}, {name_of(best)}"]
    if published is not None and published.state == "complete":
        value = value_text(objective, published.values[0])
        lines.append(f"The row's own setting: {objective} {value}, {name_of(published)}")
    return [*blocks, Bullets(tuple(lines)), Text(_NOISE)]


def _verdict(findings: Findings, best: Trial, published: Trial | None) -> str:
    objective = findings.about.objectives[0]
    if published is None or published.state != "complete":
        return _nothing_to_compare(published)
    if findings.goodness(best)[0] <= findings.goodness(published)[0]:
        return "No trial beat the row's own setting."
    difference = difference_text(objective, best.values[0] - published.values[0])
    way = "higher" if findings.higher_better[0] else "lower"
    return (
        f"The best trial beat the row's own setting: its {objective} is {way}, by {difference} "
        f"({value_text(objective, best.values[0])} against "
        f"{value_text(objective, published.values[0])})."
    )


def _nothing_to_compare(published: Trial | None) -> str:
    """Why there is no value of the row's own setting."""
    compared = "so there is nothing to compare the best trial with."
    if published is None:
        return f"The row's own setting was not tried, {compared}"
    if published.state == "failed":
        return (
            f"The row's own setting failed ({name_of(published)}: {cause_text(published)}), "
            + compared
        )
    if published.state == "pruned":
        return f"The row's own setting was pruned ({name_of(published)}), {compared}"
    return f"The row's own setting is not trained yet ({name_of(published)}), {compared}"


def _front(findings: Findings) -> list[Block]:
    first, second = findings.about.objectives
    blocks: list[Block] = [Heading("Pareto front against the row's own setting")]
    if not findings.front:
        text = "No trial is complete, so there is no front yet."
        return [*blocks, Text(text, strong=True)]
    head = ("Trial", first, second, "State", "Run", "Parameters")
    rows = tuple(_front_row(findings, trial) for trial in findings.front)
    return [
        *blocks,
        Text(_front_verdict(findings), strong=True),
        Text(
            "Of each of these, no other trial is at least as good in both objectives and better in one."
        ),
        Grid(head, rows, frozenset({0, 1, 2})),
        Text(_NOISE_OF_A_FRONT),
    ]


def _front_row(findings: Findings, trial: Trial) -> tuple[str, ...]:
    texts = values_text(findings, trial)
    return (str(trial.number), *texts, state_text(trial), trial.run_id, params_text(trial))


def _front_verdict(findings: Findings) -> str:
    published = findings.published
    if published is None or published.state != "complete":
        return _nothing_to_compare(published)
    own = " and ".join(
        f"{name} {text}"
        for name, text in zip(
            findings.about.objectives, values_text(findings, published), strict=True
        )
    )
    better = sorted(t.number for t in findings.front if findings.dominates(t, published))
    if not better:
        return f"The row's own setting is on the front (trial {published.number}: {own})."
    return (
        f"The row's own setting is not on the front (trial {published.number}: {own}); "
        f"it is dominated by {_numbers(better)}."
    )


def _parameters(findings: Findings) -> list[Block]:
    best = findings.best
    which = f"trial {best.number}" if best else "none yet"
    aim = f"Best {findings.about.objectives[0]}" if findings.two else "Best"
    head = ("Parameter", "Sets", "Row's own", f"{aim} ({which})", "Importance")
    rows = tuple(
        (
            name,
            findings.about.paths.get(name, DASH),
            _setting(findings.published, name),
            _setting(best, name),
            _importance(findings, name),
        )
        for name in findings.parameters
    )
    return [Heading("Parameters"), Grid(head, rows, frozenset({4})), Text(_rests_on(findings))]


def _setting(trial: Trial | None, name: str) -> str:
    return param_text(trial.params[name]) if trial and name in trial.params else DASH


def _importance(findings: Findings, name: str) -> str:
    share = findings.importances.shares.get(name)
    return DASH if share is None else f"{100 * share:.0f} %"


def _rests_on(findings: Findings) -> str:
    importances = findings.importances
    if importances.missing:
        return f"Importances cannot be computed: {importances.missing}."
    words = (
        f"Importance is what told the best tenth of the {importances.n_trials} complete trials from all of them "
        f"by {findings.about.objectives[0]} (PED-ANOVA), as a share."
    )
    few = importances.n_trials < _ENOUGH_FOR_IMPORTANCES
    return f"{words} From so few trials it is no more than a hint." if few else words


def _budget(findings: Findings) -> list[Block]:
    spent = budget(findings.trials)
    rows = [_spent_row(group, part) for group, part in spent.spent.items()]
    rows.append(_spent_row("all", spent.total))
    head = ("Trials", "Number", "Epochs", "Device seconds")
    notes = tuple(_budget_notes(spent))
    return [
        Heading("Budget"),
        Grid(head, tuple(rows), frozenset({1, 2, 3})),
        Text(_saved(spent), strong=True),
        *([Bullets(notes)] if notes else []),
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
        notes.append(f"Not known how long they would have gone on: {_numbers(spent.no_plan)}")
    if spent.no_pace:
        notes.append(
            f"Pruned before they trained, so that seconds are not known: {_numbers(spent.no_pace)}"
        )
    return notes


def _numbers(numbers: Sequence[int]) -> str:
    return ("trial " if len(numbers) == 1 else "trials ") + ", ".join(map(str, numbers))


def _failures(findings: Findings) -> list[Block]:
    failed = [trial for trial in findings.trials if trial.state == "failed"]
    if not failed:
        return []
    causes = tuple(f"Trial{name_of(t).removeprefix('trial')}: {cause_text(t)}" for t in failed)
    return [Heading("Failed trials"), Bullets(causes)]


def _trials(findings: Findings) -> list[Block]:
    listed, note = _listed(findings)
    head = ("Trial", "State", *findings.about.objectives, "Best", "Epochs", "Parameters", "Run")
    numeric = frozenset({0, *range(2, 4 + len(findings.about.objectives))})
    rows = tuple(_trial_row(findings, trial) for trial in listed)
    return [Heading("Trials"), Text(note), *([Grid(head, rows, numeric)] if rows else [])]


def _listed(findings: Findings) -> tuple[list[Trial], str]:
    first, total = findings.about.objectives[0], len(findings.trials)
    best = (
        f"Best is a trial's best {first} in any of its validations; the {first} of a pruned trial is that of its last "
        "one, after fewer epochs."
    )
    if total == 0:
        return [], "There is no trial yet."
    if total <= _LISTED_ALL:
        return list(findings.trials), best
    shown = findings.ranked[:_LISTED_BEST]
    which = f"The {len(shown)} best complete trials of {total}, by {first}; all are in trials.csv."
    return shown, f"{which} {best}"


def _trial_row(findings: Findings, trial: Trial) -> tuple[str, ...]:
    return (
        str(trial.number),
        state_text(trial),
        *values_text(findings, trial),
        value_text(findings.about.objectives[0], trial.best),
        number_text(trial.epochs),
        params_text(trial),
        trial.run_id or DASH,
    )
