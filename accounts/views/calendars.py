"""/settings/calendars: when somebody works, which deadlines count, and how the next two weeks look."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_login import current_user
from sqlalchemy import select
from werkzeug.wrappers import Response

from accounts import history
from accounts.calendar_form import CalendarForm, values_of
from accounts.views.settings import frame
from accounts.visibility import brand_of
from core import access, clock, events
from core.db import db
from core.errors import Forbidden, NotFound, Refusal
from customers import calendars
from customers.calendars import CalendarData
from customers.models import Brand, Calendar

blueprint = Blueprint("calendar_settings", __name__, url_prefix="/settings/calendars")

NEW = CalendarData(
    name="",
    zone="Europe/Berlin",
    weekly={day: [["09:00", "17:00"]] for day in ("mon", "tue", "wed", "thu", "fri")},
    country=None,
    closed_on=(),
)


@blueprint.get("")
@access.needs("settings.see")
def show() -> str:
    """Show the first calendar, or the form of a new one where that is asked for, or where there is none."""
    known = _shown()
    if known and not ("new" in request.args and current_user.may("settings.edit")):
        return _page(known[0], CalendarForm.of(values_of(calendars.data_of(known[0]))))
    return _page(None, CalendarForm.of(values_of(NEW)))


@blueprint.post("")
@access.needs("settings.edit")
def create() -> Response | tuple[str, int]:
    form: CalendarForm = CalendarForm.of(values_of(NEW))
    if not form.validate():
        return _page(None, form), 422
    try:
        calendar = calendars.create(form.data_of_calendar(), by=_actor(), now=clock.now())
    except Refusal as refusal:
        return _refused(None, form, refusal)
    db.session.commit()
    flash(_("%(name)s is ready. Brands can work by it.", name=calendar.name), "success")
    return redirect(url_for("calendar_settings.one", public_id=calendar.public_id))


@blueprint.get("/<public_id>")
@access.needs("settings.see")
def one(public_id: str) -> str:
    calendar = _calendar(public_id)
    return _page(calendar, CalendarForm.of(values_of(calendars.data_of(calendar))))


@blueprint.post("/<public_id>")
@access.needs("settings.edit")
def change(public_id: str) -> Response | tuple[str, int]:
    """Save a calendar, or only show what the typed hours would mean."""
    calendar = _calendar(public_id, locked=True)
    _refuse_others(calendar)
    form: CalendarForm = CalendarForm.of(values_of(calendars.data_of(calendar)))
    if not form.validate():
        return _page(calendar, form), 422
    if "preview" in request.form:
        return _preview(calendar, form)
    if form.is_stale():
        return _page(calendar, form), 409
    try:
        calendars.change(calendar, form.data_of_calendar(), by=_actor(), now=clock.now())
    except Refusal as refusal:
        return _refused(calendar, form, refusal)
    db.session.commit()
    flash(_("Saved. Deadlines that run are worked out anew within a minute."), "success")
    return redirect(url_for("calendar_settings.one", public_id=public_id))


def _preview(calendar: Calendar, form: CalendarForm) -> tuple[str, int]:
    try:
        calendars.check(form.data_of_calendar(), now=clock.now())
    except Refusal as refusal:
        return _refused(calendar, form, refusal)
    db.session.rollback()  # nothing was changed; the row is let go
    return _page(calendar, form, is_preview=True), 200


def _refused(calendar: Calendar | None, form: CalendarForm, refusal: Refusal) -> tuple[str, int]:
    db.session.rollback()
    form[refusal.field or "name"].errors = [refusal.message]
    return _page(calendar, form), refusal.status


def _shown() -> list[Calendar]:
    """Return the calendars somebody may see: those of their brand, or all."""
    query = select(Calendar).order_by(Calendar.name)
    brand_id = brand_of(current_user)
    if brand_id is not None:
        query = query.join(Brand, Brand.calendar_id == Calendar.id).where(Brand.id == brand_id)
    return list(db.session.scalars(query))


def _calendar(public_id: str, *, locked: bool = False) -> Calendar:
    query = select(Calendar).where(Calendar.public_id == public_id)
    is_text = "\0" not in public_id
    calendar = db.session.scalar(query.with_for_update() if locked else query) if is_text else None
    if calendar is None or calendar.id not in {each.id for each in _shown()}:
        raise NotFound
    return calendar


def _refuse_others(calendar: Calendar) -> None:
    """Who sees one brand cannot change the hours of another."""
    own = brand_of(current_user)
    if own is not None and any(brand.id != own for brand in calendars.brands_of(calendar)):
        raise Forbidden(_("Other brands work by this calendar too. Somebody who sees them can change it."))


def _page(calendar: Calendar | None, form: CalendarForm, *, is_preview: bool = False) -> str:
    now = clock.now()
    is_sound = not form.errors
    data = form.data_of_calendar() if is_preview else calendars.data_of(calendar) if calendar and is_sound else None
    return render_template(
        "settings/calendar.html",
        calendar=calendar,
        calendars=_shown(),
        brands=calendars.brands_of(calendar) if calendar else (),
        form=form,
        outlook=calendars.outlook(data, now=now) if data else (),
        is_preview=is_preview,
        may_edit=current_user.may("settings.edit"),
        last=history.last_change("calendar.changed", calendar=calendar.id) if calendar and form.conflict else None,
        now=now,
        frame=frame(),
    )


def _actor() -> str:
    return events.staff_actor(current_user.id)
