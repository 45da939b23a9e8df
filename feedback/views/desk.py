"""The recovery desk: lists of cases, what is due first on top."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from itertools import groupby
from typing import Any

from flask import Blueprint, flash, g, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_login import current_user
from sqlalchemy import select
from werkzeug.wrappers import Response

from accounts import visibility
from accounts.models import SavedView, Staff, Team
from core import access, clock, frame
from core.db import db
from core.errors import NotFound
from core.frame import Link, Section
from core.i18n import language_name
from customers.models import Touchpoint
from feedback import assignments, cases, deadlines, queues, rows
from feedback.forms.staff import ViewForm, first_problem
from feedback.models import Case
from feedback.queues import Counts, Filters, Place

blueprint = Blueprint("desk", __name__)
GROUP_TITLES = ("overdue", "soon", "today", "later")


@blueprint.get("/desk")
@access.needs("desk.see")
def show() -> str:
    """Show one list: a queue, a saved view or what the filters leave."""
    now, filters = clock.now(), asked_filters()
    views = queues.saved_views(current_user)
    teams = deadlines.teams_with_queues(visibility.brand_of(current_user))
    counted = queues.counts(current_user, filters, views, teams, now=now)
    g.open_cases = counted.queues["all"].shown
    page = queues.page(current_user, filters, after=Place.read(request.args.get("after")), now=now)
    listed = rows.rows_of(page.cases, href=lambda case: case_address(case, filters), now=now)
    own_view = next((each for each in views if each.staff_id == current_user.id and _is_shown(each, filters)), None)
    touchpoints = cases.touchpoints_of(visibility.brand_of(current_user))
    tiers, languages = queues.choices(current_user)
    return render_template(
        "feedback/desk.html",
        frame=frame.build(side=side_of(filters, counted, views, teams)),
        title=_title(filters, views, teams),
        filters=filters,
        groups=_groups(listed, filters, counted, now),
        counted=counted,
        pills=_pills(filters, touchpoints),
        touchpoints=touchpoints,
        tiers=tiers,
        languages=languages,
        languages_named=[language_name(code) for code in languages],
        scores=queues.SCORES,
        groupings=queues.GROUPINGS,
        staff=assignments.candidates(visibility.brand_of(current_user)),
        next_href=url_for("desk.show", **filters.args, after=str(page.after)) if page.after else "",
        first_href=url_for("desk.show", **filters.args) if request.args.get("after") else "",
        clear_href=url_for("desk.show", **Filters(queue=filters.queue, group=filters.group, team=filters.team).args),
        own_view=own_view,
        view_form=ViewForm(formdata=None, obj=own_view),
        now=now,
    )


@blueprint.post("/desk/views")
@access.needs("desk.see")
def save_view() -> Response:
    """Keep the filters of the list that is shown under a name."""
    form, filters = ViewForm(), asked_filters()
    if form.validate():
        shared = form.shared.data and current_user.may("cases.see_all")
        queues.save_view(form.name.data, filters, by=current_user, shared=shared)
        db.session.commit()
        flash(_("Saved."), "success")
    else:
        flash(first_problem(form), "error")
    return redirect(url_for("desk.show", **filters.args))


@blueprint.post("/desk/views/<public_id>")
@access.needs("desk.see")
def change_view(public_id: str) -> Response:
    """Give one of one's own saved views another name, or share it or not."""
    view, form = _own_view(public_id), ViewForm()
    address = url_for("desk.show", **Filters.read(view.query).args, view=view.public_id)
    if not form.validate():
        flash(first_problem(form), "error")
    elif queues.rename_view(view, form.name.data, shared=form.shared.data and current_user.may("cases.see_all")):
        db.session.commit()
        flash(_("Saved."), "success")
    else:
        flash(_("Another of your views has this name already."), "error")
    return redirect(address)


@blueprint.post("/desk/views/<public_id>/delete")
@access.needs("desk.see")
def delete_view(public_id: str) -> Response:
    """Forget one of one's own saved views."""
    db.session.delete(_own_view(public_id))
    db.session.commit()
    flash(_("The view is gone; its cases are where they were."), "success")
    return redirect(url_for("desk.show"))


def _own_view(public_id: str) -> SavedView:
    own = select(SavedView).where(SavedView.public_id == public_id, SavedView.staff_id == current_user.id)
    view = db.session.scalar(own)
    if view is None:
        raise NotFound
    return view


def _is_shown(view: SavedView, filters: Filters) -> bool:
    return Filters.read(view.query) == filters


def asked_filters() -> Filters:
    """Return the filters that the address carries."""
    return Filters.read(dict(request.args.lists()))


