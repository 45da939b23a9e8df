"""Migrations meet a database that is full and in use: step by step, with rows in every table and writers at work."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from alembic.script import ScriptDirectory
from flask import Flask
from flask_migrate import upgrade
from psycopg import sql
from sqlalchemy import make_url
from sqlalchemy.exc import OperationalError

from core import db
from core.embedded import Embedded
from tests.amounts import STUCK_SECONDS
from tests.servers import BASE, ROOT, Slot, admin

FIRST = "0009"  # every room has its tables
DUMMIES = {
    "bigint": 1,
    "integer": 1,
    "smallint": 1,
    "boolean": False,
    "text": "x",
    "character varying": "x",
    "jsonb": "{}",
    "json": "{}",
    "date": "2026-03-01",
    "timestamp with time zone": "2026-03-01T12:00:00Z",
    "bytea": b"x",
    "double precision": 1.0,
    "numeric": 1,
    "ARRAY": [],
}


@pytest.fixture
def url(servers: Slot) -> Iterator[str]:
    """An empty database of its own on the tests' server."""
    embedded = Embedded(BASE, durable=False)
    urls = embedded.start()
    name = f"{make_url(servers.database_url).database}_migrated"  # each process of tests has one
    with admin(urls) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield urls.database_url.replace("/postgres?", f"/{name}?")
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
    embedded.stop()


def migrate(url: str, revision: str) -> None:
    app = Flask("migrations")
    db.init_app(app, url)
    with app.app_context():
        try:
            upgrade(directory=str(ROOT / "migrations"), revision=revision)
        finally:
            db.db.engine.dispose()


def revisions_after(first: str) -> list[str]:
    known = ScriptDirectory(str(ROOT / "migrations")).walk_revisions()
    in_order = [each.revision for each in known][::-1]
    return in_order[in_order.index(first) + 1 :]


def connect(url: str) -> psycopg.Connection[Any]:
    return psycopg.connect(url.replace("+psycopg", ""), autocommit=True)


def tables(connection: psycopg.Connection[Any]) -> list[str]:
    query = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version' ORDER BY 1"
    return [name for (name,) in connection.execute(query)]


def fill(connection: psycopg.Connection[Any], table: str, rows: int, *, start: int = 0) -> int:
    """Insert rows of any believable shape without looking at foreign keys; return how many the table took."""
    columns = connection.execute(
        "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = 'public'"
        " AND table_name = %s AND is_nullable = 'NO' AND column_default IS NULL AND is_identity = 'NO'"
        " ORDER BY ordinal_position",
        [table],
    ).fetchall()
    insert = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
        sql.Identifier(table),
        sql.SQL(", ").join(sql.Identifier(name) for name, _ in columns),
        sql.SQL(", ").join(sql.Placeholder() for _ in columns),
    )
    if not columns:
        insert = sql.SQL("INSERT INTO {} DEFAULT VALUES").format(sql.Identifier(table))
    taken = 0
    for number in range(start, start + rows):
        try:
            connection.execute(insert, [different(DUMMIES[kind], number) for _, kind in columns])
            taken += 1
        except psycopg.errors.IntegrityError:  # a constraint wants more than a dummy
            break
    return taken


def different(value: Any, number: int) -> Any:
    """Return a dummy that differs from row to row, for unique columns."""
    if isinstance(value, str) and value == "x":
        return f"x{number}"
    return number + 1 if isinstance(value, int) and not isinstance(value, bool) else value


def filled(url: str, rows: int) -> dict[str, int]:
    """Fill every table; return how many rows each took."""
    with connect(url) as connection:
        connection.execute("SET session_replication_role = replica")
        return {table: taken for table in tables(connection) if (taken := fill(connection, table, rows))}


def counts(url: str, names: Any) -> dict[str, int]:
    with connect(url) as connection:
        found = {}
        for name in names:
            row = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(name))).fetchone()
            assert row is not None
            found[name] = row[0]
        return found


@contextmanager
def writers(url: str, names: list[str]) -> Iterator[tuple[list[str], list[int]]]:
    """Read and write every table from two threads until the block ends; yield what failed and what was done."""
    failed: list[str] = []
    done: list[int] = [0, 0]
    stop = threading.Event()

    def work(number: int) -> None:
        with connect(url) as connection:
            connection.execute("SET session_replication_role = replica; SET statement_timeout = '30s'")
            while not stop.is_set():
                for name in names[number::2]:
                    try:
                        written(connection, name)
                        done[number] += 1
                    except psycopg.Error as error:
                        failed.append(f"{name}: {error}")

    threads = [threading.Thread(target=work, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    try:
        yield failed, done
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def written(connection: psycopg.Connection[Any], name: str) -> None:
    """Touch a few rows and read them, as a request of the old version does."""
    with connection.transaction():
        table = sql.Identifier(name)
        row = connection.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public' AND table_name = %s"
            " AND is_identity = 'NO' ORDER BY ordinal_position LIMIT 1",
            [name],
        ).fetchone()
        if row is None:
            return
        column = sql.Identifier(row[0])
        connection.execute(
            sql.SQL("UPDATE {0} SET {1} = {1} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {0} LIMIT 5))").format(
                table, column
            )
        )
        connection.execute(sql.SQL("SELECT {1} FROM {0} LIMIT 5").format(table, column)).fetchall()


def test_rows_of_every_room_outlive_every_migration(url: str) -> None:
    migrate(url, FIRST)
    before = filled(url, 20)

    migrate(url, "head")

    assert counts(url, before) == before
    assert len(before) >= 25, sorted(before)


@pytest.mark.slow
@pytest.mark.timeout(STUCK_SECONDS)
def test_each_migration_runs_while_its_tables_are_written_to(url: str) -> None:
    migrate(url, FIRST)
    before = filled(url, 300)

    with writers(url, list(before)) as (failed, done):
        for revision in revisions_after(FIRST):
            so_far = sum(done)
            migrate(url, revision)
            while sum(done) < so_far + len(before) // 2 and not failed:
                time.sleep(0.05)  # the writers meet what this one changed before the next comes

    assert failed == []
    assert counts(url, before) == before
    assert min(done) > len(before)


def somebody_waits(connection: psycopg.Connection[Any]) -> bool:
    query = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    return bool(connection.execute(query).fetchall())


@pytest.mark.slow
def test_a_migration_that_gets_no_lock_gives_up_and_changes_nothing(url: str) -> None:
    """Otherwise every request would queue behind it for as long as one old transaction lives."""
    migrate(url, "0009")
    with connect(url) as holding, connect(url) as watching, holding.transaction():
        holding.execute("SELECT count(*) FROM programme")
        began = time.monotonic()

        with ThreadPoolExecutor(1) as pool:
            migrating = pool.submit(migrate, url, "0010")
            while not (waited := somebody_waits(watching)) and not migrating.done():
                time.sleep(0.02)

        assert waited  # it does not give up at once

        with pytest.raises(OperationalError, match="lock timeout"):
            migrating.result()
        assert time.monotonic() - began >= 4

    migrate(url, "0010")
