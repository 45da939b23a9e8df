"""The database: one declarative base, column types that carry their meaning, conventions for names of constraints."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterable
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any, cast

from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Date,
    DateTime,
    Identity,
    MetaData,
    Text,
    TypeDecorator,
    event,
    literal_column,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Dialect, Engine
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError, IntegrityError
from sqlalchemy.orm import DeclarativeBase, mapped_column, registry
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

PUBLIC_ID_BYTES = 16
_PUBLIC_ID = re.compile(r"[A-Za-z0-9_-]{22}")
RESTED_SECONDS = 1.0  # a pooled connection that was not used for so long is asked whether it lives


def new_public_id() -> str:
    """Return 22 random URL-safe characters (128 bits): they show neither order nor time."""
    return secrets.token_urlsafe(PUBLIC_ID_BYTES)


def is_public_id(text: str) -> bool:
    """Whether a text from an address can name a row at all; some, such as one with NUL, PostgreSQL refuses to read."""
    return _PUBLIC_ID.fullmatch(text) is not None


def row_id(text: str) -> int:
    """Read a row's id from an address, as the `type` of a query argument; raises ValueError for what can be none."""
    number = int(text)
    if not 0 < number < 2**63:
        raise ValueError(f"{number} is no row's id.")
    return number


class Moment(TypeDecorator[datetime]):
    """An aware moment, stored as timestamptz; a naive one is a programming error and refused before it is stored."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("A naive datetime cannot be stored; give it a zone.")
        return value


Id = Annotated[int, mapped_column(BigInteger, Identity(), primary_key=True)]
PublicId = Annotated[str, mapped_column(Text, unique=True, default=new_public_id)]
Json = Annotated[dict[str, Any], mapped_column(JSONB, default=dict)]


class Base(DeclarativeBase):
    registry = registry(
        metadata=MetaData(
            naming_convention={
                "ix": "ix_%(table_name)s_%(column_0_N_name)s",
                "uq": "uq_%(table_name)s_%(column_0_N_name)s",
                "ck": "ck_%(table_name)s_%(constraint_name)s",
                "fk": "fk_%(table_name)s_%(column_0_N_name)s",
                "pk": "pk_%(table_name)s",
            }
        ),
        type_annotation_map={
            datetime: Moment,
            date: Date,
            str: Text,
            int: BigInteger,
            dict[str, Any]: JSONB,
        },
    )


db = SQLAlchemy(model_class=Base, session_options={"expire_on_commit": False})
migrate = Migrate(db=db, directory="migrations")

if TYPE_CHECKING:
    Model = Base
else:
    Model = db.Model  # what models derive from; the same class, with the session's query knowledge


def init_app(app: Flask, database_url: str) -> None:
    app.config.setdefault("SQLALCHEMY_DATABASE_URI", database_url)
    app.config.setdefault(
        "SQLALCHEMY_ENGINE_OPTIONS",
        {"pool_size": 5, "max_overflow": 15},
    )
    db.init_app(app)
    with app.app_context():
        _check_rested(db.engine)
    migrate.init_app(app)


def _check_rested(engine: Engine) -> None:
    """Ask connections that rested whether they still live, before they are lent; the pool replaces those that do not.

    Asking each time (`pool_pre_ping`) would cost every request one more trip to the server. When the server restarts
    under load, the first connection that dies in use makes the pool drop all of its age.
    """

    @event.listens_for(engine, "checkin")
    def note(_connection: DBAPIConnection | None, record: ConnectionPoolEntry) -> None:
        record.info["rests_since"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def check(connection: DBAPIConnection, record: ConnectionPoolEntry, _lent: PoolProxiedConnection) -> None:
        since = record.info.get("rests_since")
        if since is None or time.monotonic() - since < RESTED_SECONDS:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise DisconnectionError from error


def written(column: Any, values: Iterable[str]) -> ColumnElement[bool]:
    """Return the condition that a column has one of our own constants, which then stand in the statement itself.

    A partial index is used only where the statement says what the index says: as parameters, PostgreSQL knows the
    values too late for a plan that it keeps. For a boolean, `~column` says it; `IS false` is something else to it.
    """
    return cast("ColumnElement[bool]", column.in_([literal_column(f"'{value}'") for value in values]))


def is_under_way() -> bool:
    """Whether this request or job has begun a transaction in its session."""
    return db.session.registry.has() and db.session().in_transaction()


def commit() -> None:
    """Commit the session's transaction, if one was begun: a request that needed none makes no session for it."""
    if is_under_way():
        db.session.commit()


def constraint_of(error: IntegrityError) -> str | None:
    """Return the name of the constraint an IntegrityError tells of, so that a rule can map it to its refusal."""
    diagnostic = getattr(error.orig, "diag", None)
    return getattr(diagnostic, "constraint_name", None)
