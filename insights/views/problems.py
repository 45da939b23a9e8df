"""/insights/problems: what goes wrong for many, what was changed about it, and whether it happens less since."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_login import current_user
from sqlalchemy import select
from werkzeug.wrappers import Response

from accounts import history, teams, visibility
from accounts.models import Staff
from core import access, clock, formats
from core.db import db
from core.errors import Refusal
from customers.models import Touchpoint
from feedback import cases, problems, rows, trees
from feedback.forms.staff import ActForm
from feedback.models import ClosedBecause, Problem, ProblemState, RootCause
from insights import asking, journey, overview, recurrence, words
from insights.asking import Filters
from insights.problem_forms import REASONS, ActionForm, ClosingForm, ProblemForm, values_of

blueprint = Blueprint("problems", __name__, url_prefix="/insights/problems")
Answer = str | Response | tuple[str, int]
TONES = {ProblemState.OPEN: "ember", ProblemState.ACTED: "glaze", ProblemState.CLOSED: ""}


@blueprint.get("")
@access.needs("insights.see")
def show() -> str | Response:
    """Lead to the newest problem that is not closed, or say what problems are for."""
    newest = next(iter(problems.visible(_me())), None)
    return (
        redirect(url_for(".one", public_id=newest.public_id)) if newest else render_template("insights/problems.html")
    )


@blueprint.get("/new")
@access.needs("problems.work")
def new() -> str:
    """Show an empty form, filled in where the insights page's alarm or a case leads here."""
    form = _form(None)
    if (number := request.args.get("case")) and _me().may("desk.see"):
        case = cases.visible(_me(), number)
        cause = db.session.get(RootCause, case.root_cause_id) if case.root_cause_id else None
        form.title.data = rows.matter(case)
        form.touchpoint.data = case.touchpoint.key if case.touchpoint else ""
        form.cause.data = cause.public_id if cause else ""
    elif at := request.args.get("at"):
        filters = Filters.read(request.args, today=_today())
        offered = asking.choices(_me(), filters)
        asked = asking.asked(_me(), filters, offered)
        found = journey.changed_lately(asked, overview.places_of(asked, offered))
        for stop in (each for each in found if each.direction < 0 and each.place.key == at):
            form.title.data, form.known.data = words.worse(stop), words.worse_detail(stop)
            form.touchpoint.data = stop.place.key
    form.owner.data = _me().public_id
    return _editing(None, form)


@blueprint.post("/new")
@access.needs("problems.work")
def begin() -> Answer:
    form = _form(None)
    if not form.validate():
        return _editing(None, form), 422
    problem = problems.begin(form.data_of_problem(), form_key=form.key(), by=_me(), now=clock.now())
    if problem.touchpoint_id or problem.root_cause_id:
        return _done(problem, _("The problem is open. Agents see it on the cases that may be one of these."))
    return _done(problem, _("The problem is open. Once it has a touchpoint or a cause, agents see it on their cases."))


@blueprint.get("/<public_id>")
@access.needs("insights.see")
def one(public_id: str) -> str:
    return _page(public_id)


@blueprint.get("/<public_id>/edit")
@access.needs("problems.work")
def edit(public_id: str) -> str:
    problem = problems.find(_me(), public_id)
    return _editing(problem, _form(problem))


@blueprint.post("/<public_id>/edit")
@access.needs("problems.work")
def change(public_id: str) -> Answer:
    problem = problems.find(_me(), public_id, locked=True)
    form = _form(problem)
    if not form.validate():
        return _editing(problem, form), 422
    if form.is_stale():
        return _editing(problem, form), 409
    try:
        problems.change(problem, form.data_of_problem(), by=_me(), now=clock.now())
    except Refusal as refusal:
        form.form_errors.append(refusal.message)
        return _editing(problem, form), refusal.status
    return _done(problem, _("Saved."))


@blueprint.post("/<public_id>/action")
@access.needs("problems.work")
def act(public_id: str) -> Answer:
    """Write down what was changed."""
    form = ActionForm(prefix="action")

    def run(problem: Problem) -> str:
        problems.act(
            problem,
            form.words.data or "",
            on=form.on.data,
            today=_today(),
            form_key=form.key(),
            by=_me(),
            now=clock.now(),
        )
        return _("Written down. Four weeks after that day this page says whether it happens less.")

    return _do(public_id, form, run, opened="action")


