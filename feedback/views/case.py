"""One case: what was said and done, what is next, the acts. One that fails shows the page again with what was typed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_login import current_user
from sqlalchemy import select
from sqlalchemy.orm import joinedload
from werkzeug.wrappers import Response

from accounts import visibility
from accounts.models import Staff
from core import access, clock, formats, i18n, money
from core.db import db
from core.errors import NotFound, Refusal
from core.events import staff_actor
from customers.models import Brand, Customer, Interaction
from feedback import (
    assignments,
    card,
    cases,
    clocks,
    complaint_facts,
    entries,
    files,
    letters,
    merging,
    outcome,
    policies,
    problems,
    promises,
    public,
    queues,
    resolutions,
    rows,
    seen,
    stations,
    thread,
)
from feedback.forms.staff import (
    ActForm,
    CallForm,
    GoodwillForm,
    NewCaseForm,
    NoteForm,
    PromiseForm,
    ReplyForm,
    ResolveForm,
)
from feedback.models import Case, CaseEntry, CaseState, OutcomeCheck, RootCause
from feedback.queues import Filters
from feedback.state import lock
from feedback.views.desk import asked_filters, case_address
from incentives import goodwill
from incentives.models import RewardState

blueprint = Blueprint("case", __name__, url_prefix="/desk/cases")
Answer = str | Response | tuple[str, int]
BEFORE_SHOWN = 3


@dataclass(frozen=True)
class Acts:
    """The forms of the case page, by name."""

    reply: ReplyForm
    call: CallForm
    note: NoteForm
    promise: PromiseForm
    goodwill: GoodwillForm
    resolve: ResolveForm
    staff: list[Staff]  # who can keep a promise or be given the case

    def named(self, name: str) -> ActForm:
        form: ActForm = getattr(self, name)
        return form


def acts_for(case: Case, *, filled: str, now: datetime) -> Acts:
    """Return the forms of a case; the one called `filled` takes what was posted."""

    def form(kind: type[ActForm], name: str) -> Any:
        return kind(prefix=name) if name == filled else kind(prefix=name, formdata=None)

    staff = assignments.candidates(case.brand_id)
    causes = [(cause.public_id, cause.name) for cause in resolutions.causes()]
    acts = Acts(
        reply=form(ReplyForm, "reply").renew(),
        call=form(CallForm, "call").renew(),
        note=form(NoteForm, "note").renew(),
        promise=form(PromiseForm, "promise").offer(
            now=now,
            zone=current_user.zone,
            staff=[(each.public_id, each.name) for each in staff],
            calendar=policies.calendar(case.brand.calendar_id),
        ),
        goodwill=form(GoodwillForm, "goodwill").renew(),
        resolve=form(ResolveForm, "resolve").offer(causes),
        staff=staff,
    )
    if filled != "promise":
        acts.promise.keeper.data = current_user.public_id
    return acts


@blueprint.get("/<number>")
@access.needs("desk.see")
def show(number: str) -> str:
    case, now = cases.visible(current_user, number), clock.now()
    return _page(case, acts_for(case, filled="", now=now), opened=request.args.get("act", ""), now=now)


def _page(case: Case, acts: Acts, *, opened: str, now: datetime, since: Sequence[CaseEntry] = ()) -> str:
    """Render the case; `opened` is the act that stands open, `since` what came in while a reply was written."""
    filters, me = asked_filters(), staff_actor(current_user.id)
    told = thread.thread_of(case, now=now)
    acts.reply.last_seen.data = str(told.last_entry_id)
    running = clocks.of(case.id)
    following = rows.next_of(case, told.promises, running, now=now)
    events = clocks.events_of(clock.id for clock in running)
    check = db.session.scalar(
        select(OutcomeCheck).where(OutcomeCheck.case_id == case.id).order_by(OutcomeCheck.id.desc()).limit(1)
    )
    others = merging.related(case)
    before, after = queues.neighbours(current_user, filters, case, now=now)
    return render_template(
        "feedback/case.html",
        side=_side(case, filters, now),
        case=case,
        title=rows.title(case),
        state=rows.STATES[CaseState(case.state)],
        wants=rows.WANTS.get(case.wants, ""),
        name=rows.name_of(case),
        profile=rows.band_of(case),
        list_title=queues.TITLES[filters.queue],
        list_href=url_for("desk.show", **filters.args),
        before_href=url_for("case.show", number=before, **filters.args) if before else "",
        after_href=url_for("case.show", number=after, **filters.args) if after else "",
        stations=stations.stations_of(case, clocks=running, check=check, following=following, now=now),
        explained=[
            clocks.explain(each, now=now, events=events.get(each.id, [])) for each in running if each.stopped_at is None
        ],
        before=_before(case),
        thread=told,
        complaint=complaint_facts.facts_of(case),
        files=files.of_case(case.id),
        size_of=complaint_facts.size_of,
        following=following,
        acts=acts,
        opened=opened,
        since=since,
        staff=acts.staff,
        can_write=entries.can_write_to(case),
        open_too=[each for each in others if each.merged_into_id is None],
        merged=[each for each in others if each.merged_into_id == case.id],
        goes_on=cases.by_id(case.merged_into_id) if case.merged_into_id else None,
        title_of=rows.title,
        problems=[
            (each, visibility.sees(current_user, each.brand_id))
            for each in (problems.about(case) if case.is_open else ())
        ],
        allowance=goodwill.allowance(case, by=current_user, now=now) if current_user.may("goodwill.give") else None,
        outcome_words=_outcome_words(case, now),
        card=card.card_of(case.customer, staff=current_user, now=now) if case.customer else None,
        customer_href=public.case_url(case) if case.customer else "",
        to_decide=current_user.may("goodwill.approve") and any(each.by != me for each in told.undecided),
        asked_by_oneself=any(each.by == me for each in told.undecided),
        args=filters.args,
        now=now,
    )


def _side(case: Case, filters: Filters, now: datetime) -> list[dict[str, Any]]:
    """Return the first cases of the list this case was opened from, for the side column."""
    return [
        {
            "href": case_address(each, filters),
            "score": each.score,
            "profile": rows.band_of(each),
            "name": rows.name_of(each),
            "late": each.is_open and each.due_at < now,
            "left": _("late") if each.is_open and each.due_at < now else _left(each, now),
            "current": each.id == case.id,
        }
        for each in queues.first(current_user, filters, now=now)
    ]


def _left(case: Case, now: datetime) -> str:
    away = case.due_at - now
    return formats.duration(away) if away.days < 1 else formats.day(case.due_at, "plain")


def _before(case: Case) -> list[Interaction]:
    """Return what happened to the customer just before the case, oldest first."""
    if case.customer is None:
        return []
    query = card.met_by(case.customer, current_user).where(Interaction.occurred_at < case.opened_at)
    newest = query.options(joinedload(Interaction.touchpoint)).order_by(Interaction.occurred_at.desc())
    return list(db.session.scalars(newest.limit(BEFORE_SHOWN)))[::-1]


def _outcome_words(case: Case, now: datetime) -> str:
    """Return what the button that resolves says."""
    if case.customer_id is None:
        return _("Resolve and close")
    due = outcome.due_for(case, now=now)
    days = (due - now).days
    return (
        _("Resolve and ask again in %(days)s days", days=formats.digits(days)) if days else _("Resolve and ask again")
    )


Act = Callable[[Case, Any, datetime], str]


def _act(number: str, name: str, run: Act) -> Answer:
    """Run an act's verb, or show the case again with the form open, its errors, and what was typed."""
    case, now = cases.visible(current_user, number), clock.now()
    acts = acts_for(case, filled=name, now=now)
    form = acts.named(name)
    if not form.validate():
        return _page(case, acts, opened=name, now=now), 422
    try:
        said = run(case, form, now)
        db.session.commit()
    except Refusal as refusal:
        db.session.rollback()
        put(refusal, form)
        since = getattr(refusal, "since", ())
        return _page(cases.visible(current_user, number), acts, opened=name, now=now, since=since), refusal.status
    flash(said, "success")
    return redirect(case_address(case, asked_filters()))


