"""Tries mmdet's configs: each becomes a row under ``smoke``, trains one step, predicts and is evaluated on one image.

    python perf/zoo.py                        # one config of each family
    python perf/zoo.py yolox rtmdet --all     # every config of two families

Every config is loaded, retargeted, shrunk and planned as `detboard plan` does it; the plainest of a family that is not
refused, or with ``--all`` each, is tried as `detboard plan --build` does, with random weights. Each has a process of
its own with a limit of memory and time. What came of it is kept in ``--journal``: given again, the command goes on
where it was cut short. At the end the journal's table is written to ``--output``.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from importlib.metadata import version
from pathlib import Path
from typing import Any

from evaluation import machine

from benchmark.config.vocabulary.machine import needs_of
from benchmark.data.synthesize import synthesize
from benchmark.errors import UserError
from benchmark.experiment.experiment import Tracking
from benchmark.experiment.rows.zoo import whole_configs
from benchmark.files import write_text
from benchmark.run.devices import visible_gpus
from benchmark.run.options import JobOptions, Resources
from benchmark.run.plan import Request, make_plan
from benchmark.run.prepare import prepare
from benchmark.run.tried import Tried, read_tried

_POLL_S = 0.2
_GIB = 2**30
_PACKAGES = ("onedl-mmdetection", "onedl-mmcv", "torch", "torchvision")
_EXPERIMENT = """\
name: zoo
title: Zoo
profile: smoke
seeds: [0]
dataset: {{root: {data}}}
rows:
  - name: tried
    config: mmdet::{config}
"""


class State(str, Enum):
    """What came of a config."""

    OK = "ok"
    REFUSED = "refused"
    FAILING = "failing"
    PLANNED = "planned"


@dataclass(frozen=True)
class Outcome:
    """What came of one config.

    Attributes:
        config: ``family/file.py``.
        state: Whether it was tried well, refused before any training, or died.
        why: Why it was refused or died, in one line.
        params: The model's number of parameters, for the classes of the data.
        operators: Those of mmcv's operators that were called.
        seconds: What it took, on this machine.
    """

    config: str
    state: State
    why: str = ""
    params: int | None = None
    operators: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def family(self) -> str:
        """The folder of the config."""
        return self.config.partition("/")[0]


@dataclass(frozen=True)
class Limits:
    """What one config may take."""

    minutes: float
    memory_gib: float


def configs() -> dict[str, list[str]]:
    """The configs of each family, ``family/file.py``, the plainest (shortest name) first."""
    families: dict[str, list[str]] = {}
    for name in sorted(whole_configs(), key=lambda name: (len(name), name)):
        families.setdefault(name.partition("/")[0], []).append(name)
    return dict(sorted(families.items()))


# In the process of one config.


def _try(config: str, data: Path, scratch: Path, alone: bool) -> Outcome:
    """Makes a row of a config, and tries it out as a job of a sweep would, unless it is to be planned ``alone``."""
    from benchmark.job.tryout import try_out

    began, called = time.monotonic(), _called_operators()
    experiment = scratch / "zoo.yaml"
    experiment.write_text(_EXPERIMENT.format(data=data, config=config))
    try:
        (run,) = make_plan(Request(experiment, scratch / "results")).runs
        objections = needs_of(dict(run.config)).unmet(bool(visible_gpus()), processes=1)
    except UserError as error:
        objections = [problem.rpartition(f"{config}': ")[2] for problem in error.problems]
    if objections:
        why = "; ".join(objections)
        return Outcome(config, State.REFUSED, why, seconds=time.monotonic() - began)
    if alone:
        return Outcome(config, State.PLANNED, seconds=time.monotonic() - began)
    prepare(run)
    try_out(run.folder, JobOptions(Tracking(mode="off"), Resources((), 1), try_out=True))
    tried = read_tried(run.folder) or Tried()
    state = State.OK if tried.complete and not tried.cause else State.FAILING
    seconds = time.monotonic() - began
    return Outcome(config, state, _why(tried), tried.params, tuple(sorted(called)), seconds)


def _why(tried: Tried) -> str:
    if not tried.cause:
        return ""
    at = f" at {tried.at}" if tried.at else ""
    return f"{tried.key}: {tried.cause}{at}; while {tried.step}"


def _called_operators() -> set[str]:
    """Fills up with the names of mmcv's operators as they are called, without the direction."""
    called: set[str] = set()
    kind: Any = type(sys.modules["mmcv._ext"])
    given = kind.__getattr__

    def noting(self: object, name: str) -> Callable[..., object]:
        if not name.startswith("__"):
            called.add(name.split("_forward")[0].split("_backward")[0])
        operator: Callable[..., object] = given(self, name)
        return operator

    kind.__getattr__ = noting
    return called


