"""`insights recount`: make the counts that pages read anew from the rows, for a span of days."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import click
from flask.cli import AppGroup
from sqlalchemy import select

from core import clock
from core.db import db
from customers.models import Brand
from insights import happenings, rates, rollups, silence

group = AppGroup("insights", help="The counts behind the figures.")
DAY = click.DateTime(["%Y-%m-%d"])


def newest_day(now: datetime) -> date:
    """Return the last day that has begun for any brand: where the sun rises first it is tomorrow already."""
    zones = db.session.scalars(select(Brand.zone).distinct())
    return max((now.astimezone(ZoneInfo(zone)).date() for zone in zones), default=now.date())


@group.command("recount")
@click.option("--from", "first", type=DAY, required=True, help="The first day, such as 2026-01-01.")
@click.option("--to", "last", type=DAY, help="The last day; today, in the brands' own zones, where it is left out.")
def recount(first: datetime, last: datetime | None) -> None:
    """Count every day of a span anew, each in a transaction of its own; again changes nothing.

    After an upgrade that counts something new, and after the clock process was away for longer than a day.
    """
    now = clock.now()
    day, end = first.date(), last.date() if last else newest_day(now)
    if day > end:
        raise click.BadParameter("It comes after --to." if last else "It comes after today.", param_hint="--from")
    counted = 0
    while day <= end:
        rollups.rebuild(day)
        silence.recount(day, day, now=now)
        rates.recount(day, day)
        happenings.recount(day, day)
        db.session.commit()
        day, counted = day + timedelta(days=1), counted + 1
        if counted % 30 == 0:
            click.echo(f"{day - timedelta(days=1)}: {counted} days counted.")
    click.echo(f"Done: {counted} days counted anew.")
