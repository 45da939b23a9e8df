"""The public complaint form, its receipt, and the link that confirms a typed address. No session: GET never writes."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, g, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from core import access, clock, fields, formats, i18n, pace, tokens
from core.db import db
from core.errors import Gone, NotFound
from customers import brands, erasure
from customers.models import Brand, Customer
from feedback import complaints, files, public
from feedback.actors import CUSTOMER
from feedback.complaints import ComplaintData
from feedback.files import BadFile, Upload
from feedback.forms.complaint import ComplaintForm
from feedback.models import Case, Complaint

blueprint = Blueprint("complaints", __name__, url_prefix="/complaints")
Answer = str | Response
PER_MINUTE = 10  # from one network address; an office behind one stays below
KEPT_ARGUMENTS = ("brand", "for", "lang")


@blueprint.url_value_preprocessor
def take_large_bodies(endpoint: str | None, values: Any) -> None:
    """Read more than we take, so that a film too large is refused at its field and the words are kept."""
    request.max_content_length = files.MOST_BODY_BYTES


@blueprint.get("/new")
@access.link
def new() -> str:
    brand, known = _whose()
    form = ComplaintForm().for_customer(known)
    return _page(form, brand)


@blueprint.post("/new")
@access.link
def file() -> Answer:
    """Take a complaint once; what is wrong is said at its field, and nothing typed is lost."""
    brand, known = _whose()
    now = clock.now()
    form = ComplaintForm(request.form).for_customer(known)
    try:
        pace.check("complaint", request.remote_addr or "", most=PER_MINUTE, now=now)
    except pace.TooFast as refusal:
        return make_response(_page(form, brand, problems=[("send", refusal.message)]), refusal.status)
    fine, uploads = form.check(today=now.astimezone(ZoneInfo(brand.zone)).date()), _uploads(form)
    if not fine or uploads is None:
        return make_response(_page(form, brand, lost_files=_chose_files()), 422)
    kept = complaints.file(_data(form, uploads), brand=brand, by=CUSTOMER, now=now)
    db.session.commit()
    token = tokens.sign("receipt", kept.public_id)
    return redirect(url_for("complaints.sent", token=token, **_asked_language()), 303)


def _uploads(form: ComplaintForm) -> list[Upload] | None:
    """Return the files that were sent; None with the reason at the field."""
    try:
        return files.checked(request.files.getlist("file"))
    except BadFile as refusal:
        form.file.errors = [refusal.message]
        return None


def _chose_files() -> bool:
    return any(each.filename for each in request.files.getlist("file"))


def _data(form: ComplaintForm, uploads: list[Upload]) -> ComplaintData:
    return ComplaintData(
        words=form.what.data or "",
        form_key=form.key(),
        language=i18n.language(),
        customer=form.known,
        reference=form.ref.data or None,
        happened_on=form.happened_on,
        wish=form.right.data,
        via=form.via.data,
        contact_time=(form.at.data or None) if form.via.data == "phone" else None,
        typed_name=(form.name.data or None) if "name" in form else None,
        typed_email=form.typed_email,
        typed_phone=form.typed_phone,
        files=uploads,
    )


def _whose() -> tuple[Brand, Customer | None]:
    """Return the brand of the form and who is filing, if a signed link says so; the page speaks their language."""
    brand = complaints.brand_named(request.args.get("brand", ""))
    token = request.args.get("for", "")
    known = complaints.customer_of_link(token) if token else None
    preferred = request.accept_languages.best_match(list(i18n.LANGUAGES))
    i18n.speak((known.language if known else None) or preferred or brand.language, zone=brand.zone)
    return brand, known


def _page(
    form: ComplaintForm, brand: Brand, *, problems: list[tuple[str, str]] | None = None, lost_files: bool = False
) -> str:
    found = fields.problems_of(form) if problems is None else problems
    return render_template(
        "feedback/public/complaint.html",
        form=form,
        brand=brand,
        problems=found,
        lost_files=lost_files,
        most_files=files.MOST_FILES,
        most_megabytes=files.MOST_MEGABYTES,
        hours=complaints.hours_to_contact(brand, language=i18n.language()),
        example=formats.local(clock.now() - timedelta(days=3)),
        action=url_for("complaints.file", **_kept_arguments()),
        how_href=url_for("complaints.how", brand=brand.key, **_asked_language()),
    )


def _kept_arguments() -> dict[str, Any]:
    """Return what the page's address carries, for its form to carry it too."""
    return {name: request.args[name] for name in KEPT_ARGUMENTS if name in request.args}


