"""Many rows in one statement with one parameter: a driver spends most of its time on statements with 20,000 of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from functools import cache
from typing import Any, TypeVar, cast

from sqlalchemy import BigInteger, Table, Text, any_, literal, select, text
from sqlalchemy.dialects.postgresql import ARRAY

from core.db import Model, db
from core.prepared import Prepared

Made = TypeVar("Made", bound=Model)


def insert_many(
    model: type[Model],
    rows: Sequence[Mapping[str, Any]],
    *,
    unless: str = "",
    otherwise: str = "NOTHING",
    returning: Sequence[str] = (),
) -> Sequence[Any]:
    """Insert the rows in their order, filled up with the columns' defaults; return the columns asked for of new rows.

    `unless` is the target of ON CONFLICT … DO `otherwise` as SQL has it, such as "(reason)"; without it a conflict
    raises.
    """
    if not rows:
        return []
    return _inserting(model, _given(model, rows), unless, otherwise, tuple(returning)).run(rows=_sent(model, rows))


def insert_all(
    model: type[Made], rows: Sequence[Mapping[str, Any]], *, unless: str = "", otherwise: str = "NOTHING"
) -> Sequence[Made]:
    """Insert the rows as insert_many does, and return them whole: the new ones, and those that were updated."""
    if not rows:
        return []
    made = _making(model, _given(model, rows), unless, otherwise)
    return db.session.scalars(made, {"rows": _sent(model, rows)}, execution_options={"populate_existing": True}).all()


def among(ids: Iterable[int]) -> Any:
    """Return what a column of ids is compared with to be one of many: one parameter, however many they are."""
    return any_(literal(list(ids), ARRAY(BigInteger)))


def among_texts(values: Iterable[str]) -> Any:
    """Return what a text column is compared with to be one of many: one parameter, however many they are."""
    return any_(literal(list(values), ARRAY(Text)))


@cache
def _inserting(
    model: type[Model], given: frozenset[str], unless: str, otherwise: str, returning: tuple[str, ...]
) -> Prepared:
    returned = " RETURNING " + ", ".join(f'"{name}"' for name in returning) if returning else ""
    return Prepared(text(_statement(model, given, unless, otherwise) + returned))


@cache
def _making(model: type[Made], given: frozenset[str], unless: str, otherwise: str) -> Any:
    return select(model).from_statement(text(_statement(model, given, unless, otherwise) + " RETURNING *"))


def _statement(model: type[Model], given: frozenset[str], unless: str, otherwise: str) -> str:
    table = cast(Table, model.__table__)
    names = ", ".join(f'"{column.name}"' for column in table.columns if column.name in given)
    statement = f'INSERT INTO "{table.name}" ({names}) SELECT {names} '  # names of our own tables
    statement += f'FROM json_populate_recordset(CAST(NULL AS "{table.name}"), CAST(:rows AS json))'
    return statement + (f" ON CONFLICT {unless} DO {otherwise}" if unless else "")


def _given(model: type[Model], rows: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    return frozenset().union(_defaults(model), *rows)


def _sent(model: type[Model], rows: Sequence[Mapping[str, Any]]) -> str:
    defaults = _defaults(model)
    filled = [{**{name: _made(each) for name, each in defaults.items() if name not in row}, **row} for row in rows]
    return json.dumps(filled, default=_plain, ensure_ascii=False)


@cache
def _defaults(model: type[Model]) -> Mapping[str, Any]:
    columns = cast(Table, model.__table__).columns
    return {each.name: each.default for each in columns if each.default is not None and each.server_default is None}


def _made(default: Any) -> Any:
    return default.arg(None) if default.is_callable else default.arg


def _plain(value: object) -> str:
    """Return a moment as PostgreSQL reads it; a naive one is a programming error, as in core.db.Moment."""
    if not isinstance(value, date) or getattr(value, "tzinfo", value) is None:
        raise TypeError(f"{value!r} cannot be stored.")
    return value.isoformat()
