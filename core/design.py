"""The living style guide at /design: each part of the pages in each state, to look at and test. Not in production."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from flask import Blueprint, render_template
from wtforms import BooleanField, Form, RadioField, SelectField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired

from core import access, charts, fields, formats

blueprint = Blueprint("design", __name__)
NOW = datetime(2025, 11, 13, 13, 10, tzinfo=UTC)


@blueprint.get("/design")
@access.mailbox
def design() -> str:
    """Show every part of the staff pages."""
    return render_template("components.html", now=NOW, form=_form(), frame=FRAME, **_drawings())


@blueprint.get("/design/public")
@access.mailbox
def public_design() -> str:
    """Show every part of the customers' pages."""
    return render_template("components_public.html", now=NOW, form=_form(), brand=BRAND)


class _Form(Form):
    what = StringField("What we will do", [InputRequired()])
    by = StringField("By when", [InputRequired()])
    via = RadioField(
        "How should we reach you?",
        choices=[
            SelectChoice("phone", "Ring me"),
            SelectChoice("email", "E-mail me"),
            SelectChoice("sms", "Send me a text"),
        ],
    )
    why = fields.CheckboxesField(
        "What went wrong?",
        choices=[SelectChoice("late", "It arrived late"), SelectChoice("rude", "Nobody could decide")],
    )
    words = TextAreaField("Tell us in your own words", description="A person reads this.")
    cause = SelectField(
        "Root cause", choices=[SelectChoice("courier", "Courier damage"), SelectChoice("stock", "Not in stock")]
    )
    tell = BooleanField("Tell Hanna by text now", description="She sees it on her case page either way")


def _form() -> _Form:
    form = _Form(
        data={
            "what": "Ring Hanna once the poles have arrived",
            "by": "Sun 16 Nov 11:00",
            "via": "phone",
            "why": ["late"],
            "tell": True,
        }
    )
    form.by.errors = ("Choose a time on a working day, for example Fri 11:00",)
    return form


def _drawings() -> dict[str, Any]:
    values = [27, 28, 28, 30, 31, 32, 33, 35, 36, None, 35, 33, 31]
    weeks = [
        formats.day(datetime(2025, 8, 18, tzinfo=UTC) + timedelta(weeks=week), "plain") for week in range(len(values))
    ]
    points = [
        charts.Point(week, value, (value or 0) - 6, (value or 0) + 6, breaks=False)
        for week, value in zip(weeks, values, strict=True)
    ]
    counts = [58, 31, 47, 63, 61, 89, 108, 231, 338, 497, 661]
    profiles = ["negative"] * 7 + ["neutral"] * 2 + ["positive"] * 2
    return {
        "trend": charts.trend(
            points,
            say=formats.signed,
            interval=lambda low, high: f"{low:g} to {high:g}",
            events=[(10, "Courier change, 27 Oct")],
        ),
        "trend_rows": [
            [week, formats.signed(value) if value else "too few"] for week, value in zip(weeks, values, strict=True)
        ],
        "answers": charts.distribution(
            [(str(score), count, profiles[score]) for score, count in enumerate(counts)],
            groups={
                "negative": ("Detractors", "21%"),
                "neutral": ("Passives", "26%"),
                "positive": ("Promoters", "53%"),
            },
            say=formats.number,
        ),
        "scores": charts.score_line(
            _marks(), names={"positive": "Promoter", "neutral": "Passive", "negative": "Detractor"}
        ),
        "small_scores": charts.score_line(_marks()),
    }


def _marks() -> list[charts.Mark]:
    return [
        charts.Mark(datetime(2023, 2, 13, tzinfo=UTC), 6, "negative", "6", "Refund took 5 weeks"),
        charts.Mark(
            datetime(2023, 11, 14, tzinfo=UTC), 9, "positive", "9", "Won back: Daniel rang, refunded", mends=True
        ),
        charts.Mark(datetime(2024, 5, 14, tzinfo=UTC), 9, "positive", "9", "Referred 2 friends"),
        charts.Mark(datetime(2025, 6, 12, tzinfo=UTC), 7, "neutral", "7", "Store: long queue"),
        charts.Mark(datetime(2025, 11, 13, tzinfo=UTC), 2, "negative", "2", "Late, damaged, cut off"),
    ]


BRAND = SimpleNamespace(
    key="northwind",
    name="Northwind Outdoor",
    phone="0800 555 0142",
    phone_hours="until 20:00",
    privacy_url="/privacy",
    reply_address=None,
)
FRAME = SimpleNamespace(
    user=SimpleNamespace(
        name="Sofia Lindqvist", initials="SL", role_name="Support lead", theme="device", single_keys=True
    ),
    organisation="Northwind Outdoor",
    nav=[
        SimpleNamespace(href="/", label="Home", icon="home", count=None, current=False),
        SimpleNamespace(href="/desk", label="Recovery desk", icon="mend", count=31, current=False),
        SimpleNamespace(href="/customers", label="Customers", icon="people", count=None, current=False),
        SimpleNamespace(href="/insights", label="Insights", icon="chart", count=None, current=False),
        SimpleNamespace(href="/surveys", label="Surveys", icon="form", count=None, current=False),
        SimpleNamespace(href="/incentives", label="Incentives", icon="gift", count=None, current=False),
    ],
    side=[
        SimpleNamespace(
            heading="Queues",
            items=[
                SimpleNamespace(href="/desk", label="All open", count=31, late=0, current=True),
                SimpleNamespace(
                    href="/desk?queue=first-contact", label="Needs first contact", count=7, late=1, current=False
                ),
            ],
        )
    ],
)
