"""/settings/brands: what customers see of each brand, and what it works by."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_login import current_user
from sqlalchemy import select
from sqlalchemy.orm import joinedload
from werkzeug.wrappers import Response

from accounts import history
from accounts.brand_form import BrandForm, NewBrandForm, values_of
from accounts.views.settings import frame
from accounts.visibility import brand_of, visible_to
from core import access, clock, events
from core.db import db
from core.errors import Forbidden, NotFound, Refusal
from customers import brands
from customers.models import Brand, Calendar

blueprint = Blueprint("brand_settings", __name__, url_prefix="/settings/brands")


@blueprint.get("")
@access.needs("settings.see")
def show() -> str:
    """Show the first brand, or the form of a new one where that is asked for, or where there is none."""
    shown = _shown()
    if shown and not _wants_new():
        return _page(shown[0], _form_of(shown[0]))
    return _new_page(_new_form())


@blueprint.post("")
@access.needs("settings.edit")
def create() -> Response | tuple[str, int]:
    if brand_of(current_user) is not None:
        raise Forbidden(_("You see one brand. Somebody who sees all of them can add another."))
    form = _new_form()
    if not form.validate():
        return _new_page(form), 422
    try:
        data = form.data_of_brand()
        brand = brands.create(form.key.data, data, zone=form.zone.data, by=_actor(), now=clock.now())
    except brands.KeyTaken as taken:
        form.key.errors = [taken.message]
        return _new_page(form), taken.status
    db.session.commit()
    flash(_("%(name)s is ready. Its touchpoints come next.", name=brand.name), "success")
    return redirect(url_for("brand_settings.one", key=brand.key))


@blueprint.get("/<key>")
@access.needs("settings.see")
def one(key: str) -> str:
    brand = _brand(key)
    return _page(brand, _form_of(brand))


@blueprint.post("/<key>")
@access.needs("settings.edit")
def change(key: str) -> Response | tuple[str, int]:
    brand = _brand(key, locked=True)
    form = _form_of(brand)
    if not form.validate():
        return _page(brand, form), 422
    if form.is_stale():
        return _page(brand, form), 409
    try:
        brands.change(brand, form.data_of_brand(), by=_actor(), now=clock.now())
    except Refusal as refusal:
        db.session.rollback()
        form.form_errors.append(refusal.message)
        return _page(brand, form), refusal.status
    db.session.commit()
    flash(_("Saved. Pages and mails show it from now on."), "success")
    return redirect(url_for("brand_settings.one", key=key))


def _wants_new() -> bool:
    return "new" in request.args and current_user.may("settings.edit")


def _shown() -> list[Brand]:
    query = select(Brand).order_by(Brand.name).options(joinedload(Brand.calendar))
    return list(db.session.scalars(visible_to(current_user, query, Brand.id)))


def _brand(key: str, *, locked: bool = False) -> Brand:
    query = select(Brand).where(Brand.key == key).options(joinedload(Brand.calendar))
    query = query.with_for_update(of=Brand) if locked else query
    is_text = "\0" not in key
    brand = db.session.scalar(visible_to(current_user, query, Brand.id)) if is_text else None
    if brand is None:
        raise NotFound
    return brand


def _form_of(brand: Brand) -> BrandForm:
    form: BrandForm = BrandForm.of(values_of(brand))
    form.offer(_calendars(), brand=brand)
    return form


def _new_form() -> NewBrandForm:
    form = NewBrandForm(data={"language": "en", "currency": "EUR", "zone": "Europe/Berlin", "colour": "#115e79"})
    form.offer(_calendars())
    return form


def _calendars() -> list[Calendar]:
    return list(db.session.scalars(select(Calendar).order_by(Calendar.name)))


def _page(brand: Brand, form: BrandForm) -> str:
    return render_template(
        "settings/brand.html",
        brand=brand,
        brands=_shown(),
        form=form,
        may_edit=current_user.may("settings.edit"),
        may_add=brand_of(current_user) is None,
        last=history.last_change("brand.changed", brand=brand.id) if form.conflict else None,
        now=clock.now(),
        frame=frame(),
    )


def _new_page(form: NewBrandForm) -> str:
    return render_template(
        "settings/brand.html",
        brand=None,
        brands=_shown(),
        form=form,
        may_edit=current_user.may("settings.edit"),
        may_add=brand_of(current_user) is None,
        now=clock.now(),
        frame=frame(),
    )


def _actor() -> str:
    return events.staff_actor(current_user.id)
