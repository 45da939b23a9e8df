"""Customers: the list with search, and one customer's record."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_login import current_user
from werkzeug.wrappers import Response

from accounts.visibility import brand_of
from core import access, charts, clock, events, formats
from core.db import db, row_id
from core.errors import NotFound
from core.frame import Entry
from customers.models import Customer
from incentives import goodwill
from insights import record, record_words, serving, timeline, words
from notifications import preferences
from notifications.kinds import KINDS
from notifications.views.staff import STATES
from surveys import silence

blueprint = Blueprint("customers", __name__, url_prefix="/customers")
entry = Entry("customers.everybody", _l("Customers"), "people", "customers.see", 30)
PAGE = 40


@blueprint.get("")
@access.needs("customers.see")
def everybody() -> str:
    """Show customers, those heard from last first, or those a search finds."""
    asked = request.args.get("q", "").replace("\x00", "").strip()[:200]
    after = request.args.get("after", type=row_id)
    query = record.visible(current_user).where(Customer.erased_at.is_(None))
    if asked:
        query = query.where(record.matching(asked))
    if after:
        query = query.where(Customer.id < after)
    rows = list(db.session.scalars(query.order_by(Customer.id.desc()).limit(PAGE + 1)))
    following = rows[PAGE - 1].id if len(rows) > PAGE else None
    return render_template(
        "insights/customers.html",
        rows=rows[:PAGE],
        silent=silence.silent_among([each.id for each in rows[:PAGE]], now=clock.now()),
        words=asked,
        following=following,
        now=clock.now(),
        is_first=not after,
    )


@blueprint.get("/<public_id>")
@access.needs("customers.see")
def show(public_id: str) -> str | Response:
    """Show one customer's record; a record that was merged leads to the one that remains."""
    customer = record.load(public_id, staff=current_user)
    if customer.public_id != public_id:
        return redirect(url_for(".show", public_id=customer.public_id))
    shown = request.args.get("show", "all")
    if shown not in timeline.SHOWN:
        abort(404)
    now, brand_id = clock.now(), brand_of(current_user)
    lines, following = timeline.lines(customer, brand_id=brand_id, shown=shown, before=_before())
    answers = record.answers(customer, brand_id=brand_id)
    return render_template(
        "insights/customer.html",
        customer=customer,
        shown=shown,
        lines=lines,
        deciders=record_words.deciders(lines),
        words=record_words,
        channel=words.channel,
        kinds=KINDS,
        message_states=STATES,
        following=following,
        answers=answers,
        drawing=_drawing(answers) if answers else None,
        finding=_finding(answers, now),
        profile=record.profile_today(customer, now=now),
        profile_of=record.profile_of,
        cases=record.cases(customer, brand_id=brand_id),
        promises=record.promises(customer, brand_id=brand_id),
        totals=record.totals(customer, brand_id=brand_id),
        serving=serving.cost_to_serve(customer, brand_id=brand_id),
        asking=record.asking(customer, now=now),
        prefers=record.prefers(customer),
        goodwill=goodwill.left_this_year(customer, brand_id=brand_id, now=now),
        now=now,
    )


@blueprint.post("/<public_id>/consent")
@access.needs("customers.edit")
def change_consent(public_id: str) -> Response:
    """Note what a customer told us about surveys or marketing."""
    customer = record.load(public_id, staff=current_user)
    if customer.erased_at is not None:
        raise NotFound
    purpose, given = request.form.get("purpose"), request.form.get("given")
    if given not in ("yes", "no"):
        abort(400)
    preferences.note(
        customer,
        "marketing" if purpose == "marketing" else "survey",
        wanted=given == "yes",
        by=events.staff_actor(current_user.id),
        now=clock.now(),
    )
    db.session.commit()
    flash(_("Noted."))
    return redirect(url_for(".show", public_id=customer.public_id))


def _before() -> timeline.Place | None:
    value = request.args.get("before")
    try:
        return timeline.Place.read(value) if value else None
    except ValueError:
        abort(400)


def _drawing(answers: Any) -> charts.ScoreLine:
    names = {"positive": _("Promoter"), "neutral": _("Passive"), "negative": _("Detractor")}
    marks = [
        charts.Mark(
            answer.answered_at,
            answer.score,
            record.profile_of(answer),
            formats.number(answer.score),
            _note(answer),
            mends=bool(answer.outcome_check_id and record.profile_of(answer) != "negative"),
        )
        for answer in answers
        if answer.metric == answers[-1].metric
    ]
    return charts.score_line(marks, names=names)


def _note(answer: Any) -> str:
    if answer.outcome_check_id:
        return _("Won back") if record.profile_of(answer) != "negative" else _("Asked again")
    return answer.touchpoint.name if answer.touchpoint else ""


def _finding(answers: Any, now: datetime) -> str:
    """Return the drawing in a sentence: each score with its day."""
    told = [
        _("%(score)s on %(day)s", score=answer.score, day=formats.day(answer.answered_at, "dated"))
        for answer in answers
    ]
    return _("Scores over time: %(scores)s.", scores=", ".join(told))
