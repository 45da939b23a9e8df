"""Merging a case into another open one of the same customer, on a page of its own that says what comes of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from flask import Blueprint, flash, redirect, render_template
from flask_babel import gettext as _
from flask_login import current_user

from core import access, clock, formats
from core.db import db
from feedback import cases, merging, rows
from feedback.forms.staff import MergeForm
from feedback.merging import CannotMerge
from feedback.models import Case
from feedback.views.case import Answer
from feedback.views.desk import asked_filters, case_address

blueprint = Blueprint("merging", __name__, url_prefix="/desk/cases")


@blueprint.get("/<number>/merge")
@access.needs("cases.merge")
def ask(number: str) -> Answer:
    case, now = cases.visible(current_user, number), clock.now()
    others = _others(case)
    if not (case.is_open and others):
        flash(_("There is no other open case of this customer to merge it into."), "error")
        return redirect(case_address(case, asked_filters()))
    return _page(case, others, _form(others, now, is_new=True), now)


@blueprint.post("/<number>/merge")
@access.needs("cases.merge")
def merge(number: str) -> Answer:
    """Merge, and go on with the case that stays. One that is open no longer is refused with the reason."""
    case, now = cases.visible(current_user, number), clock.now()
    others = _others(case)
    form = _form(others, now)
    if case.merged_into_id is not None:  # the same form sent twice
        return redirect(case_address(cases.by_id(case.merged_into_id), asked_filters()))
    if not form.validate():
        return _page(case, others, form, now), 422
    into = cases.visible(current_user, form.into.data)
    try:
        merging.merge(case, into, by=current_user, now=now)
        db.session.commit()
    except CannotMerge as refusal:
        db.session.rollback()
        flash(refusal.message, "error")
        return redirect(case_address(case, asked_filters()))
    flash(_("%(number)s is merged into this case.", number=case.label), "success")
    return redirect(case_address(into, asked_filters()))


def _others(case: Case) -> list[Case]:
    return [each for each in merging.related(case) if each.is_open]


def _form(others: Sequence[Case], now: datetime, *, is_new: bool = False) -> MergeForm:
    form = MergeForm(formdata=None) if is_new else MergeForm()
    form.offer((each.label, _named(each, now)) for each in others)
    if is_new and len(others) == 1:
        form.into.data = others[0].label
    return form


def _named(case: Case, now: datetime) -> str:
    opened = formats.moment(case.opened_at, now)
    return _("%(number)s: %(title)s, opened %(time)s", number=case.label, title=rows.title(case), time=opened)


def _page(case: Case, others: Sequence[Case], form: MergeForm, now: datetime) -> str:
    return render_template(
        "feedback/merge.html",
        case=case,
        title=rows.title(case),
        name=rows.name_of(case),
        others=others,
        form=form,
        now=now,
        back=case_address(case, asked_filters()),
        args=asked_filters().args,
    )
