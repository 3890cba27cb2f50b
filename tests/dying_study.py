"""Lives the life of a study again and again, and is killed before one statement of it after the other.

``python dying_study.py URL STRIDE``: the URL of a database that is there, on a server that can make more of them; or
``sqlite:///FOLDER/%d.db``. Every STRIDE-th statement is tried. Prints two lines of JSON for each death: the statement,
and what was found afterwards; after the last one a line of the latter kind alone, of a life without a death.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from alembic.script import ScriptDirectory
from optuna.trial import TrialState
from sqlalchemy.engine import URL

from benchmark.tuning.database import storage_url
from benchmark.tuning.opening import open_study
from benchmark.tuning.storage import Store, Strategies, StudyKey

NAME = "mortal"
KEY = StudyKey(NAME, ["maximize"], {"row": "plain"}, {"lr": 0.02})
RANDOM = Strategies(
    optuna.samplers.RandomSampler(0), optuna.pruners.NopPruner(), "RandomSampler", "none", 4
)
_READS = ("SELECT", "PRAGMA")

optuna.logging.set_verbosity(optuna.logging.ERROR)
warnings.simplefilter("ignore")
# Optuna reads a dozen modules each time it opens a database, to know its newest version: once is enough.
_read = cache(ScriptDirectory)
ScriptDirectory.from_config = lambda config: _read(config.get_main_option("script_location"))  # type: ignore[method-assign]


def live(url: URL) -> Store:
    """A study of one trial, from its database on: whatever a life before this one has left is gone on with."""
    store = open_study(url, KEY, "a", RANDOM)
    trial = store.next_trial(1)
    if trial is not None:
        trial.suggest_float("lr", 0.001, 0.1)
        trial.report(0.5, 1)
        store.tell(trial, TrialState.COMPLETE, [0.7], {"epochs": 1.0})
    return store


@dataclass
class Death:
    """Kills this process before the statement with this number, of those that write or commit what was written."""

    number: int
    seen: int = 0
    written: bool = False

    def await_it(self) -> None:
        sqlalchemy.event.listen(sqlalchemy.Engine, "before_cursor_execute", self._statement)
        sqlalchemy.event.listen(sqlalchemy.Engine, "commit", self._commit)

    def _statement(self, _connection: Any, _cursor: Any, text: str, *_: Any) -> None:
        if not text.lstrip().upper().startswith(_READS):
            self.written = True
            self._count(" ".join(text.split())[:60])

    def _commit(self, _connection: Any) -> None:
        if self.written:
            self.written = False
            self._count("COMMIT")

    def _count(self, words: str) -> None:
        self.seen += 1
        if self.seen == self.number:
            print(json.dumps({"number": self.number, "before": words}), flush=True)
            os.kill(os.getpid(), signal.SIGKILL)


def looked_at(url: URL, number: int) -> dict[str, Any]:
    """What Optuna's own tools and ours find in the database, and what becomes of the study."""
    text = url.render_as_string(hide_password=False)
    if number % 2:  # Optuna's own tools first, every other time
        optuna.get_all_study_names(text)
    trials = live(url).study.get_trials()
    stock = optuna.storages.RDBStorage(text)
    try:
        optuna.create_study(study_name=NAME, storage=stock)
        refused = False
    except optuna.exceptions.DuplicatedStudyError:
        refused = True
    return {
        "names": optuna.get_all_study_names(stock),
        "loaded": len(optuna.load_study(study_name=NAME, storage=stock).trials),
        "trials": [(t.state.name, t.params, t.values, t.intermediate_values) for t in trials],
        "twin refused": refused,
    }


def in_child(action: Callable[[], object]) -> int:
    """Does it in a process of its own, which is killed or prints what comes out; returns its wait status."""
    if child := os.fork():
        return os.waitpid(child, 0)[1]
    try:
        if (found := action()) is not None:
            print(json.dumps({"found": found}), flush=True)
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def database(pattern: str, number: int) -> URL:
    """An empty database for one death."""
    if "%d" in pattern:
        return storage_url(pattern % number, Path())
    url = storage_url(pattern, Path())
    engine = sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE dying{number}")
    engine.dispose()
    return url.set(database=f"dying{number}")


def die(url: URL, number: int) -> None:
    """Lives until the statement with this number."""
    Death(number).await_it()
    live(url)


def main(pattern: str, stride: int) -> None:
    """Dies before one statement after the other, until there is none left to die before."""
    looked_at(database(pattern, 0), 1)  # what is imported late is imported once
    number, status = 1 - stride, int(signal.SIGKILL)
    while status == signal.SIGKILL:
        number += stride
        url = database(pattern, number)
        status = in_child(partial(die, url, number))
        in_child(partial(looked_at, url, number))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
