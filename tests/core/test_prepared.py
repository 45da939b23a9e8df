"""Statements put together once: whose transaction they run in, and what becomes of faults and dead connections."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import bindparam, create_engine, func, insert, select, text
from sqlalchemy.exc import IntegrityError, OperationalError

from core import clock
from core.db import commit, db, is_under_way
from core.outbox import Work
from core.prepared import Prepared
from tests.client import count_queries

_work: Any = Work.__table__
COLUMNS = ("queue", "handler", "dedupe_key", "ids", "created_at", "due_at", "attempts", "fence")
PUT = Prepared(
    insert(_work)
    .values({name: bindparam(name, type_=_work.c[name].type) for name in COLUMNS})
    .returning(_work.c.id, _work.c.dedupe_key)
)
FIND = Prepared(select(_work.c.dedupe_key).where(_work.c.dedupe_key == bindparam("key")))
WHO = Prepared(select(func.pg_backend_pid().label("pid")))


def values(key: str) -> dict[str, Any]:
    now = clock.now()
    moments = {"created_at": now, "due_at": now}
    return {
        "queue": "reports",
        "handler": "x",
        "dedupe_key": key,
        "ids": {"a": 1},
        "attempts": 0,
        "fence": 0,
        **moments,
    }


def kept(app: Flask) -> list[str]:
    """Return what another connection sees."""
    with db.engine.connect() as other:
        return list(other.scalars(select(_work.c.dedupe_key).order_by(_work.c.id)))


def test_alone_it_is_a_transaction_of_its_own(app: Flask) -> None:
    db.session.commit()

    row = PUT.alone(**values("one"))[0]

    assert (row.dedupe_key, is_under_way()) == ("one", False)
    assert kept(app) == ["one"]
    assert db.session.get_one(Work, row.id).ids == {"a": 1}


def test_inside_a_transaction_it_belongs_to_that(app: Flask) -> None:
    db.session.execute(text("SELECT 1"))

    PUT.alone(**values("one"))

    assert kept(app) == []
    assert [row.dedupe_key for row in FIND.alone(key="one")] == ["one"]
    commit()
    assert kept(app) == ["one"]


def test_a_commit_of_nothing_makes_no_session(app: Flask) -> None:
    db.session.remove()

    commit()

    assert not db.session.registry.has()


def test_run_waits_for_the_session_s_commit(app: Flask) -> None:
    PUT.run(**values("one"))
    assert kept(app) == []

    db.session.rollback()

    assert kept(app) == []
    assert FIND.alone(key="one") == []


@pytest.mark.parametrize("way", ["run", "alone"])
def test_a_conflict_is_told_as_elsewhere_and_names_no_value(app: Flask, way: str) -> None:
    db.session.commit()
    PUT.alone(**values("a secret"))

    with pytest.raises(IntegrityError, match="uq_outbox_dedupe_key") as told:
        getattr(PUT, way)(**values("a secret"))

    assert told.value.params is None
    db.session.rollback()
    assert kept(app) == ["a secret"]


@pytest.mark.parametrize("way", ["run", "alone"])
def test_a_dead_connection_is_told_and_replaced(app: Flask, way: str) -> None:
    db.session.commit()
    dead = WHO.alone()[0].pid
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as other:
        while WHO.alone()[0].pid == other.scalar(text("SELECT pg_backend_pid()")):
            pass
        others = other.scalars(text("SELECT pid FROM pg_stat_activity WHERE datname = current_database()")).all()
        for pid in others:
            other.execute(text("SELECT pg_terminate_backend(:pid, 20000) WHERE :pid <> pg_backend_pid()"), {"pid": pid})

    with pytest.raises(OperationalError) as told:
        getattr(WHO, way)()
    db.session.rollback()

    assert told.value.connection_invalidated
    assert WHO.alone()[0].pid != dead


def test_who_listens_to_statements_hears_of_it(app: Flask) -> None:
    db.session.commit()

    with count_queries() as seen:
        FIND.alone(key="one")
        FIND.run(key="one")

    assert len(seen) == 2


def test_a_connection_that_was_closed_while_it_rested_is_told_and_replaced(app: Flask) -> None:
    db.session.commit()
    resting = [db.engine.raw_connection() for _ in range(3)]
    drivers: list[Any] = [lent.driver_connection for lent in resting]
    for lent in resting:
        lent.close()
    for driver in drivers:
        driver.close()

    told = 0
    for _each in range(10):  # the pool lends each that rests in turn
        try:
            WHO.alone()
        except OperationalError:
            told += 1

    assert told == 1  # the first one made the pool drop the others too
    assert WHO.alone()


def test_a_server_that_is_away_is_told(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    db.session.commit()
    away = create_engine("postgresql+psycopg://nobody@127.0.0.1:1/nowhere")
    monkeypatch.setitem(db.engines, None, away)

    with pytest.raises(OperationalError, match="refused"):
        WHO.alone()
