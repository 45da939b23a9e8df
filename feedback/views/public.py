"""The customer's own page of their case: what we promised, what happened, a way to answer. The link is its key."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Blueprint, current_app, g, redirect, render_template, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import joinedload
from werkzeug.wrappers import Response

from accounts.models import Staff
from core import access, clock, i18n, pace, tokens
from core.db import db, new_public_id
from core.errors import NotFound
from core.events import Event
from customers import brands, erasure
from feedback import cases, entries, files, merging, outcome, public
from feedback.files import BadFile, Upload
from feedback.forms.public import CustomerReplyForm
from feedback.models import Case, CaseState, Promise
from incentives.models import Reward

blueprint = Blueprint("case_page", __name__)
blueprint.register_error_handler(NotFound, brands.offer_person)
PER_MINUTE = 10  # what one network address may say in one case: nobody writes that fast
Answer = str | Response | tuple[str, int]


@blueprint.get("/c/<token>")
@access.link
def show(token: str) -> Answer:
    case = _case(token)
    if _has_ended(case):
        return render_template("feedback/public/gone.html", case=case, brand=case.brand), 410
    return _page(case, token, CustomerReplyForm(form_key=new_public_id()))


@blueprint.post("/c/<token>/reply")
@access.link
def reply(token: str) -> Answer:
    """Keep what the customer writes and attaches; the page then says that we have it."""
    request.max_content_length = files.MOST_BODY_BYTES
    case, now = _case(token), clock.now()
    if _has_ended(case):
        return render_template("feedback/public/gone.html", case=case, brand=case.brand), 410
    form = CustomerReplyForm(request.form)
    try:
        _check_pace(case, now)
    except pace.TooFast as refusal:
        form.reply.errors = [refusal.message]
        return _page(case, token, form), refusal.status
    fine, uploads = form.validate(), _uploads(form)
    if not fine or uploads is None:
        return _page(case, token, form), 422
    entry = entries.customer_reply(case, body=form.reply.data, form_key=form.key(), language=i18n.language(), now=now)
    files.attach(entry.case_id, uploads, entry_id=entry.id, now=now)
    db.session.commit()
    return redirect(url_for("case_page.show", token=token, said="reply", **_asked_language()), 303)


def _uploads(form: CustomerReplyForm) -> list[Upload] | None:
    """Return the files that came with a reply; None with the reason at the field."""
    try:
        return files.checked(request.files.getlist("file"))
    except BadFile as refusal:
        form.file.errors = [refusal.message]
        return None


@blueprint.post("/c/<token>/not-fixed")
@access.link
def not_fixed(token: str) -> Answer:
    """Take the customer's word that it is not put right."""
    case, now = _case(token), clock.now()
    if _has_ended(case):
        return render_template("feedback/public/gone.html", case=case, brand=case.brand), 410
    _check_pace(case, now)
    outcome.mark_not_fixed(case, now)
    db.session.commit()
    return redirect(url_for("case_page.show", token=token, said="not-fixed", **_asked_language()), 303)


def _check_pace(case: Case, now: datetime) -> None:
    """Raise TooFast for whoever writes to one case again and again: each time reaches the desk, with its files."""
    pace.check(f"case:{case.public_id}", request.remote_addr or "", most=PER_MINUTE, now=now)


def _case(token: str) -> Case:
    """Return the case a link names, in its customer's language, or raise NotFound."""
    case = cases.by_public_id(tokens.read("case", token))
    if case is None:
        raise NotFound
    i18n.speak(case.language, zone=case.brand.zone)
    g.brand = case.brand  # an error page then offers this brand's person
    erasure.check(case.customer)
    return case


def _has_ended(case: Case) -> bool:
    until = public.works_until(case, link_days=current_app.extensions["config"].link_days)
    return case.link_revoked_at is not None or (until is not None and until < clock.now())


def _page(case: Case, token: str, form: CustomerReplyForm) -> str:
    now = clock.now()
    also = merging.merged_into(case)
    ids = [case.id, *(each.id for each in also)]
    promises = db.session.scalars(
        select(Promise)
        .where(Promise.case_id.in_(ids))
        .options(joinedload(Promise.keeper).lazyload(Staff.roles))
        .order_by(Promise.made_at)
    ).all()
    rewards = db.session.scalars(select(Reward).where(Reward.case_id == case.id)).all()
    return render_template(
        "feedback/public/case.html",
        case=case,
        brand=case.brand,
        title=public.title(case),
        step=public.next_step(case, promises, now=now),
        told=public.timeline(
            case,
            promises,
            entries.of(*ids),
            rewards,
            also=also,
            said=_said(ids),
            files={each: _counts(each) for each in ids},
            now=now,
        ),
        can_decide=case.state != CaseState.CLOSED and case.fixed_at is None,
        form=form,
        most_files=files.MOST_FILES,
        most_megabytes=files.MOST_MEGABYTES,
        fixed_href=url_for("surveys.case_fixed", token=token, **_asked_language()),
        not_fixed_href=url_for("case_page.not_fixed", token=token, **_asked_language()),
        reply_href=url_for("case_page.reply", token=token, **_asked_language()),
        said=request.args.get("said", ""),
        works_until=public.works_until(case, link_days=current_app.extensions["config"].link_days),
        link_days=current_app.extensions["config"].link_days,
        now=now,
    )


def _said(case_ids: list[int]) -> list[tuple[str, datetime]]:
    """Return what the customer told by a button, oldest first."""
    query = select(Event.kind, Event.at).where(Event.case_id.in_(case_ids), Event.kind.in_(public.SAID))
    return [(kind, at) for kind, at in db.session.execute(query.order_by(Event.at, Event.id))]


def _counts(case_id: int) -> dict[int | None, int]:
    return {entry_id: len(sent) for entry_id, sent in files.of_case(case_id).items()}


def _asked_language() -> dict[str, Any]:
    code = i18n.known_code(request.args.get("lang"))
    return {"lang": code} if code else {}
