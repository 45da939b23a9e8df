"""Refused rows of imports that quote somebody who is erased are emptied behind the request, some at a time."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select

from core import clock
from core.db import db
from core.outbox import Work
from customers import erasure, refusals, sought
from customers.models import Customer, ImportRefusal, ImportRun, RefusalSearch
from customers.refusals import INSTEAD
from tests.client import count_queries
from tests.customers.full_life import work_off
from tests.factories import make_customer

NAMED = "“Hanna Weiß-Öz” is no day."


@pytest.fixture
def run(app: Flask) -> ImportRun:
    run = ImportRun(
        kind="responses", file_name="f.csv", file_sha256="0" * 64, mapping={}, by="system", started_at=clock.now()
    )
    db.session.add(run)
    db.session.flush()
    return run


def refuse(run: ImportRun, *reasons: str) -> None:
    db.session.add_all([ImportRefusal(import_id=run.id, line=2, column="Id", reason=reason) for reason in reasons])
    db.session.commit()


def reasons() -> list[str]:
    return [*db.session.scalars(select(ImportRefusal.reason).order_by(ImportRefusal.id))]


def erase(customer: Customer) -> None:
    erasure.erase(customer, by="system", now=clock.now())
    db.session.commit()
    db.session.expire_all()


def hanna() -> Customer:
    return make_customer(
        name="Hanna Weiß-Öz", email="Hanna@shop.example", external_id="#NW-77/1", phone="+494055504471"
    )


@pytest.mark.parametrize(
    ("reason", "is_hers"),
    [
        (NAMED, True),
        ("'HANNA@SHOP.EXAMPLE' is not an e-mail address.", True),
        ("#NW-77/1", True),
        ("Ring +494055504471, please", True),
        ("'hanna@shop.example.org'", True),  # a full stop ends a word
        ("xhanna@shop.example", False),
        ("'#NW-77/12' is no number", False),
        ("Ring +4940555044710, please", False),
        ("Hanna is no day", False),
        ("", False),
    ],
)
def test_a_word_of_theirs_empties_what_quotes_it_as_a_whole(run: ImportRun, reason: str, is_hers: bool) -> None:
    refuse(run, reason)

    erase(hanna())
    work_off()

    assert reasons() == [INSTEAD if is_hers else reason]


def test_a_key_that_was_changed_meanwhile_still_finds_them(run: ImportRun, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(run, NAMED)
    old = sought._keys()
    erase(hanna())

    monkeypatch.setattr(sought, "_keys", lambda: [b"new", *old])
    work_off()

    assert reasons() == [INSTEAD]


def test_erasing_reads_no_refused_row_and_the_work_some_at_a_time(
    run: ImportRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals, "BATCH", 10)
    refuse(run, *([NAMED] + ["Nobody."] * 9) * 3)
    customer = hanna()
    db.session.commit()

    with count_queries() as queries:
        erase(customer)
    assert not [each for each in queries if "import_refusal.reason" in each]
    assert reasons().count(NAMED) == 3

    work_off()
    assert reasons().count(INSTEAD) == 3
    done = select(func.count()).select_from(Work).where(Work.handler == "refusals.search", Work.done_at.is_not(None))
    assert db.session.scalar(done) == 4


def test_what_an_import_refuses_at_that_moment_is_found_a_little_later_and_then_nothing_is_kept(run: ImportRun) -> None:
    refuse(run, "Nobody.")
    erase(hanna())
    work_off()
    refuse(run, NAMED)
    assert db.session.scalar(select(func.count()).select_from(RefusalSearch)) == 1

    with clock.moved(timedelta(minutes=11)):
        work_off()

    assert reasons() == ["Nobody.", INSTEAD]
    assert db.session.scalar(select(func.count()).select_from(RefusalSearch)) == 0
