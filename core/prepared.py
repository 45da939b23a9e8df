"""Statements that are put together once and handed to the driver as they are.

For what runs with every page and answer: building a statement anew, and describing its columns anew, costs several
times what PostgreSQL needs to answer it.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import psycopg
from sqlalchemy import ClauseElement, Connection, Engine
from sqlalchemy.dialects.postgresql.psycopg import dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import PoolProxiedConnection

from core.db import db, is_under_way


class Prepared:
    """A Core statement of tables, with a `bindparam` for each value and no `in_`; compiled at its first run.

    Values pass through their columns' types as usual; rows come as the driver gives them, as named tuples. The server
    keeps its plan from the first run on. Faults of the database are raised as SQLAlchemy's own, and listeners to the
    engine's statements hear of it too.
    """

    def __init__(self, statement: ClauseElement) -> None:
        self._statement = statement

    def run(self, **values: Any) -> list[Any]:
        """Execute it in the session's transaction; `values` are those of its parameters that have none yet."""
        connection = db.session.connection()
        return self._sent(connection, connection.connection, values)

    def alone(self, **values: Any) -> list[Any]:
        """Execute it as a transaction of its own, which saves two trips to the server.

        Unless the session has begun one: then it runs in that, so whoever writes with it commits all the same.
        """
        if is_under_way():
            return self.run(**values)
        engine = db.engine
        try:
            lent = engine.raw_connection()
        except psycopg.Error as error:
            raise DBAPIError.instance(None, None, error, psycopg.Error, dialect=engine.dialect) from error
        try:
            driver: Any = lent.driver_connection
            driver.autocommit = True
            rows = self._sent(engine, lent, values)
            driver.autocommit = False
        except BaseException as error:
            told = _told(error, None, engine, lent) if isinstance(error, psycopg.Error) else error
            if lent.is_valid:
                lent.invalidate()  # in whatever state it is, nobody gets it again
            if told is error:
                raise
            raise told from error
        lent.close()
        return rows

    def _sent(self, heard: Connection | Engine, lent: PoolProxiedConnection, values: Mapping[str, Any]) -> list[Any]:
        sql, order, given, processors = self._compiled
        known = {**given, **values}
        for name, process in processors:
            known[name] = process(known[name])
        sent = [known[name] for name in order]
        driver: Any = lent.driver_connection
        cursor = psycopg.RawCursor(driver)
        for listener in heard.dispatch.before_cursor_execute:
            listener(heard, cursor, sql, sent, None, False)
        try:
            cursor.execute(sql, sent, prepare=True)
            # Not cursor.description: it makes an object of each column, each time.
            rows = cursor.fetchall() if cursor.pgresult and cursor.pgresult.nfields else []
        except psycopg.Error as error:
            raise _told(error, sql, heard, lent) from error
        for listener in heard.dispatch.after_cursor_execute:
            listener(heard, cursor, sql, sent, None, False)
        return list(map(self._named(cursor), rows)) if rows else []

    def _named(self, cursor: Any) -> Callable[[Any], Any]:
        make: Callable[[Any], Any] | None = self.__dict__.get("_make")
        if make is None:
            row = namedtuple("Row", [column.name for column in cursor.description])  # type: ignore[misc]
            make = self.__dict__["_make"] = row._make
        return make

    @cached_property
    def _compiled(self) -> tuple[str, Sequence[str], dict[str, Any], list[tuple[str, Callable[[Any], Any]]]]:
        """The statement as PostgreSQL itself reads it ($1, $2), and its parameters' names in that order.

        With names in it the driver would read it for each run, and one of over 4,096 characters from its beginning.
        """
        compiled: Any = self._statement.compile(dialect=dialect(paramstyle="numeric_dollar"))  # type: ignore[no-untyped-call]
        processors = [(name, each) for name, each in compiled._bind_processors.items() if each]
        return str(compiled), compiled.positiontup or (), dict(compiled.params), processors


def _told(
    error: psycopg.Error, sql: str | None, heard: Connection | Engine, lent: PoolProxiedConnection
) -> BaseException:
    """Return the driver's fault as SQLAlchemy's; a connection that is gone goes from the pool with all of its age."""
    gone = heard.dialect.is_disconnect(error, lent, None)  # type: ignore[arg-type]  # of the driver's interface
    if gone:
        heard.engine.pool._invalidate(lent, error)  # as SQLAlchemy itself does when its own statement finds it gone
        if isinstance(heard, Connection):
            heard.invalidate(error)
    return DBAPIError.instance(sql, None, error, psycopg.Error, connection_invalidated=gone, dialect=heard.dialect)
