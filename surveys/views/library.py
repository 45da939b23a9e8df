"""/surveys/library: the surveys that are ready to use, by journey stage, each with its method and its page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_login import current_user
from sqlalchemy import select
from werkzeug.wrappers import Response

from accounts import visibility
from core import access, clock, i18n, security
from core.db import db
from core.errors import NotFound
from customers.models import Brand
from surveys import library, pages, versions
from surveys.library import Template, UnknownTemplate
from surveys.models import Survey
from surveys.pages import Address
from surveys.views import loading

blueprint = Blueprint("survey_library", __name__)


@blueprint.get("/surveys/library")
@access.needs("surveys.see")
def index() -> Response:
    """Show every survey of the library, and the page of the chosen one as a customer sees it."""
    known = library.templates()
    chosen = known.get(request.args.get("template", "")) or next(iter(known.values()))
    language = chosen.asked.language(request.args.get("language"))
    page = render_template(
        "surveys/library.html",
        stages=_by_stage(known),
        chosen=chosen,
        language_read=language,
        languages=list(i18n.LANGUAGES.values()),
        brands=_brands(),
        used=_used(list(known)),
    )
    return loading.with_frame(page)


@blueprint.get("/surveys/library/<template>/preview")
@access.needs("surveys.see")
def preview(template: str) -> Response:
    """Show the page of a survey of the library as a customer would see it; it sends nothing."""
    asked = _template(template).asked
    brands = _brands()
    if not brands:
        raise NotFound
    address = Address(path=url_for("survey_library.preview", template=template), query=loading.preview_query())
    html = pages.preview(
        loading.nobody(brands[0]),
        asked,
        address,
        language=asked.language(request.args.get("lang")),
        nonce=security.csp_nonce(),
        now=clock.now(),
    )
    return loading.in_frame(html)


@blueprint.post("/surveys/library/<template>/use")
@access.needs("surveys.edit")
def use(template: str) -> Response:
    """Make a survey of the library one of a brand's own, as a draft to look through and publish."""
    found = _template(template)
    brands = _brands()
    wanted = request.form.get("brand")
    brand = next((each for each in brands if wanted in (None, each.key)), None)
    if brand is None:
        raise NotFound
    survey = versions.take(found.key, brand=brand, by=f"staff:{current_user.id}", now=clock.now())
    db.session.commit()
    flash(_("“%(name)s” is yours as a draft. Look through it, then publish it.", name=survey.name), "success")
    return redirect(url_for("survey_drafts.edit", key=survey.key), 303)


def _template(key: str) -> Template:
    try:
        return library.template(key)
    except UnknownTemplate:
        raise NotFound from None


def _brands() -> Sequence[Brand]:
    query = select(Brand).order_by(Brand.id)
    return db.session.scalars(visibility.visible_to(current_user, query, Brand.id)).all()


def _by_stage(known: Mapping[str, Template]) -> list[tuple[str, list[Template]]]:
    return [(str(library.STAGES[stage]), list(each)) for stage, each in groupby(known.values(), lambda one: one.stage)]


def _used(keys: list[str]) -> set[str]:
    """Return which keys are surveys of this installation already."""
    query = select(Survey.key).where(Survey.key.in_(keys))
    return set(db.session.scalars(visibility.visible_to(current_user, query, Survey.brand_id)))
