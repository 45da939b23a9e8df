"""Brands come and change. Every change is an event; a brand's key and zone never change."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from flask import g
from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from werkzeug.wrappers import Response

from core import editing, events
from core.db import constraint_of, db
from core.errors import Conflict, NotFound, refused
from customers.models import Brand, Calendar

COLOUR: Final = re.compile(
    r"#(?:[0-9a-f]{3}|[0-9a-f]{6})|oklch\( *[\d.]{1,6}%? +[\d.]{1,6} +[\d.]{1,6}(?:deg)? *\)", re.I
)
"""What pages and mails both understand: #115e79 or oklch(.42 .085 160)."""


class KeyTaken(Conflict):
    code = "brand-key-taken"

    def sentence(self) -> str:
        return _("Another brand has this short name already. Choose a different one.")


@dataclass(frozen=True)
class BrandData:
    """What of a brand may change."""

    name: str
    colour: str
    sender_name: str
    sender_address: str
    reply_address: str | None
    phone: str | None
    phone_hours: str | None
    currency: str
    language: str
    calendar: Calendar
    main_survey_key: str | None
    privacy_url: str | None
    contact_cost_minor: int | None = None  # in `currency`


def only() -> Brand | None:
    """Return the brand of an installation that has one; with several we cannot know whose customer somebody is."""
    found = db.session.scalars(select(Brand).limit(2)).all()
    return found[0] if len(found) == 1 else None


def offer_person(refusal: NotFound) -> Response:
    """Answer a customer's link that leads nowhere with the face and phone of the brand, if there is only one."""
    g.brand = g.get("brand") or only()
    return refused(refusal)


def create(key: str, data: BrandData, *, zone: str, by: str, now: datetime) -> Brand:
    """Add a brand; its days are those of `zone` for good. Raises KeyTaken."""
    brand = Brand(key=key, zone=zone, **_columns(data))
    try:
        with db.session.begin_nested():
            db.session.add(brand)
    except IntegrityError as error:
        if constraint_of(error) == "uq_brand_key":
            raise KeyTaken(field="key") from error
        raise
    events.record("brand.created", at=now, actor=by, brand=brand.id)
    return brand


def change(brand: Brand, data: BrandData, *, by: str, now: datetime) -> None:
    """Change a brand; pages and mails show it from their next one on."""
    changed = [name for name in editing.apply(brand, _columns(data)) if name != "calendar_id"]
    db.session.flush()
    if changed:
        events.record("brand.changed", at=now, actor=by, brand=brand.id, fields=changed)


def _columns(data: BrandData) -> dict[str, object]:
    columns = {name: getattr(data, name) for name in BrandData.__dataclass_fields__}
    calendar = columns.pop("calendar")
    return columns | {"calendar_id": calendar.id, "calendar": calendar}


# Which surveys could be a brand's main one: the room of surveys lies above this one, and registers who knows.

MainSurveys = Callable[[Brand | None], Sequence[tuple[str, str]]]
_main_surveys: list[MainSurveys] = []


def main_surveys_told_by(tell: MainSurveys) -> None:
    """Register the function that tells (key, name) of the surveys that a brand could ask as its main one."""
    _main_surveys[:] = [tell]


def main_surveys(brand: Brand | None) -> Sequence[tuple[str, str]]:
    return _main_surveys[0](brand) if _main_surveys else ()
