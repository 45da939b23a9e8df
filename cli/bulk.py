"""Writing many rows with COPY, for the demo's year and benchmarks: ids are given out here, so that rows can refer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb
from sqlalchemy import Column, func, select
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from core.db import Base, db


class Bulk:
    """Collects rows by table and copies them, tables that others refer to first.

    Not for a running system: ids are taken above the highest there, and the sequences moved behind them at the end.
    """

    def __init__(self) -> None:
        self._rows: dict[type[Base], list[dict[str, Any]]] = defaultdict(list)
        self._next: dict[type[Base], int] = {}

    def add(self, model: type[Base], **values: Any) -> int:
        """Collect one row and return its id (0 for a table without one)."""
        row_id = self._take_id(model) if "id" in model.__table__.c else 0
        self._rows[model].append({"id": row_id, **values} if row_id else values)
        return row_id

    def rows(self, model: type[Base]) -> list[dict[str, Any]]:
        """Return the collected rows of a table; changing one before `copy` changes what is written."""
        return self._rows[model]

    def copy(self) -> int:
        """Write everything collected, in the session's transaction, and forget it; return the number of rows."""
        connection: Any = db.session.connection().connection.driver_connection
        written = 0
        for model in sorted(self._rows, key=_place):
            rows = self._rows[model]
            columns = _columns(model)
            head = sql.SQL("COPY {} ({}) FROM STDIN").format(
                sql.Identifier(str(model.__tablename__)),
                sql.SQL(", ").join(sql.Identifier(column.name) for column in columns),
            )
            with connection.cursor() as cursor, cursor.copy(head) as copy:
                for row in rows:
                    copy.write_row([_value(column, row) for column in columns])
            written += len(rows)
        for model in self._next:
            _move_sequence(model)
        self._rows.clear()
        self._next.clear()
        return written

    def _take_id(self, model: type[Base]) -> int:
        if model not in self._next:
            self._next[model] = (db.session.scalar(select(func.max(model.__table__.c.id))) or 0) + 1
        row_id = self._next[model]
        self._next[model] += 1
        return row_id


def _place(model: type[Base]) -> int:
    return db.metadata.sorted_tables.index(model.__table__)  # type: ignore[arg-type]  # a table, not a join


def _columns(model: type[Base]) -> list[Column[Any]]:
    return [column for column in _all_columns(model) if column.server_default is None or column.identity is not None]


def _all_columns(model: type[Base]) -> Iterator[Column[Any]]:
    yield from model.__table__.columns  # type: ignore[misc]  # a table's columns, not a join's


def _value(column: Column[Any], row: dict[str, Any]) -> Any:
    value = row.get(column.name)
    if value is None and column.name not in row and column.default is not None:
        default = column.default
        value = default.arg(None) if default.is_callable else default.arg  # type: ignore[attr-defined]
    if value is not None and isinstance(column.type, JSONB):
        return Jsonb(value)
    if value is not None and isinstance(column.type, ARRAY):
        return list(value)
    return value


def _move_sequence(model: type[Base]) -> None:
    table = model.__table__
    sequence = func.pg_get_serial_sequence(f'"{model.__tablename__}"', "id")
    db.session.execute(select(func.setval(sequence, select(func.max(table.c.id)).scalar_subquery())))
