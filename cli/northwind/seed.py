"""Writing Northwind's house and year into an empty database."""

from __future__ import annotations

from datetime import timedelta

from cli.northwind import house, problems
from cli.northwind.year import DAYS, Year
from core import clock
from core.db import db
from insights import happenings, rates, rollups, silence


def write(*, interactions: int, password: str) -> int:
    """Write everything and commit once; then take the answers into the roll-ups. Return how many rows were copied."""
    now = clock.now()
    northwind = house.build(password=password, now=now)
    problems.begin(northwind, now=now)
    written = Year(northwind, interactions=interactions, now=now).write()
    db.session.commit()
    while rollups.fold(now=now):
        db.session.commit()
    first, last = (now - timedelta(days=DAYS + 30)).date(), (now + timedelta(days=1)).date()
    rates.recount(first, last)
    happenings.recount(first, last)
    silence.recount(first, last, now=now)
    db.session.commit()
    return written