def put(refusal: Refusal, form: ActForm) -> None:
    """Show a refusal where it belongs: at its field, else at the form."""
    if refusal.field and refusal.field in form:
        form[refusal.field].errors = [*form[refusal.field].errors, refusal.message]
    else:
        form.form_errors = [*form.form_errors, refusal.message]


@blueprint.post("/<number>/reply")
@access.needs("cases.work")
def reply(number: str) -> Answer:
    def run(case: Case, form: ReplyForm, now: datetime) -> str:
        entries.reply(
            case,
            body=form.body.data,
            last_seen=form.seen(),
            by=current_user,
            now=now,
            form_key=form.key(),
            wait=form.wait.data,
        )
        return _("Your reply is on its way to %(name)s.", name=rows.name_of(case))

    return _act(number, "reply", run)


@blueprint.post("/<number>/calls")
@access.needs("cases.work")
def call(number: str) -> Answer:
    def run(case: Case, form: CallForm, now: datetime) -> str:
        reached = form.reached.data == "yes"
        entries.log_call(
            case,
            reached=reached,
            minutes=form.minutes.data,
            body=form.body.data,
            by=current_user,
            now=now,
            form_key=form.key(),
        )
        return _("The call is in the case.") if reached else _("The try is in the case. The clock runs on.")

    return _act(number, "call", run)