def _asked_language() -> dict[str, Any]:
    code = i18n.known_code(request.args.get("lang"))
    return {"lang": code} if code else {}


@blueprint.get("/sent/<token>")
@access.link
def sent(token: str) -> str:
    """Say the number and by when somebody is in touch; the same after a reload."""
    complaint, case = complaints.by_public_id(tokens.read("receipt", token))
    i18n.speak(complaint.language, zone=case.brand.zone)
    g.brand = case.brand
    erasure.check(case.customer)
    return _receipt(complaint, case, now=clock.now())


def _receipt(complaint: Complaint, case: Case, *, now: datetime) -> str:
    """Render the receipt. It holds what its reader typed and nothing of whom the case was given to since."""
    to_confirm = complaint.confirmed_at is None and complaint.typed_email is not None
    known = case.customer if complaint.typed_email is None else None
    return render_template(
        "feedback/public/complaint_sent.html",
        complaint=complaint,
        case=case,
        brand=case.brand,
        words=public.contact_words(case.wants),
        due=complaints.first_contact_due(case),
        was_contacted=case.first_contact_at is not None,
        to_confirm=to_confirm,
        mailed_to=known.email if known else "",
        case_href=f"/c/{tokens.sign('case', case.public_id)}" if known else "",
        days=formats.digits(complaints.CONFIRM_DAYS),
        now=now,
    )


@blueprint.get("/confirm/<token>")
@access.link
def confirm(token: str) -> str:
    """Show the button that confirms; opening the link alone, as scanners do, does nothing."""
    complaint, case = _to_confirm(token)
    return render_template("feedback/public/complaint_confirm.html", complaint=complaint, case=case, brand=case.brand)


@blueprint.post("/confirm/<token>")
@access.link
def confirmed(token: str) -> Response:
    complaint, case = _to_confirm(token)
    complaints.confirm(complaint, case, now=clock.now())
    db.session.commit()
    case_token = tokens.sign("case", case.public_id)
    return redirect(url_for("case_page.show", token=case_token, said="confirmed", **_asked_language()), 303)


def _to_confirm(token: str) -> tuple[Complaint, Case]:
    complaint, case = complaints.to_confirm(token, now=clock.now())
    i18n.speak(complaint.language, zone=case.brand.zone)
    g.brand = case.brand
    erasure.check(case.customer)
    return complaint, case


@blueprint.get("/how")
@access.link
def how() -> str:
    """Tell how complaints are handled here."""
    brand, _known = _whose()
    return render_template(
        "feedback/public/complaint_how.html",
        brand=brand,
        hours=complaints.hours_to_contact(brand, language=i18n.language()),
        form_href=url_for("complaints.new", brand=brand.key, **_asked_language()),
    )


@blueprint.errorhandler(Gone)
def ended(refusal: Gone) -> Response:
    """A link to confirm that is too old: the way on is a new complaint, or a person."""
    return make_response(render_template("feedback/public/complaint_over.html", why="ended", brand=brands.only()), 410)


@blueprint.errorhandler(NotFound)
def unknown(refusal: NotFound) -> Response:
    """An address of no brand or a link of nobody's: offer a person, also where no brand is known."""
    i18n.follow_browser()
    return make_response(
        render_template("feedback/public/complaint_over.html", why="unknown", brand=brands.only()), 404
    )
