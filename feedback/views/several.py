"""Acts on several cases: ticked at the desk, what is to be done is chosen here, and each tells what became of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext as _n
from flask_login import current_user
from sqlalchemy import or_, select
from werkzeug.wrappers import Response

from accounts import visibility
from accounts.models import Staff, Team
from core import access, clock
from core.db import db
from core.errors import Forbidden, NotFound, Refusal
from feedback import assignments, cases, rows, several, trees
from feedback.forms.staff import ActForm, ChoiceForm, PlanForm, PriorityForm
from feedback.models import Case, CaseState, Category, Priority, RootCause
from feedback.several import Told
from feedback.views.desk import asked_filters, case_address

blueprint = Blueprint("several", __name__)
Answer = str | Response | tuple[str, int]
LEADS_ONLY = ("give", "team")


@dataclass(frozen=True)
class Acts:
    """The forms of the page, by the name of their act; None: this person does not give cases."""

    plan: PlanForm
    priority: PriorityForm
    cause: ChoiceForm
    category: ChoiceForm
    give: ChoiceForm | None
    team: ChoiceForm | None


@blueprint.post("/desk/several")
@access.needs("cases.work")
def change() -> Answer:
    """Show what can be done with the ticked cases, or do what was chosen and tell of each case what became of it."""
    now, name = clock.now(), request.form.get("act", "")
    acts = _acts(filled=name, now=now)
    if name not in RUNS:
        return _page(_shown(), acts)
    if name in LEADS_ONLY and not current_user.may("cases.assign"):
        raise Forbidden
    form: ActForm = getattr(acts, name)
    if not form.validate():
        return _page(_shown(), acts, opened=name), 422
    try:
        told = RUNS[name](several.held(current_user, _numbers()), form, now)
        db.session.commit()
    except Refusal as refusal:
        db.session.rollback()
        if refusal.field is None or refusal.field not in form:
            raise
        form[refusal.field].errors = [*form[refusal.field].errors, refusal.message]
        return _page(_shown(), acts, opened=name), refusal.status
    return _page([each.case for each in told], _acts(filled="", now=now), told=told)


@blueprint.post("/desk/assign")
@access.needs("cases.work")
def assign() -> Answer:
    """Give the ticked cases to somebody; an agent can only take them, a lead can give them to anybody."""
    now, to = clock.now(), _chosen(request.form.get("to", ""))
    held = several.held(current_user, _numbers())
    if current_user.may("cases.assign"):
        told = several.give(held, to, by=current_user, now=now)
    else:
        told = several.take(held, by=to, now=now)
    db.session.commit()
    if not told or not all(each.is_done for each in told):
        return _page(held, _acts(filled="", now=now), told=told)
    words = _n(
        "%(num)s case is now with %(name)s.", "%(num)s cases are now with %(name)s.", len(told), name=to.first_name
    )
    flash(words, "success")
    return redirect(url_for("desk.show", **asked_filters().args))


def _chosen(public_id: str) -> Staff:
    """Return who is to get the cases: oneself, or whom somebody who may give cases chose."""
    if public_id in ("", "me", current_user.public_id) or not current_user.may("cases.assign"):
        me: Staff = current_user._get_current_object()
        return me
    return _one_who_works(public_id)


def _one_who_works(public_id: str) -> Staff:
    for each in assignments.candidates():
        if each.public_id == public_id:
            return each
    raise NotFound


def _plan(held: Sequence[Case], form: PlanForm, now: datetime) -> list[Told]:
    return several.plan(held, form.when_or_none(), form.because.data, by=current_user, now=now)


def _prioritise(held: Sequence[Case], form: PriorityForm, now: datetime) -> list[Told]:
    return several.prioritise(held, Priority(form.priority.data), by=current_user, now=now)


def _find_cause(held: Sequence[Case], form: ChoiceForm, now: datetime) -> list[Told]:
    return several.find_cause(held, trees.find(RootCause, form.one.data), by=current_user, now=now)


def _categorise(held: Sequence[Case], form: ChoiceForm, now: datetime) -> list[Told]:
    return several.categorise(held, trees.find(Category, form.one.data), by=current_user, now=now)


def _give(held: Sequence[Case], form: ChoiceForm, now: datetime) -> list[Told]:
    return several.give(held, _one_who_works(form.one.data), by=current_user, now=now)


def _move(held: Sequence[Case], form: ChoiceForm, now: datetime) -> list[Told]:
    team = next((each for each in _teams() if each.public_id == form.one.data), None)
    if team is None:
        raise NotFound
    return several.move(held, team, by=current_user, now=now)


RUNS: dict[str, Callable[[Sequence[Case], Any, datetime], list[Told]]] = {
    "plan": _plan,
    "priority": _prioritise,
    "cause": _find_cause,
    "category": _categorise,
    "give": _give,
    "team": _move,
}


def _acts(*, filled: str, now: datetime) -> Acts:
    def form(kind: type[ActForm], name: str) -> Any:
        return kind(prefix=name) if name == filled else kind(prefix=name, formdata=None)

    leads = current_user.may("cases.assign")
    staff = assignments.candidates(visibility.brand_of(current_user)) if leads else []
    return Acts(
        plan=form(PlanForm, "plan").offer(now=now, zone=current_user.zone),
        priority=form(PriorityForm, "priority"),
        cause=form(ChoiceForm, "cause").offer(_nodes(RootCause)),
        category=form(ChoiceForm, "category").offer(_nodes(Category)),
        give=form(ChoiceForm, "give").offer([(each.public_id, each.name) for each in staff]) if leads else None,
        team=form(ChoiceForm, "team").offer([(each.public_id, each.name) for each in _teams()]) if leads else None,
    )


def _nodes(kind: type[RootCause] | type[Category]) -> list[tuple[str, str]]:
    return [(each.node.public_id, each.full_name) for each in trees.branches(kind)]


def _teams() -> Sequence[Team]:
    brand_id = visibility.brand_of(current_user)
    query = select(Team).order_by(Team.name)
    if brand_id is not None:
        query = query.where(or_(Team.brand_id.is_(None), Team.brand_id == brand_id))
    return db.session.scalars(query).all()


def _numbers() -> set[int]:
    return {number for text in request.form.getlist("case") if (number := cases.number_of(text)) is not None}


def _shown() -> list[Case]:
    return several.shown(current_user, _numbers())


def _page(found: Sequence[Case], acts: Acts, *, opened: str = "", told: Sequence[Told] = ()) -> str:
    filters = asked_filters()
    said = {each.case.id: each for each in told}
    listed = [
        {
            "number": case.label,
            "href": case_address(case, filters),
            "name": rows.name_of(case),
            "title": rows.title(case),
            "state": rows.STATES[CaseState(case.state)],
            "priority": case.priority,
            "owner": case.assignee.name if case.assignee else _("Nobody yet"),
            "told": said.get(case.id),
        }
        for case in found
    ]
    return render_template(
        "feedback/several.html",
        listed=listed,
        acts=acts,
        opened=opened,
        told=told,
        done=sum(each.is_done for each in told),
        back=url_for("desk.show", **filters.args),
        address=url_for("several.change", **filters.args),
    )
