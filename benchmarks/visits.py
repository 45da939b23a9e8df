"""Customers who answer: links made beforehand, and the requests of the product's and the yardstick's customers.

Fifteen of a hundred answers are unhappy: they say what went wrong, in words, and most ask to be rung.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from random import Random
from typing import Any
from urllib.parse import urlencode

from flask import Flask

from benchmarks import load
from benchmarks.ground import Ground, Process
from benchmarks.load import Run, Visit
from cli.bulk import Bulk
from cli.northwind import house
from core import clock, tokens
from core.db import db, new_public_id
from customers.models import Brand, Customer, Interaction, Touchpoint
from surveys import versions
from surveys.models import Invitation, InvitationState, Survey

UNHAPPY_PERCENT = 15
WORDS = "I was cut off after 24 minutes and nobody rang me back. Please look into it, I need an answer this week."
PRAISE = "Quick, kind and to the point. Thank you for the call back on the same day."
_numbers = count(1)


@dataclass(frozen=True)
class Answer:
    """What one customer says, as the product's form and as the yardstick's."""

    product: Sequence[tuple[str, str]]
    floor: Sequence[tuple[str, str]]
    is_unhappy: bool


def build_house() -> None:
    """Write Northwind's house: brand, journey, survey, policies, staff; nobody met them yet. Commits."""
    house.build(password="northwind-bench", now=clock.now())
    db.session.commit()


def make_links(wanted: int, *, survey_id: int | None = None, version_id: int | None = None) -> list[str]:
    """Return the tokens of so many invitations that were sent and not answered, each of a customer of its own."""
    now = clock.now()
    brand = db.session.query(Brand).one()
    touchpoint = db.session.query(Touchpoint).filter_by(key="call-centre").one()
    if survey_id is None:
        survey_id = db.session.query(Survey.id).filter_by(key=brand.main_survey_key).scalar()
        version_id = versions.current(survey_id).id
    bulk, found = Bulk(), []
    for _ in range(wanted):
        number = next(_numbers)
        customer = bulk.add(
            Customer,
            public_id=new_public_id(),
            external_id=f"bench-{number}",
            name=f"Hanna Keller {number}",
            email=f"hanna.{number}@customers.example",
            phone=f"+4930{number:09d}",
            language="en",
            created_at=now,
        )
        interaction = bulk.add(
            Interaction,
            public_id=new_public_id(),
            touchpoint_id=touchpoint.id,
            customer_id=customer,
            reference=f"call-{number}",
            occurred_at=now - timedelta(hours=3),
            channel="phone",
            attributes={},
            received_at=now,
        )
        public_id = new_public_id()
        bulk.add(
            Invitation,
            public_id=public_id,
            survey_id=survey_id,
            version_id=version_id,
            interaction_id=interaction,
            touchpoint_id=touchpoint.id,
            customer_id=customer,
            channel="email",
            language="en",
            state=InvitationState.SENT,
            created_at=now,
            send_at=now,
            sent_at=now,
            expires_at=now + timedelta(days=30),
            partial={},
        )
        found.append(tokens.sign("survey", public_id))
    bulk.copy()
    db.session.commit()
    return found


def answers(wanted: int) -> Iterator[Answer]:
    """Yield the same mix every time: 15 % unhappy, 25 % passive, 60 % promoters."""
    dice = Random(7)
    for place in range(wanted):
        if (place * 37 + 11) % 100 < UNHAPPY_PERCENT:
            score, words = dice.randint(0, 6), WORDS
            more = [("why", "cut_off"), ("why", "not_solved"), ("comment", WORDS)]
            more.append(("contact", dice.choice(("phone", "phone", "email", "none"))))
        elif place % 100 < 40:
            score, words = dice.randint(7, 8), ""
            more = []
        else:
            score, words = dice.randint(9, 10), PRAISE
            more = [("comment_top", PRAISE)]
        floor = [("nps", str(score)), ("csat", str(1 + score * 4 // 10)), ("comment", words)]
        yield Answer([("nps", str(score)), *more], floor, score <= 6)


def submits(links: Sequence[str]) -> list[Visit]:
    return [[load.post(f"/s/{link}", said.product)] for link, said in zip(links, answers(len(links)), strict=True)]


def pages(links: Sequence[str]) -> list[Visit]:
    return [[load.get(f"/s/{link}")] for link in links]


def flows(links: Sequence[str], *, thanks: bool = True) -> list[Visit]:
    """The page, the answer, and the thank-you page to which the answer leads."""
    return [
        [page[0], answer[0], *([load.get(f"/s/{link}/thanks")] if thanks else [])]
        for link, page, answer in zip(links, pages(links), submits(links), strict=True)
    ]


def floor_pages(wanted: int) -> list[Visit]:
    return [[load.get("/hello")]] * wanted


def floor_submits(wanted: int) -> list[Visit]:
    return [[load.post("/insert", said.floor)] for said in answers(wanted)]


def floor_flows(wanted: int) -> list[Visit]:
    return [[load.get("/page"), _answer_of(said)] for said in answers(wanted)]


def _answer_of(said: Answer) -> Any:
    fields = urlencode(said.floor).encode()

    def made(page: bytes) -> bytes:
        start = page.index(b"value='") + 7
        token = page[start : page.index(b"'", start)]
        return load.sent("/flow", fields + b"&token=" + token, "application/x-www-form-urlencoded")

    return made


class Counted:
    """Rows counted before and after runs, against the answers that were acknowledged."""

    def __init__(self, ground: Ground, database: str, table: str) -> None:
        self.connection = ground.connect(database)
        self.query = f"SELECT count(*) FROM {table}"  # noqa: S608  # a constant of ours
        self.before = self._count()

    def check(self, acknowledged: int) -> None:
        """Raise AssertionError unless there is exactly one row for each acknowledged answer."""
        kept = self._count() - self.before
        assert kept == acknowledged, f"{acknowledged} answers were acknowledged, {kept} rows are there: {self.query}"
        self.before += kept

    def _count(self) -> int:
        row = self.connection.execute(self.query).fetchone()
        return int(row[0]) if row else 0


def send(process: Process, visits: Sequence[Visit], *, expected: set[int]) -> Run:
    """Run visits; every answer must have an expected status."""
    run = load.run(process.port, visits)
    assert set(run.statuses) <= expected, f"unexpected statuses: {dict(run.statuses)}; see {process.log}"
    return run


def prepare(ground: Ground, name: str) -> Flask:
    """Return the application on a new database with a house in it."""
    app = ground.app(ground.database(name))
    with app.app_context():
        build_house()
    return app


def settle(ground: Ground, database: str) -> None:
    """Take statistics of new rows. No CHECKPOINT: the run after one writes each page it touches whole."""
    with ground.connect(database) as connection:
        connection.execute("ANALYZE")


def links_for(app: Flask, wanted: int) -> list[str]:
    with app.app_context():
        found = make_links(wanted)
        db.session.remove()
        db.engine.dispose()
    return found
