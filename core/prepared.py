"""Statements that are put together once: for what runs with every answer, building one costs more than executing it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from sqlalchemy import ClauseElement, Connection, CursorResult
from sqlalchemy.dialects.postgresql.psycopg import dialect

from core.db import db


class Prepared:
    """A Core statement of tables, with a `bindparam` for each value and no `in_`; compiled at its first run.

    It runs in the session's transaction, and values pass through their columns' types as usual. Rows come as the driver
    gives them. psycopg lets the server keep its plan after some runs.
    """

    def __init__(self, statement: ClauseElement) -> None:
        self._statement = statement

    def run(self, **values: Any) -> CursorResult[Any]:
        """Execute it; `values` are those of its parameters that have no value of their own."""
        return self._sent(db.session.connection(), values)

    def look(self, **values: Any) -> CursorResult[Any]:
        """Execute it outside a transaction, for pages that never write: it saves two trips to the server."""
        session = db.session()
        if session.in_transaction():
            return self._sent(session.connection(), values)
        return self._sent(session.connection(execution_options={"isolation_level": "AUTOCOMMIT"}), values)

    def _sent(self, connection: Connection, values: Mapping[str, Any]) -> CursorResult[Any]:
        sql, given, processors = self._compiled
        sent = {**given, **values}
        for name, process in processors:
            sent[name] = process(sent[name])
        return connection.exec_driver_sql(sql, sent)

    @cached_property
    def _compiled(self) -> tuple[str, dict[str, Any], list[tuple[str, Callable[[Any], Any]]]]:
        compiled = self._statement.compile(dialect=dialect())  # type: ignore[no-untyped-call]
        processors = compiled._bind_processors  # type: ignore[attr-defined]  # of SQLCompiler
        return str(compiled), dict(compiled.params), [(name, each) for name, each in processors.items() if each]