@blueprint.post("/<number>/notes")
@access.needs("cases.work")
def note(number: str) -> Answer:
    def run(case: Case, form: NoteForm, now: datetime) -> str:
        entries.note(case, body=form.body.data, by=current_user, now=now, form_key=form.key())
        return _("Noted, for the team only.")

    return _act(number, "note", run)


@blueprint.post("/<number>/promises")
@access.needs("cases.work")
def promise(number: str) -> Answer:
    def run(case: Case, form: PromiseForm, now: datetime) -> str:
        keeper = staff_of(form.keeper.data) if form.keeper.data else None
        made = promises.make(
            case,
            words=form.words.data,
            when=form.when(),
            keeper=keeper,
            by=current_user,
            now=now,
            form_key=form.key(),
        )
        if form.tell.data:
            letters.post_promise(case, made, by=current_user, now=now)
        return _("Promised by %(time)s.", time=formats.by_when(made.due_at, now))

    return _act(number, "promise", run)


@blueprint.post("/<number>/promises/<public_id>/kept")
@access.needs("cases.work")
def keep(number: str, public_id: str) -> Answer:
    """Say that a promise is fulfilled."""
    case, now = cases.visible(current_user, number), clock.now()
    kept = promises.one_of(case, public_id)
    return _at_once(case, lambda: promises.keep(kept, case=case, by=current_user, now=now), _("The promise is kept."))


@blueprint.post("/<number>/goodwill")
@access.needs("goodwill.give")
def give(number: str) -> Answer:
    def run(case: Case, form: GoodwillForm, now: datetime) -> str:
        programme = goodwill.programme_for(case.brand_id, now=now)
        currency = programme.currency if programme else case.brand.currency
        try:
            amount = money.from_decimal(form.amount.data, currency)
        except money.BadAmount as error:
            raise BadGoodwill(str(error), field="amount") from None
        lock(case)  # nothing is given in a case that is merged away this moment
        reward = goodwill.give(
            case, amount=amount.amount_minor, words=form.words.data, by=current_user, form_key=form.key(), now=now
        )
        shown = formats.money(reward.amount_minor, reward.currency)
        if reward.state == RewardState.WAITING:
            return _("%(amount)s waits for a second person: it is above what you give alone.", amount=shown)
        return _("%(amount)s goodwill is given.", amount=shown)

    return _act(number, "goodwill", run)


class BadGoodwill(Refusal):
    code = "bad-amount"


@blueprint.post("/<number>/resolve")
@access.needs("cases.work")
def resolve(number: str) -> Answer:
    def run(case: Case, form: ResolveForm, now: datetime) -> str:
        cause = db.session.scalar(select(RootCause).where(RootCause.public_id == form.cause.data))
        if cause is None:
            raise NotFound
        resolutions.resolve(case, by=current_user, cause=cause, words=form.words.data or None, now=now)
        return _("Resolved. Now the customer decides.") if case.customer_id else _("Resolved and closed.")

    return _act(number, "resolve", run)


@blueprint.post("/<number>/reopen")
@access.needs("cases.work")
def reopen(number: str) -> Answer:
    case, now = cases.visible(current_user, number), clock.now()

    def run() -> None:
        if case.off_desk:
            cases.bring_to_desk(case, by=current_user, now=now)
        else:
            resolutions.reopen(case, because="staff", by=current_user, now=now)

    return _at_once(case, run, _("The case is open again."))


@blueprint.post("/<number>/wait")
@access.needs("cases.work")
def wait(number: str) -> Answer:
    case, now = cases.visible(current_user, number), clock.now()
    done = _("Waiting for the customer. The clocks pause.")
    return _at_once(case, lambda: entries.wait(case, by=current_user, now=now), done)


@blueprint.post("/<number>/claim")
@access.needs("cases.work")
def claim(number: str) -> Answer:
    case, now = cases.visible(current_user, number), clock.now()
    me = current_user._get_current_object()
    return _at_once(case, lambda: assignments.claim(case, me, now), _("The case is yours."))


