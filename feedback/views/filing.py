"""Staff: file a complaint for a customer on the phone, say what it is about, download what was attached."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_login import current_user
from sqlalchemy import select
from werkzeug.wrappers import Response

from accounts import visibility
from core import access, clock, i18n
from core import files as core_files
from core.db import db
from core.errors import NotFound
from customers.models import Brand, Customer
from feedback import cases, complaints, files, seen, trees
from feedback.complaints import ComplaintData
from feedback.files import BadFile, Upload
from feedback.forms.filed import FiledForm
from feedback.models import Category
from feedback.state import record

blueprint = Blueprint("filing", __name__, url_prefix="/desk")
Answer = str | Response | tuple[str, int]


@blueprint.url_value_preprocessor
def take_large_bodies(endpoint: str | None, values: Any) -> None:
    """Read more than we take, before anything looks into the form, so that a large file is refused at its field."""
    if endpoint == "filing.file":
        request.max_content_length = files.MOST_BODY_BYTES


@blueprint.get("/complaints/new")
@access.needs("cases.work")
def new() -> str:
    """Show the form; `?customer=` names whom it is for."""
    form = _form(filled=False)
    if (wanted := request.args.get("customer")) and (customer := seen.by_public_id(wanted, staff=current_user)):
        form.customer.data = customer.external_id or customer.email or ""
        form.language.data = i18n.known_code(customer.language) or i18n.DEFAULT
    return _page(form)


@blueprint.post("/complaints/new")
@access.needs("cases.work")
def file() -> Answer:
    form, now = _form(filled=True), clock.now()
    known = seen.named(form.customer.data, staff=current_user) if form.customer.data else None
    form.known = known
    brand = _brand(form.brand.data)
    fine, uploads = form.check(today=now.astimezone(ZoneInfo(brand.zone)).date()), _uploads(form)
    if form.customer.data and known is None:
        words = _("No customer has this address or number. Check it, or leave it empty.")
        form.customer.errors, fine = [*form.customer.errors, words], False
    if not fine or uploads is None:
        return _page(form), 422
    number = _file(form, brand, known, uploads, now)
    return redirect(url_for("case.show", number=number))


def _file(form: FiledForm, brand: Brand, known: Customer | None, uploads: list[Upload], now: datetime) -> int:
    data = ComplaintData(
        words=form.what.data or "",
        form_key=form.key(),
        language=form.language.data,
        customer=known,
        reference=form.ref.data or None,
        happened_on=form.happened_on,
        wish=form.right.data,
        via=form.via.data,
        contact_time=(form.at.data or None) if form.via.data == "phone" else None,
        category=form.category.data or None,
        typed_name=None if known else form.name.data or None,
        typed_email=None if known and known.email else form.typed_email,
        typed_phone=form.typed_phone,
        files=uploads,
    )
    kept = complaints.file(data, brand=brand, by=current_user._get_current_object(), now=now)
    db.session.commit()
    _complaint, case = complaints.by_public_id(kept.public_id)
    flash(_("The complaint is filed as %(number)s.", number=case.label), "success")
    return case.number


def _form(*, filled: bool) -> FiledForm:
    form = FiledForm() if filled else FiledForm(formdata=None)
    brands = db.session.scalars(visibility.visible_to(current_user, select(Brand), Brand.id).order_by(Brand.name)).all()
    form.offer(
        brand=[(brand.key, brand.name) for brand in brands],
        category=[("", _("Not said")), *((each.node.key, each.full_name) for each in trees.branches(Category))],
        language=[(known.code, known.name) for known in i18n.LANGUAGES.values()],
    )
    form.for_customer(None)
    return form


def _page(form: FiledForm) -> str:
    return render_template("feedback/complaint_new.html", form=form)


def _uploads(form: FiledForm) -> list[Upload] | None:
    try:
        return files.checked(request.files.getlist("file"))
    except BadFile as refusal:
        form.file.errors = [refusal.message]
        return None


def _brand(key: str | None) -> Brand:
    """Return one of the brands this person works for; the first where the form names none."""
    query = visibility.visible_to(current_user, select(Brand), Brand.id).order_by(Brand.name)
    brands = {brand.key: brand for brand in db.session.scalars(query)}
    if not brands:
        raise NotFound
    return brands.get(key or "") or next(iter(brands.values()))


@blueprint.post("/cases/<number>/category")
@access.needs("cases.work")
def categorise(number: str) -> Response:
    """Say what a complaint is about."""
    case, now = cases.visible(current_user, number), clock.now()
    complaint = complaints.of_case(case)
    if complaint is None:
        raise NotFound
    public_id = request.form.get("category", "")
    chosen = trees.find(Category, public_id) if public_id else None
    complaint.category = chosen.key if chosen else None
    me = current_user._get_current_object()
    record(case, "complaint.categorised", by=me, now=now, category=chosen.id if chosen else None)
    db.session.commit()
    flash(_("The complaint is filed under “%(name)s”.", name=chosen.name) if chosen else _("Taken out."), "success")
    return redirect(url_for("case.show", number=case.number))


@blueprint.get("/cases/<number>/files/<public_id>")
@access.needs("desk.see")
def download(number: str, public_id: str) -> Response:
    """Hand out an attached file, never to be shown in our name."""
    return core_files.download(files.find(cases.visible(current_user, number), public_id))