def _child(config: str, data: Path, scratch: Path, alone: bool) -> None:
    """Writes what came of a config, and ends this process."""
    try:
        # Whoever watches its time and memory may be killed: it would go on without any limit.
        importlib.import_module("benchmark.launchers.tied")
        os.setsid()
        os.nice(10)
        log = os.open(scratch / "log.txt", os.O_WRONLY | os.O_CREAT, 0o644)
        for stream in (1, 2):
            os.dup2(log, stream)
        write_text(scratch / "outcome.json", _line(_try(config, data, scratch, alone)))
    except BaseException as error:  # this process is a copy of the one that goes on
        why = " ".join(f"{type(error).__name__}: {error}".split())
        write_text(scratch / "outcome.json", _line(Outcome(config, State.FAILING, why)))
    finally:
        os._exit(0)


# In the process that goes through the configs.


def outcome_of(config: str, data: Path, limits: Limits, alone: bool) -> Outcome:
    """Tries a config, or plans it ``alone``, in a process of its own, which ends when it takes more than it may."""
    with tempfile.TemporaryDirectory(prefix="zoo-") as folder:
        scratch, began = Path(folder), time.monotonic()
        pid = os.fork()
        if not pid:
            _child(config, data, scratch, alone)
        ended = _watched(pid, limits)
        written = scratch / "outcome.json"
        if not ended and written.is_file():
            return _read(written.read_text())
        step = next((read for read in map(_step, scratch.rglob("tried.json")) if read), "it began")
        why = f"{ended or 'its process died'}, while {step}"
        return Outcome(config, State.FAILING, why, seconds=time.monotonic() - began)


def _step(path: Path) -> str:
    return str(json.loads(path.read_text())["step"])


def _watched(pid: int, limits: Limits) -> str:
    """Waits for a process; says why it was killed, or died, if it was."""
    end = time.monotonic() + 60 * limits.minutes
    words = ""
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            died = f"its process was ended by signal {status}" if os.WIFSIGNALED(status) else ""
            return words or died
        if time.monotonic() > end:
            words = f"it took more than {limits.minutes:g} minutes"
        elif _memory_gib(pid) > limits.memory_gib:
            words = f"it took more than {limits.memory_gib:g} GiB"
        if words:
            os.kill(pid, signal.SIGKILL)
        time.sleep(_POLL_S)


def _memory_gib(pid: int) -> float:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / _GIB


def left(families: dict[str, list[str]], journal: Path, every: bool) -> Iterator[tuple[str, bool]]:
    """The configs that nothing is known of yet, and whether planning is enough: of a family, one is tried at least."""
    for names in families.values():
        for name in names:
            known = {outcome.config: outcome.state for outcome in read_journal(journal)}
            tried = any(known.get(one) in (State.OK, State.FAILING) for one in names)
            alone = tried and not every
            if name not in known or (known[name] is State.PLANNED and not alone):
                yield name, alone


def read_journal(path: Path) -> list[Outcome]:
    """What is known, the last of each config."""
    if not path.is_file():
        return []
    read = [_read(line) for line in path.read_text().splitlines()]
    return list({outcome.config: outcome for outcome in read}.values())


def _read(line: str) -> Outcome:
    given = json.loads(line)
    return Outcome(
        **{**given, "state": State(given["state"]), "operators": tuple(given["operators"])}
    )


def _line(outcome: Outcome) -> str:
    return json.dumps({**asdict(outcome), "seconds": round(outcome.seconds, 1)})


# The page.