@blueprint.post("/<number>/assign")
@access.needs("cases.assign")
def assign(number: str) -> Answer:
    case, now = cases.visible(current_user, number), clock.now()
    to = staff_of(request.form.get("to", ""))
    if to not in assignments.candidates(case.brand_id):
        raise NotFound
    done = _("The case is with %(name)s now.", name=to.first_name)
    return _at_once(case, lambda: assignments.assign(case, to, by=current_user, now=now), done)


@blueprint.post("/<number>/release")
@access.needs("cases.work")
def release(number: str) -> Answer:
    """Put a case back: one's own, or anybody's for who may give cases."""
    case, now = cases.visible(current_user, number), clock.now()
    if case.assignee_id != current_user.id and not current_user.may("cases.assign"):
        raise NotFound
    done = _("The case is back on the desk for anybody.")
    return _at_once(case, lambda: assignments.release(case, by=current_user, now=now), done)


@blueprint.post("/<number>/link/stop")
@access.needs("cases.work")
def stop_link(number: str) -> Answer:
    """Stop the link that the customer has from our mails, which somebody else may have too."""
    case, now = cases.visible(current_user, number), clock.now()
    done = _("The link from our e-mails is stopped: nobody reads or writes with it.")
    return _at_once(case, lambda: cases.stop_link(case, by=current_user, now=now), done)


@blueprint.post("/<number>/link/open")
@access.needs("cases.work")
def open_link(number: str) -> Answer:
    case, now = cases.visible(current_user, number), clock.now()
    done = _("The link from our e-mails works again.")
    return _at_once(case, lambda: cases.open_link(case, by=current_user, now=now), done)


def _at_once(case: Case, run: Callable[[], object], said: str) -> Response:
    """Run an act that needs no form; a refusal is told on the case's page."""
    address = case_address(case, asked_filters())
    try:
        run()
        db.session.commit()
        flash(said, "success")
    except Refusal as refusal:
        db.session.rollback()
        flash(refusal.message, "error")
    return redirect(address)


def staff_of(public_id: str) -> Staff:
    found = db.session.scalar(select(Staff).where(Staff.public_id == public_id, Staff.active))
    if found is None:
        raise NotFound
    return found


@blueprint.get("/new")
@access.needs("cases.work")
def new() -> str:
    """Show the form for a case that no answer opened; `?customer=` names whom it is for."""
    form = _new_form(filled=False)
    if (wanted := request.args.get("customer")) and (customer := seen.by_public_id(wanted, staff=current_user)):
        form.customer.data = customer.external_id or customer.email or ""
        form.language.data = i18n.known_code(customer.language) or i18n.DEFAULT
    return render_template("feedback/new.html", form=form)


@blueprint.post("/new")
@access.needs("cases.work")
def create() -> Answer:
    form, now = _new_form(filled=True), clock.now()
    customer = seen.named(form.customer.data, staff=current_user) if form.customer.data else None
    if form.validate() and (customer or not form.customer.data):
        opened = cases.open_by_hand(_by_hand(form, customer), by=current_user, now=now)
        db.session.commit()
        flash(_("Case %(number)s is open.", number=opened.label), "success")
        return redirect(url_for("case.show", number=opened.number))
    if form.customer.data and customer is None:
        words = _("No customer has this address or number. Check it, or leave it empty.")
        form.customer.errors = [*form.customer.errors, words]
    return render_template("feedback/new.html", form=form), 422


def _new_form(*, filled: bool) -> NewCaseForm:
    form = NewCaseForm() if filled else NewCaseForm(formdata=None)
    brands = db.session.scalars(visibility.visible_to(current_user, select(Brand), Brand.id).order_by(Brand.name)).all()
    places = cases.touchpoints_of(visibility.brand_of(current_user))
    return form.offer(
        brand=[(brand.key, brand.name) for brand in brands],
        touchpoint=[("", _("Somewhere else")), *((place.key, place.name) for place in places)],
        language=[(known.code, known.name) for known in i18n.LANGUAGES.values()],
    )


def _by_hand(form: NewCaseForm, customer: Customer | None) -> cases.ByHand:
    brand = db.session.scalars(select(Brand).where(Brand.key == form.brand.data)).one()
    places = {place.key: place for place in cases.touchpoints_of(brand.id)}
    place = places.get(form.touchpoint.data)
    return cases.ByHand(
        brand=brand,
        customer=customer,
        summary=form.summary.data or "",
        words=form.words.data or None,
        form_key=form.key(),
        language=form.language.data,
        wants=form.wants.data if customer else "none",
        touchpoint_id=place.id if place else None,
    )