def case_address(case: Case, filters: Filters) -> str:
    return url_for("case.show", number=case.number, **filters.args)


def side_of(filters: Filters, counted: Counts, views: list[SavedView], teams: Sequence[Team] = ()) -> list[Section]:
    """Return the desk's side column: queues, those of teams among them, and saved views with their counts."""
    plain = Filters(queue=filters.queue) == replace(filters, group="due")
    in_queues = [
        Link(
            href=url_for("desk.show", **Filters(queue=name).args),
            label=label,
            count=counted.queues[name].shown,
            late=counted.queues[name].late,
            current=plain and filters.queue == name,
        )
        for name, label in queues.QUEUES.items()
    ]
    in_queues += [
        Link(
            href=url_for("desk.show", **Filters(team=team.public_id).args),
            label=team.name,
            count=counted.teams[team.public_id].shown,
            late=counted.teams[team.public_id].late,
            current=replace(filters, group="due") == Filters(team=team.public_id),
        )
        for team in teams
    ]
    own, named = (Filters(owner="me"), Filters(owner="none")), any(_is_shown(view, filters) for view in views)
    in_views = [
        Link(
            href=url_for("desk.show", **each.args),
            label=label,
            current=replace(filters, group="due") == each and not named,
        )
        for each, label in zip(own, (_("Mine"), _("Nobody’s yet")), strict=True)
    ]
    in_views += [
        Link(
            href=url_for("desk.show", **Filters.read(view.query).args, view=view.public_id),
            label=view.name,
            count=counted.views[view.public_id].shown,
            current=_is_shown(view, filters),
        )
        for view in views
    ]
    return [Section(_("Queues"), in_queues), Section(_("Saved views"), in_views)]


def _title(filters: Filters, views: list[SavedView], teams: Sequence[Team]) -> str:
    named = next((view.name for view in views if _is_shown(view, filters)), None)
    if named:
        return named
    if filters.owner == "me" and filters.queue == "all":
        return _("My cases")
    team = next((each for each in teams if each.public_id == filters.team), None)
    if team is not None and filters.queue == "all":
        return team.name
    return str(queues.TITLES[filters.queue])


def _groups(listed: list[rows.Row], filters: Filters, counted: Counts, now: datetime) -> list[dict[str, Any]]:
    """Return the rows under their headings: title, count, late, rows."""
    if filters.queue == "verify" or filters.group != "due":
        return [
            {"title": title, "count": "", "late": False, "rows": list(group)}
            for title, group in groupby(listed, key=lambda row: _heading(row, filters))
        ]
    titles = dict(
        zip(GROUP_TITLES, (_("Overdue"), _("Next two hours"), _("Later today"), _("Tomorrow and after")), strict=True)
    )
    spans = queues.spans(current_user, now)
    return [
        {"title": titles[name], "count": counted.groups[name].shown, "late": name == "overdue", "rows": list(group)}
        for name, group in groupby(listed, key=lambda row: _span_of(row.case.due_at, spans))
    ]


def _heading(row: rows.Row, filters: Filters) -> str:
    if filters.queue == "verify" and filters.group == "due":
        return _("Resolved, the customer’s answer is awaited")
    if filters.group == "owner":
        return row.owner or _("Nobody yet")
    return row.touchpoint


def _span_of(due_at: datetime, spans: dict[str, tuple[datetime | None, datetime | None]]) -> str:
    return next(name for name, (_start, end) in spans.items() if end is None or due_at < end)


def _pills(filters: Filters, touchpoints: list[Touchpoint]) -> list[dict[str, Any]]:
    """Return what narrows the list as pills, each a link to the list without it."""
    names = {touchpoint.key: touchpoint.name for touchpoint in touchpoints}
    found = [("touchpoints", key, names.get(key, key)) for key in filters.touchpoints]
    found += [("tiers", tier, tier.capitalize()) for tier in filters.tiers]
    found += [("scores", score, str(queues.SCORES[score])) for score in filters.scores]
    found += [("languages", code, language_name(code)) for code in filters.languages]
    if filters.owner:
        owner = {"me": _("Mine"), "none": _("Nobody’s yet")}.get(filters.owner) or _name(filters.owner)
        found.append(("owner", filters.owner, owner))
    return [
        {
            "href": url_for("desk.show", **filters.without(name, value).args),
            "label": label,
            "current": True,
            "removable": True,
        }
        for name, value, label in found
    ]


def _name(public_id: str) -> str:
    return db.session.scalar(select(Staff.name).where(Staff.public_id == public_id)) or _("Somebody")