def page(families: dict[str, list[str]], outcomes: Sequence[Outcome]) -> str:
    """``docs/zoo.md``: how many families are well, and a row for each."""
    by_family = {name: [o for o in outcomes if o.family == name] for name in families}
    known = {name: found for name, found in by_family.items() if found}
    standing = [_standing(found).state for found in known.values()]
    refused = sum(outcome.state is State.REFUSED for outcome in outcomes)
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    rows = [_row(name, len(families[name]), found) for name, found in known.items()]
    return "\n".join(
        [
            "# mmdet's zoo, tried",
            "",
            "<!-- Made by perf/zoo.py; not by hand. -->",
            "",
            "Every config that mmdet ships was made a row under `smoke`: loaded, retargeted to a data set with boxes,",
            "shrunk and planned. Of each family the plainest one that is not refused was also built with random",
            "weights, trained for one step (losses and weights finite), and evaluated on one image. A family is",
            "*refused* where every one of its configs is, before any training; the reason is the most frequent one.",
            "Operators are those of mmcv that were called meanwhile, on a CPU; see [operators.md](operators.md).",
            "`python perf/zoo.py FAMILY --all` tries every config of a family.",
            "",
            f"{len(known)} families: {_counted(standing)}. {len(outcomes)} configs, {refused} refused.",
            f"With {packages}.",
            "",
            "| family | configs | refused | | tried | parameters | operators | why not |",
            "| --- | ---: | ---: | --- | --- | ---: | --- | --- |",
            *rows,
            *_untried(name for name, found in by_family.items() if not found),
            "",
        ]
    )


def _untried(families: Iterable[str]) -> list[str]:
    names = ", ".join(families)
    return ["", f"Not tried yet: {names}."] if names else []


def _counted(states: Sequence[State]) -> str:
    return ", ".join(
        f"{states.count(state)} {state.value}" for state in State if states.count(state)
    )


def _standing(found: Sequence[Outcome]) -> Outcome:
    """The outcome that stands for a family: one that fails, or one that is well, or the most frequent refusal."""
    for state in (State.FAILING, State.OK, State.PLANNED):
        if alike := [outcome for outcome in found if outcome.state is state]:
            return alike[0]
    reasons = Counter(outcome.why for outcome in found)
    return max(found, key=lambda outcome: reasons[outcome.why])


def _row(family: str, count: int, found: Sequence[Outcome]) -> str:
    outcome = _standing(found)
    params = f"{outcome.params / 1e6:.1f} M" if outcome.params else ""
    why = outcome.why.replace("|", "\\|")
    name = f"`{outcome.config.partition('/')[2]}`"
    refused = sum(one.state is State.REFUSED for one in found)
    operators = ", ".join(outcome.operators)
    cells = (family, count, refused, outcome.state.value, name, params, operators, why)
    return f"| {' | '.join(map(str, cells))} |"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "families", nargs="*", help="folders of mmdet's configs; all, if none is given"
    )
    parser.add_argument("--all", action="store_true", help="every config of a family")
    parser.add_argument("--data-root", type=Path, help="a data set in place of synthetic images")
    parser.add_argument("--journal", type=Path, default=Path("zoo.jsonl"))
    parser.add_argument("--retry", action="store_true", help="try those again that failed")
    parser.add_argument("--output", type=Path, default=Path("docs/zoo.md"))
    parser.add_argument("--minutes", type=float, default=15.0, help="for one config")
    parser.add_argument("--memory-gib", type=float, default=8.0, help="for one config")
    return parser.parse_args()


def main() -> None:
    options = _options()
    families = configs()
    if unknown := sorted(set(options.families) - families.keys()):
        sys.exit(f"mmdet has no configs of {', '.join(unknown)}")
    chosen = {name: families[name] for name in options.families or families}
    if options.retry:
        kept = [o for o in read_journal(options.journal) if o.state is not State.FAILING]
        write_text(options.journal, "".join(_line(outcome) + "\n" for outcome in kept))
    print(f"{machine()}\n")

    limits = Limits(options.minutes, options.memory_gib)
    with tempfile.TemporaryDirectory(prefix="zoo-data-") as folder:
        data = options.data_root or synthesize(Path(folder) / "data", train=16, val=4)
        for config, alone in left(chosen, options.journal, options.all):
            import benchmark.launchers.preload  # noqa: F401 - what every config needs, once

            outcome = outcome_of(config, data.resolve(), limits, alone)
            with options.journal.open("a") as journal:
                journal.write(_line(outcome) + "\n")
            print(
                f"{outcome.state.value:8} {outcome.seconds:6.1f} s  {config}  {outcome.why}"[:200]
            )
    write_text(options.output, page(families, read_journal(options.journal)))


if __name__ == "__main__":
    main()
