"""Agreeing on another time for a promise, on a page of its own: what was promised, and what is promised instead."""

from __future__ import annotations

from datetime import datetime

from flask import Blueprint, flash, redirect, render_template
from flask_babel import gettext as _
from flask_login import current_user

from accounts.models import Staff
from core import access, clock, formats
from core.db import db
from core.errors import Refusal
from feedback import assignments, cases, entries, letters, policies, promises, rows
from feedback.forms.staff import AnotherTimeForm
from feedback.models import Case, Promise
from feedback.promises import PromiseEnded
from feedback.views.case import Answer, put, staff_of
from feedback.views.desk import asked_filters, case_address

blueprint = Blueprint("promises", __name__, url_prefix="/desk/cases")


@blueprint.get("/<number>/promises/<public_id>/again")
@access.needs("cases.work")
def ask(number: str, public_id: str) -> Answer:
    case, now = cases.visible(current_user, number), clock.now()
    promise = promises.one_of(case, public_id)
    try:
        promises.check_renewable(promise, now=now)
    except PromiseEnded as ended:
        return _ended(case, ended)
    form = _form(case, promise, now, is_new=True)
    return _page(case, promise, form, now)


@blueprint.post("/<number>/promises/<public_id>/again")
@access.needs("cases.work")
def agree(number: str, public_id: str) -> Answer:
    """Promise something else instead, and tell the customer if that is wished."""
    case, now = cases.visible(current_user, number), clock.now()
    promise = promises.one_of(case, public_id)
    form = _form(case, promise, now)
    if not form.validate():
        return _page(case, promise, form, now), 422
    try:
        fresh = promises.renegotiate(
            promise,
            case=case,
            words=form.words.data if "words" in form else promise.words,
            when=form.when(),
            keeper=_keeper(form),
            because=form.because.data,
            by=current_user,
            now=now,
            form_key=form.key(),
        )
        if form.tell.data:
            letters.post_change(case, fresh, was=promise, because=form.because.data, by=current_user, now=now)
        db.session.commit()
    except PromiseEnded as ended:
        db.session.rollback()
        return _ended(case, ended)
    except Refusal as refusal:
        db.session.rollback()
        put(refusal, form)
        return _page(cases.visible(current_user, number), promise, form, now), refusal.status
    flash(_("Agreed anew: by %(time)s.", time=formats.by_when(fresh.due_at, now)), "success")
    return redirect(case_address(case, asked_filters()))


def _form(case: Case, promise: Promise, now: datetime, *, is_new: bool = False) -> AnotherTimeForm:
    """Return the form; a contact keeps its words, which each language says in its own way."""
    staff = assignments.candidates(case.brand_id)
    form = AnotherTimeForm(formdata=None) if is_new else AnotherTimeForm()
    form.offer(
        now=now,
        zone=current_user.zone,
        staff=[(each.public_id, each.name) for each in staff],
        calendar=policies.calendar(case.brand.calendar_id),
    )
    if is_new:
        form.words.data = promise.words
        form.keeper.data = promise.keeper.public_id if promise.keeper in staff else ""
        form.tell.data = entries.can_write_to(case)
    if promise.kind == "contact":
        del form.words
    return form


def _keeper(form: AnotherTimeForm) -> Staff | None:
    return staff_of(form.keeper.data) if form.keeper.data else None


def _page(case: Case, promise: Promise, form: AnotherTimeForm, now: datetime) -> str:
    return render_template(
        "feedback/promise.html",
        case=case,
        name=rows.name_of(case),
        words=_(
            "%(promise)s by %(time)s",
            promise=rows.promise_words(promise, case),
            time=formats.by_when(promise.due_at, now),
        ),
        left=formats.left(promise.due_at, now),
        form=form,
        can_write=entries.can_write_to(case),
        back=case_address(case, asked_filters()),
        promise=promise,
        args=asked_filters().args,
    )


def _ended(case: Case, ended: PromiseEnded) -> Answer:
    flash(ended.message, "error")
    return redirect(case_address(case, asked_filters()))
