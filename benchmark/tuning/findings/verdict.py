"""What a study came to against the row's own setting, in plain text: for the summary and for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeGuard

from benchmark.tuning.findings.findings import Findings, Trial, Worth
from benchmark.tuning.findings.texts import (
    cause_text,
    difference_text,
    name_of,
    value_text,
    values_text,
)
from benchmark.writing.words import signed


@dataclass(frozen=True)
class Verdict:
    """What a study came to.

    Attributes:
        sentence: Whether anything is better than the row's own setting.
        facts: The trials and values that this rests on, a line each.
    """

    sentence: str
    facts: tuple[str, ...] = ()


def verdict(findings: Findings) -> Verdict:
    """Compares the best trial, or the Pareto front, with the row's own setting."""
    best = findings.best
    if best is None:
        what = "front" if findings.two else "best one"
        return Verdict(f"No trial is complete, so there is no {what} yet.")
    if findings.two:
        front = ", ".join(str(trial.number) for trial in findings.front)
        return Verdict(_of_front(findings), (f"Pareto front: trials {front}",))
    facts = [f"Best: {_valued(findings, best)}"]
    if _has_value(findings.published):
        facts.append(f"The row's own setting: {_valued(findings, findings.published)}")
    if findings.about.fitted_on:
        facts.append(f"Fitted on {findings.about.fitted_on}.")
    return Verdict(_of_best(findings, best), tuple(facts))


def counts(findings: Findings) -> str:
    """How many trials are in which state: ``3 complete, 1 pruned, 0 failed, 0 running; 4 begun, n_trials is 9``."""
    always = [f"{findings.count(s)} {s}" for s in ("complete", "pruned", "failed", "running")]
    waiting = findings.count("waiting")
    listed = ", ".join(always + ([f"{waiting} waiting"] if waiting else []))
    begun = len(findings.trials) - waiting
    return f"{listed}; {begun} begun, n_trials is {findings.about.n_trials}"


def numbers_text(numbers: Sequence[int]) -> str:
    """``trial 3``, ``trials 3, 5``."""
    return ("trial " if len(numbers) == 1 else "trials ") + ", ".join(map(str, numbers))


def _has_value(published: Trial | None) -> TypeGuard[Trial]:
    return published is not None and published.state == "complete"


def _valued(findings: Findings, trial: Trial) -> str:
    objective = findings.about.objectives[0]
    return f"{objective} {value_text(objective, trial.values[0])}, {name_of(trial)}"


def _of_best(findings: Findings, best: Trial) -> str:
    published, objective = findings.published, findings.about.objectives[0]
    if not _has_value(published):
        return _nothing_to_compare(published)
    if findings.goodness(best)[0] <= findings.goodness(published)[0]:
        return "No trial beat the row's own setting."
    difference = difference_text(objective, best.values[0] - published.values[0])
    way = "higher" if findings.higher_better[0] else "lower"
    ours, own = (value_text(objective, trial.values[0]) for trial in (best, published))
    lead = f"its {objective} is {way}, by {difference} ({ours} against {own})"
    return _weighed(lead, worth_of(findings, best))


def worth_of(findings: Findings, trial: Trial) -> Worth:
    """What a trial's lead over the row's own setting is worth; unknown if nobody has asked."""
    return findings.worth.get(trial.number, Worth(why="its run was not looked at"))


def _weighed(lead: str, worth: Worth) -> str:
    """Whether the best trial is better, in a sentence."""
    found = worth.difference
    if found is None:
        return f"Whether the best trial is better than the row's own setting is not known ({worth.why}): {lead}."
    count = worth.chosen_from
    of_many = f", widened for the best of {count} trials" if count > 1 else ""
    reach = f"{signed(found.low)} to {signed(found.high)} over the validation images{of_many}"
    if worth.separated:
        return (
            f"The best trial is better than the row's own setting: {lead}; 95 % interval {reach}."
        )
    return (
        f"The best trial is not separated from the row's own setting: {lead}, but the 95 % interval, {reach}, "
        "holds 0."
    )


def _of_front(findings: Findings) -> str:
    published = findings.published
    if not _has_value(published):
        return _nothing_to_compare(published)
    values = zip(findings.about.objectives, values_text(findings, published), strict=True)
    own = f"trial {published.number}: {' and '.join(f'{name} {text}' for name, text in values)}"
    better = [t for t in findings.front if findings.dominates(t, published)]
    if not better:
        return f"The row's own setting is on the front ({own})."
    numbers = numbers_text(sorted(trial.number for trial in better))
    return (
        f"The row's own setting is not on the front ({own}); it is dominated by {numbers}."
        f"{_of_dominating(findings, better)}"
    )


def _of_dominating(findings: Findings, better: Sequence[Trial]) -> str:
    """What the leads of the dominating trials in the first objective are worth; of the second none is known."""
    by_word: dict[str, list[int]] = {}
    for trial in better:
        by_word.setdefault(worth_of(findings, trial).word, []).append(trial.number)
    said = (f"{numbers_text(sorted(numbers))} {word}" for word, numbers in by_word.items())
    return f" By {findings.about.objectives[0]} over the validation images: {'; '.join(said)}."


def _nothing_to_compare(published: Trial | None) -> str:
    """Why there is no value of the row's own setting."""
    compared = "so there is nothing to compare the best trial with."
    if published is None:
        return f"The row's own setting was not tried, {compared}"
    name = name_of(published)
    if published.state == "failed":
        return f"The row's own setting failed ({name}: {cause_text(published)}), {compared}"
    if published.state == "pruned":
        return f"The row's own setting was pruned ({name}), {compared}"
    return f"The row's own setting is not trained yet ({name}), {compared}"
