"""The PostgreSQL and Valkey that tests run on: one pair for all pytest processes of this checkout, a place in each.

A process takes the first free slot (a flock, which the kernel drops with the process). A slot's number names its
database, copied from a template that is migrated once per state of migrations/, and its Redis database. What a killed
run left goes when its slot is taken again.
"""

import fcntl
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import psycopg
import redis
from flask import Flask
from flask_migrate import upgrade
from psycopg import sql

from core import db
from core.embedded import REDIS_DATABASES, Embedded, Urls

ROOT: Final = Path(__file__).parents[1]
BASE: Final = ROOT / "var" / "test"


@dataclass(frozen=True)
class Slot:
    """A database and a Redis of one's own, empty and migrated."""

    database_url: str
    redis_url: str


@contextmanager
def slot() -> Iterator[Slot]:
    """Lend a slot until the block ends."""
    servers = Embedded(BASE, durable=False)
    urls = servers.start()
    number, lock = _free_slot(servers.base)
    name = f"amends_test_{number}"
    mine = Slot(database_url=_url_of(urls, name), redis_url=f"{urls.redis_url}?db={number}")
    with lock:
        _flush(mine)
        _copy_template(urls, name, base=servers.base)
        yield mine
        _drop(urls, name)
    servers.stop()


def admin(urls: Urls) -> "psycopg.Connection[tuple[object, ...]]":
    """Return a connection that may create and drop databases."""
    return psycopg.connect(urls.database_url.replace("+psycopg", ""), autocommit=True)


def _free_slot(base: Path) -> tuple[int, IO[str]]:
    for number in range(1, REDIS_DATABASES):
        lock = (base / f"slot-{number}.lock").open("a")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
        else:
            return number, lock
    raise RuntimeError(f"All {REDIS_DATABASES - 1} slots of {base} are in use; wait for another test run to end.")


def _copy_template(urls: Urls, name: str, *, base: Path) -> None:
    """Create the database `name` as a copy of the migrated template, which is made first if migrations/ changed."""
    template = f"amends_template_{_state_of_migrations()}"
    with (base / "template.lock").open("a") as lock, admin(urls) as connection:
        fcntl.flock(lock, fcntl.LOCK_EX)
        known = _names(connection, "amends_template_%")
        if template not in known:
            _make_template(urls, template, connection=connection)
        for old in [*(known - {template}), name]:
            _execute(connection, "DROP DATABASE IF EXISTS {} WITH (FORCE)", old)
        _execute(connection, "CREATE DATABASE {} TEMPLATE {}", name, template)


def _make_template(urls: Urls, template: str, *, connection: psycopg.Connection) -> None:
    # Migrated under another name: a run that dies half way leaves no template behind.
    unfinished = "amends_unfinished"
    _execute(connection, "DROP DATABASE IF EXISTS {} WITH (FORCE)", unfinished)
    _execute(connection, "CREATE DATABASE {}", unfinished)
    _migrate(_url_of(urls, unfinished))
    _execute(connection, "ALTER DATABASE {} RENAME TO {}", unfinished, template)


def _migrate(database_url: str) -> None:
    """Run the migrations in an application that has nothing but the database."""
    app = Flask("migrations")
    db.init_app(app, database_url)
    with app.app_context():
        upgrade(directory=str(ROOT / "migrations"))
        db.db.engine.dispose()


def _state_of_migrations() -> str:
    files = sorted((ROOT / "migrations" / "versions").glob("*.py"))
    return hashlib.sha256(b"".join(file.name.encode() + file.read_bytes() for file in files)).hexdigest()[:12]


def _names(connection: psycopg.Connection, pattern: str) -> set[str]:
    rows = connection.execute("SELECT datname FROM pg_database WHERE datname LIKE %s", [pattern]).fetchall()
    return {row[0] for row in rows}


def _drop(urls: Urls, name: str) -> None:
    with admin(urls) as connection:
        _execute(connection, "DROP DATABASE IF EXISTS {} WITH (FORCE)", name)


def _execute(connection: psycopg.Connection, statement: str, *names: str) -> None:
    connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


def _url_of(urls: Urls, database: str) -> str:
    return urls.database_url.replace("/postgres?", f"/{database}?")


def _flush(mine: Slot) -> None:
    with redis.Redis.from_url(mine.redis_url) as connection:
        connection.flushdb()