@blueprint.post("/<public_id>/close")
@access.needs("problems.work")
def close(public_id: str) -> Answer:
    form = ClosingForm(prefix="close")

    def run(problem: Problem) -> str:
        because, less = ClosedBecause(form.because.data), recurrence.happens_less(problem, today=_today())
        problems.close(problem, because, happens_less=less, by=_me(), now=clock.now())
        return _("The problem is closed.")

    return _do(public_id, form, run, opened="close")


@blueprint.post("/<public_id>/reopen")
@access.needs("problems.work")
def reopen(public_id: str) -> Response:
    problem = problems.find(_me(), public_id, locked=True)
    problems.reopen(problem, by=_me(), now=clock.now())
    return _done(problem, _("The problem is open again."))


def _do(public_id: str, form: Any, run: Callable[[Problem], str], *, opened: str) -> Answer:
    """Do something to a problem, or show it again with what was typed."""
    problem = problems.find(_me(), public_id, locked=True)
    if not form.validate():
        return _page(public_id, **{opened: form}), 422
    try:
        said = run(problem)
    except Refusal as refusal:
        db.session.rollback()
        at = form[refusal.field].errors if refusal.field in form else form.form_errors
        at.append(refusal.message)
        return _page(public_id, **{opened: form}), refusal.status
    return _done(problem, said)


def _done(problem: Problem, said: str) -> Response:
    db.session.commit()
    flash(said, "success")
    return redirect(url_for("problems.one", public_id=problem.public_id))


def _page(public_id: str, *, action: ActionForm | None = None, close: ClosingForm | None = None) -> str:
    """Show one problem; a form that was refused stands open."""
    problem = problems.find(_me(), public_id)
    return render_template(
        "insights/problem.html",
        **_frame(problem),
        recurrences=[recurrence.around(problem, each, today=_today()) for each in problem.actions],
        newest=recurrence.newest_cases(problem, staff=_me(), now=clock.now()),
        title_of=rows.title,
        opener=history.name_of(problem.opened_by),
        cause=_full_name(problem),
        action=_empty(ActionForm, "action") if action is None else action,
        close=_empty(ClosingForm, "close") if close is None else close,
        opened="action" if action else "close" if close else "",
        reasons=REASONS,
    )


def _editing(problem: Problem | None, form: ProblemForm) -> str:
    change = history.last_change("problem.changed", problem=problem.id) if problem and form.conflict else None
    return render_template("insights/problem_edit.html", **_frame(problem), form=form, last=change)


def _frame(problem: Problem | None) -> dict[str, Any]:
    """Return what every page of problems shows: the list beside it."""
    entries = [
        {
            "href": url_for("problems.one", public_id=each.public_id),
            "name": each.title,
            "detail": _(
                "%(place)s, %(state)s",
                place=each.touchpoint.name if each.touchpoint else _("Anywhere"),
                state=words.PROBLEM_STATES[ProblemState(each.state)],
            ),
            "current": problem is not None and each.id == problem.id,
        }
        for each in problems.visible(_me())
    ]
    return {
        "problem": problem,
        "entries": entries,
        "states": words.PROBLEM_STATES,
        "tones": TONES,
        "words": words,
        "now": clock.now(),
    }


def _full_name(problem: Problem) -> str:
    """Return the name of a problem's cause with those above it."""
    found = trees.branches(RootCause, archived=True)
    return next((each.full_name for each in found if each.node.id == problem.root_cause_id), "")


def _form(problem: Problem | None) -> ProblemForm:
    values = values_of(problem) if problem else {}
    form: ProblemForm = ProblemForm.of(values)
    form.renew()
    places: Any = select(Touchpoint).order_by(Touchpoint.name, Touchpoint.id)
    known = db.session.scalars(visibility.visible_to(_me(), places, Touchpoint.brand_id))
    kept = problem.touchpoint_id if problem else None
    causes = trees.branches(RootCause, archived=True)
    own = problem.root_cause_id if problem else None
    people = [each for each in teams.people(_me()) if each.may("problems.work")]
    owner = problem.owner if problem else None
    return form.offer(
        [each for each in known if each.archived_at is None or each.id == kept],
        [each for each in causes if each.node.archived_at is None or each.node.id == own],
        people if owner is None or owner in people else [*people, owner],
    )


def _empty(kind: type[ActForm], prefix: str) -> Any:
    return kind(formdata=None, prefix=prefix).renew()


def _today() -> Any:
    return formats.local(clock.now()).date()


def _me() -> Staff:
    staff: Staff = current_user._get_current_object()
    return staff
