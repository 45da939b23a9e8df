"""Two problems that Northwind works on: one that something was changed about, and one that somebody looks into."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from cli.northwind.house import House
from core.db import new_public_id
from feedback import problems
from feedback.problems import ProblemData

LESS_SINCE: Final = {"refund-stuck": timedelta(days=29)}
"""Causes that hardly any case has had since."""


def begin(house: House, *, now: datetime) -> None:
    """Open both in the caller's transaction."""
    refunds = problems.begin(
        ProblemData(
            title="Refunds are stuck for days",
            touchpoint=house.touchpoints["return"],
            cause=house.causes["refund-stuck"],
            owner=house.staff["Sofia"],
            known="The bank took our file once a day. A refund that was booked after noon waited for the next one, "
            "and over a weekend for Monday’s.",
            tell="Refunds are with the bank the same day now. Older ones can be looked up in the bank’s list.",
        ),
        form_key=new_public_id(),
        by=house.staff["Sofia"],
        now=now - timedelta(days=36),
    )
    day = (now - LESS_SINCE["refund-stuck"]).date()
    problems.act(
        refunds,
        "The bank’s file leaves every two hours",
        on=day,
        today=now.date(),
        form_key=new_public_id(),
        by=house.staff["Sofia"],
        now=now - LESS_SINCE["refund-stuck"],
    )
    problems.begin(
        ProblemData(
            title="Nobody calls back",
            touchpoint=house.touchpoints["call-centre"],
            cause=house.causes["no-call-back"],
            owner=house.staff["Daniel"],
            known="Call-backs that are agreed on by phone are on paper, and the next shift does not see them.",
            tell="Please promise the call on the case, so that it is on the desk.",
        ),
        form_key=new_public_id(),
        by=house.staff["Sofia"],
        now=now - timedelta(days=4),
    )
