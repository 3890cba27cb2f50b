"""Optuna's tables: made in one transaction, and put right where a kill has left some of them out.

Optuna makes them in a dozen steps, each of which lasts on SQLite. A process that is killed between two of them leaves
a database whose next user makes the tables that are missing, but never the index that keeps two studies from having
one name.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from itertools import count
from pathlib import Path

import optuna
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from optuna.storages._rdb import models
from sqlalchemy import Connection, Engine, Index, Table, inspect, select

_METADATA = models.BaseModel.metadata
_STUDIES: Table = _METADATA.tables["studies"]
_VERSION: Table = _METADATA.tables["version_info"]
_HELD = ("trials", "study_user_attributes")  # by a study that was worked on
_MADE_ALONG = ("study_directions", "study_system_attributes")


def complete(engine: Engine) -> list[str]:
    """Makes what is missing of Optuna's tables, all of it or nothing; a database that is whole is only read.

    Of two studies of one name the one that holds nothing is removed, or else the later one is renamed. Tables of
    another version of Optuna stay as they are: Optuna says what to do about them.

    Args:
        engine: Connects to the database; nobody else completes its tables meanwhile.

    Returns:
        A sentence for each study that was renamed.

    Raises:
        SQLAlchemyError: The database says no; it is as it was.
    """
    with engine.connect() as connection:
        if not _is_incomplete(connection):
            return []
    with _transaction(engine) as connection:
        renamed = _one_study_a_name(connection) if inspect(connection).has_table("studies") else []
        _METADATA.create_all(connection)
        for index in _indices():
            index.create(connection, checkfirst=True)
        _note_version(connection)
    return renamed


@contextmanager
def _transaction(engine: Engine) -> Iterator[Connection]:
    if engine.dialect.name != "sqlite":
        with engine.begin() as connection:
            yield connection
        return
    # Python's sqlite3 begins no transaction before a CREATE: each would last on its own.
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.exec_driver_sql("ROLLBACK")
            raise
        connection.exec_driver_sql("COMMIT")


def _is_incomplete(connection: Connection) -> bool:
    inspector = inspect(connection)
    tables = set(inspector.get_table_names())
    revision = MigrationContext.configure(connection).get_current_revision()
    if revision not in (None, _newest()) or _is_older(connection, tables):
        return False
    present = {
        index["name"]
        for table in tables & set(_METADATA.tables)
        for index in inspector.get_indexes(table)
    }
    return (
        revision is None
        or not tables.issuperset(_METADATA.tables)
        or not present.issuperset(index.name for index in _indices())
    )


def _is_older(connection: Connection, tables: Iterable[str]) -> bool:
    """Whether the tables are of a version of Optuna that did not note their revision."""
    if _VERSION.name not in tables:
        return False
    version = connection.execute(select(_VERSION.c.schema_version)).scalar()
    return version not in (None, models.SCHEMA_VERSION)


def _indices() -> list[Index]:
    return [index for table in _METADATA.sorted_tables for index in table.indexes]


def _note_version(connection: Connection) -> None:
    """The last of what Optuna makes; what it finds of it, it leaves as it is."""
    if connection.execute(select(_VERSION)).first() is None:
        version = {"schema_version": models.SCHEMA_VERSION, "library_version": optuna.__version__}
        connection.execute(_VERSION.insert().values(version_info_id=1, **version))
    context = MigrationContext.configure(connection)
    if context.get_current_revision() is None:
        context.stamp(_scripts(), _newest())


def _newest() -> str:
    return str(_scripts().get_current_head())


@cache  # it reads a dozen modules
def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(Path(models.__file__).parent / "alembic"))


def _one_study_a_name(connection: Connection) -> list[str]:
    """Leaves each name to the first study that holds something; of the others, those that do are renamed."""
    listed = select(_STUDIES.c.study_id, _STUDIES.c.study_name).order_by(_STUDIES.c.study_id)
    by_name: dict[str, list[int]] = defaultdict(list)
    for study, name in connection.execute(listed):
        by_name[name].append(study)
    said = []
    for name, studies in list(by_name.items()):
        holding = [study for study in studies if _holds_something(connection, study)]
        for study in set(studies) - set(holding or studies[:1]):
            _remove(connection, study)
        for study in holding[1:]:
            free = next(new for number in count(2) if (new := f"{name}-{number}") not in by_name)
            by_name[free] = [study]
            renaming = _STUDIES.update().where(_STUDIES.c.study_id == study)
            connection.execute(renaming.values(study_name=free))
            said.append(f"two studies had the name '{name}': the later one is '{free}' now")
    return said


def _holds_something(connection: Connection, study: int) -> bool:
    tables = [_METADATA.tables[name] for name in _HELD if inspect(connection).has_table(name)]
    return any(
        connection.execute(select(table).where(table.c.study_id == study)).first()
        for table in tables
    )


def _remove(connection: Connection, study: int) -> None:
    present = [name for name in _MADE_ALONG if inspect(connection).has_table(name)]
    for table in [*(_METADATA.tables[name] for name in present), _STUDIES]:
        connection.execute(table.delete().where(table.c.study_id == study))
