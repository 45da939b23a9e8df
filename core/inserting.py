"""Many rows in one statement with one parameter: a driver spends most of its time on statements with 20,000 of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any, TypeVar, cast

from sqlalchemy import BigInteger, Column, Row, Table, any_, literal, select, text
from sqlalchemy.dialects.postgresql import ARRAY

from core.db import Model, db

Made = TypeVar("Made", bound=Model)


def insert_many(
    model: type[Model],
    rows: Sequence[Mapping[str, Any]],
    *,
    unless: str = "",
    otherwise: str = "NOTHING",
    returning: Sequence[str] = (),
) -> Sequence[Row[Any]]:
    """Insert the rows in their order, filled up with the columns' defaults; return the columns asked for of new rows.

    `unless` is the target of ON CONFLICT … DO `otherwise` as SQL has it, such as "(reason)"; without it a conflict
    raises.
    """
    if not rows:
        return []
    statement, sent = _inserting(model, rows, unless, otherwise)
    statement += " RETURNING " + ", ".join(f'"{name}"' for name in returning) if returning else ""
    result = db.session.execute(text(statement), sent)
    return result.all() if returning else []


def insert_all(
    model: type[Made], rows: Sequence[Mapping[str, Any]], *, unless: str = "", otherwise: str = "NOTHING"
) -> Sequence[Made]:
    """Insert the rows as insert_many does, and return them whole: the new ones, and those that were updated."""
    if not rows:
        return []
    statement, sent = _inserting(model, rows, unless, otherwise)
    made = select(model).from_statement(text(f"{statement} RETURNING *"))
    return db.session.scalars(made, sent, execution_options={"populate_existing": True}).all()


def among(ids: Iterable[int]) -> Any:
    """Return what a column of ids is compared with to be one of many: one parameter, however many they are."""
    return any_(literal(list(ids), ARRAY(BigInteger)))


def _inserting(
    model: type[Model], rows: Sequence[Mapping[str, Any]], unless: str, otherwise: str
) -> tuple[str, dict[str, Any]]:
    table = cast(Table, model.__table__)
    defaults = {column.name: cast(Any, column.default) for column in table.columns if _default(column)}
    given = defaults.keys() | {name for row in rows for name in row}
    names = ", ".join(f'"{column.name}"' for column in table.columns if column.name in given)
    filled = [{**{name: _made(each) for name, each in defaults.items() if name not in row}, **row} for row in rows]
    statement = f'INSERT INTO "{table.name}" ({names}) SELECT {names} '  # names of our own tables
    statement += f'FROM json_populate_recordset(CAST(NULL AS "{table.name}"), CAST(:rows AS json))'
    statement += f" ON CONFLICT {unless} DO {otherwise}" if unless else ""
    return statement, {"rows": json.dumps(filled, default=_plain, ensure_ascii=False)}


def _default(column: Column[Any]) -> bool:
    return column.default is not None and column.server_default is None


def _made(default: Any) -> Any:
    return default.arg(None) if default.is_callable else default.arg


def _plain(value: object) -> str:
    """Return a moment as PostgreSQL reads it; a naive one is a programming error, as in core.db.Moment."""
    if not isinstance(value, date) or getattr(value, "tzinfo", value) is None:
        raise TypeError(f"{value!r} cannot be stored.")
    return value.isoformat()
