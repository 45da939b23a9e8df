"""The pages of incentives: programmes with their rule, budget and ledger, their codes, and goodwill that waits."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext as _n
from flask_login import current_user
from sqlalchemy import select
from werkzeug.wrappers import Response

from accounts.visibility import visible_to
from core import access, clock, events
from core.db import db, row_id
from core.errors import NotFound, Refusal
from core.formats import money, number
from customers.models import Brand
from incentives import budgets, codes, goodwill, ledger, programmes, reading
from incentives.forms import CodesForm, ProgrammeForm
from incentives.models import Fulfilment, Programme, ProgrammeState, Reward, Trigger

blueprint = Blueprint("incentives", __name__, url_prefix="/incentives")

LINES_SHOWN: Final = 5
TURNS: Final = {"start": programmes.start, "pause": programmes.pause, "end": programmes.end}
DECISIONS: Final = {"approve": goodwill.approve, "decline": goodwill.decline}


@blueprint.get("")
@access.needs("incentives.see")
def overview() -> str:
    """Show the programmes, and the first of them."""
    shown = programmes.shown_to(current_user)
    if not shown:
        return render_template("incentives/empty.html")
    return _page(shown[0], ProgrammeForm.for_programme(shown[0]), shown=shown)


@blueprint.get("/new")
@access.needs("incentives.edit")
def new() -> str:
    return _new_page(_new_form())


@blueprint.post("/new")
@access.needs("incentives.edit")
def create() -> Response | tuple[str, int]:
    form, now = _new_form(), clock.now()
    brand = form.chosen_brand()
    if not form.validate() or brand is None:
        return _new_page(form), 422
    try:
        budget = form.budget.data
        programme = programmes.create(
            form.rules(), trigger=form.purpose, brand=brand, budget_minor=budget, by=_actor(), now=now
        )
    except Refusal as refusal:
        db.session.rollback()
        form.refuse(refusal)
        return _new_page(form), 422
    db.session.commit()
    flash(_("%(name)s is a draft. Start it when it is ready.", name=programme.name))
    return redirect(url_for("incentives.show", public_id=programme.public_id))


def _new_form() -> ProgrammeForm:
    wanted = request.values.get("trigger", "")
    trigger = Trigger(wanted) if wanted in set(Trigger) else Trigger.ANSWERED
    brands = db.session.scalars(visible_to(current_user, select(Brand).order_by(Brand.id).limit(100), Brand.id)).all()
    return ProgrammeForm.for_new(trigger, brands, now=clock.now())


def _new_page(form: ProgrammeForm) -> str:
    return render_template("incentives/new.html", form=form, triggers=Trigger)


@blueprint.get("/<public_id>")
@access.needs("incentives.see")
def show(public_id: str) -> str:
    programme = programmes.by_public_id(public_id, staff=current_user)
    return _page(programme, ProgrammeForm.for_programme(programme))


@blueprint.post("/<public_id>")
@access.needs("incentives.edit")
def save(public_id: str) -> Response | tuple[str, int]:
    programme = programmes.by_public_id(public_id, staff=current_user)
    form = ProgrammeForm.for_programme(programme)
    if not form.validate():
        return _page(programme, form), 422
    try:
        programmes.change(programme, form.rules(), budget_minor=form.budget.data, by=_actor(), now=clock.now())
    except Refusal as refusal:
        db.session.rollback()
        form.refuse(refusal)
        return _page(programme, form), 422
    db.session.commit()
    flash(_("Saved. It takes effect for new rewards."))
    return redirect(url_for("incentives.show", public_id=public_id))


@blueprint.post("/<public_id>/state")
@access.needs("incentives.edit")
def turn(public_id: str) -> Response:
    """Start, pause or end a programme."""
    programme = programmes.by_public_id(public_id, staff=current_user)
    verb = TURNS.get(request.form.get("turn", ""))
    if verb is None:
        raise NotFound
    try:
        verb(programme, by=_actor(), now=clock.now())
        db.session.commit()
    except Refusal as refusal:
        db.session.rollback()
        flash(refusal.message, "error")
    else:
        flash(_("%(name)s: %(state)s.", name=programme.name, state=reading.state_name(programme)))
    return redirect(url_for("incentives.show", public_id=public_id))


@blueprint.get("/<public_id>/ledger")
@access.needs("incentives.see")
def whole_ledger(public_id: str) -> str:
    programme = programmes.by_public_id(public_id, staff=current_user)
    before = request.args.get("before", type=row_id)
    lines, older = ledger.page(programme, before=before)
    people = reading.names_of(line.by for line in lines)
    return render_template(
        "incentives/ledger.html",
        programme=programme,
        rows=reading.rows(programme, lines, people=people),
        older=older,
        is_first=before is None,
        now=clock.now(),
    )


@blueprint.get("/<public_id>/codes")
@access.needs("incentives.edit")
def show_codes(public_id: str) -> str:
    return _codes_page(_pool(public_id), CodesForm())


@blueprint.post("/<public_id>/codes")
@access.needs("incentives.edit")
def upload_codes(public_id: str) -> Response | tuple[str, int] | str:
    """Take a list of codes and say which lines could not be taken."""
    programme, form = _pool(public_id), CodesForm()
    try:
        form.validate()
        upload = codes.upload(programme, _posted_codes(form), by=_actor(), now=clock.now())
    except Refusal as refusal:
        db.session.rollback()
        field = form.file if refusal.field == "file" else form.codes
        field.errors = [refusal.message]
        return _codes_page(programme, form), 422
    db.session.commit()
    added = _n("%(count)s code added.", "%(count)s codes added.", upload.added, count=number(upload.added))
    if upload.refused:
        return _codes_page(programme, form, upload=upload, added=added)
    flash(added)
    return redirect(url_for("incentives.show_codes", public_id=public_id))


def _pool(public_id: str) -> Programme:
    programme = programmes.by_public_id(public_id, staff=current_user)
    if programme.fulfilment != Fulfilment.POOL:
        raise NotFound
    return programme


def _posted_codes(form: CodesForm) -> str:
    text = form.codes.data or ""
    if form.file.data:
        text = codes.read(form.file.data.read()) + "\n" + text
    if not text.strip():
        raise codes.UnreadableCodes(_("Paste at least one code, or choose a file."), field="codes")
    return codes.read(text.encode("utf-8", "surrogatepass"))


def _codes_page(programme: Programme, form: CodesForm, *, upload: codes.Upload | None = None, added: str = "") -> str:
    return render_template(
        "incentives/codes.html",
        programme=programme,
        form=form,
        upload=upload,
        added=added,
        free=codes.free_count(programme),
        owed=codes.owed_count(programme),
    )


@blueprint.post("/rewards/<public_id>/decision")
@access.needs("goodwill.approve")
def decide(public_id: str) -> Response:
    """Approve or decline goodwill above a limit, as a second person."""
    reward = _visible_reward(public_id)
    verb = DECISIONS.get(request.form.get("decision", ""))
    if verb is None:
        raise NotFound
    try:
        verb(reward, by=current_user, now=clock.now())
        db.session.commit()
    except Refusal as refusal:
        db.session.rollback()
        flash(refusal.message, "error")
    else:
        given = money(reward.amount_minor, reward.currency)
        words = _("%(amount)s approved and on its way.") if verb is goodwill.approve else _("%(amount)s declined.")
        flash(words % {"amount": given})
    return redirect(_back(reward))


def _visible_reward(public_id: str) -> Reward:
    wanted = select(Reward).join(Programme).where(Reward.public_id == public_id)
    reward = db.session.scalars(visible_to(current_user, wanted, Programme.brand_id)).first()
    if reward is None:
        raise NotFound
    return reward


def _back(reward: Reward) -> str:
    """Return the page of ours that the form named, such as the case's, else the programme's."""
    wanted = request.form.get("back", "")
    if wanted.startswith("/") and not wanted.startswith(("//", "/\\")) and wanted.isprintable():
        return wanted
    return url_for("incentives.show", public_id=reward.programme.public_id)


def _actor() -> str:
    return events.staff_actor(current_user.id)


def _page(programme: Programme, form: ProgrammeForm, *, shown: list[Programme] | None = None) -> str:
    """Render a programme beside the list of all; how many queries it takes does not depend on what there is."""
    now = clock.now()
    shown = shown if shown is not None else programmes.shown_to(current_user)
    waiting = goodwill.waiting(programme) if programme.trigger == Trigger.GOODWILL else []
    lines, _older = ledger.page(programme, limit=LINES_SHOWN)
    history = programmes.history(programme)
    actors = [*(line.by for line in lines), *(reward.by for reward in waiting), *(event.actor for event in history)]
    people = reading.names_of(actors)
    return render_template(
        "incentives/programme.html",
        programme=programme,
        form=form,
        entries=reading.entries(shown, current=programme),
        summary=reading.summary(shown),
        gestures=reading.gestures(waiting, reader=current_user, people=people),
        may_decide=current_user.may("goodwill.approve"),
        may_edit=current_user.may("incentives.edit") and programme.state != ProgrammeState.ENDED,
        rows=reading.rows(programme, lines, people=people),
        history=[
            (event, people.get(event.actor, _("Amends")), reading.history_words(event, programme)) for event in history
        ],
        now=now,
        **_figures(programme, now=now),
    )


def _figures(programme: Programme, *, now: datetime) -> dict[str, Any]:
    count, average = programmes.given(programme)
    pace = budgets.pace(programme, now=now)
    return {
        "state": reading.state_name(programme),
        "tone": reading.TONES.get(ProgrammeState(programme.state), ""),
        "bar_shares": reading.shares(programme),
        "bar_words": reading.bar_words(programme),
        "pace": reading.pace_words(pace, now=now),
        "lately": money(pace.spent_minor, programme.currency),
        "given": reading.given_words(count, average, programme),
        "free_codes": codes.free_count(programme) if programme.fulfilment == Fulfilment.POOL else None,
        "owed": codes.owed_count(programme) if programme.fulfilment == Fulfilment.POOL else 0,
        "sentences": reading.who_can_get_it(programme),
    }
