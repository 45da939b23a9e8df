"""What customers open: the survey by its private link, open forms, the thank-you page, a brand's colour.

GET never writes: links in mails are opened by scanners. No session is used: whoever holds the signed link may.
"""

from __future__ import annotations

import re
from typing import Any

from flask import Blueprint, Response, g, make_response, redirect, render_template, request, url_for
from sqlalchemy import select
from werkzeug.wrappers import Response as AnyResponse

from core import access, clock, i18n, security, tokens
from core.db import commit, db, new_public_id
from core.errors import NotFound
from customers import erasure
from customers.brands import only as only_brand
from customers.erasure import CustomerErased
from customers.models import Brand
from feedback import cases, outcome
from surveys import answering, opened, outcomes, pace, pages, thanks, versions
from surveys.answering import AlreadyAnswered
from surveys.definition import Definition
from surveys.models import InvitationState
from surveys.opened import Opened
from surveys.outcomes import NoQuestion
from surveys.pages import Address

blueprint = Blueprint("surveys", __name__)
brands = Blueprint("brand", __name__)
KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,119}")
COLOUR = re.compile(r"[#A-Za-z0-9(),.%/ +-]{3,80}")
BRAND_SECONDS = 3600
MAX_BODY_BYTES = 256 * 1024  # the longest honest answer in any script is far below


@blueprint.before_request
def limit_body() -> None:
    """Refuse what no survey needs before it is read."""
    request.max_content_length = MAX_BODY_BYTES


# The private link


@blueprint.get("/s/<token>")
@access.link
def survey(token: str) -> AnyResponse | str:
    """Show the questions of a link, with what its address preselects; nothing is written."""
    link = _find(token)
    now = clock.now()
    if link.was_answered:
        return redirect(_thanks_address(token), 303)
    if not link.can_be_answered(now):
        return _over(link)
    language = _ask_in(link)
    return pages.show(link, _address(token, link), language=language, nonce=security.csp_nonce(), now=now)


@blueprint.post("/s/<token>")
@access.link
def answer(token: str) -> AnyResponse | str:
    """Take the answer once; a second one, also at the same moment, sees the thank-you page of the first."""
    link = _find(token)
    now = clock.now()
    if link.was_answered:
        return redirect(_thanks_address(token), 303)
    if not link.can_be_answered(now):
        return _over(link)
    language = _ask_in(link)
    asked = versions.definition_of(link.version_id)
    form = versions.filled(link.version_id, link.reachable, request.form)
    answers = answering.read(asked, form)
    if answers is None:
        answering.keep_partial(link, asked, form, now=now)
        db.session.commit()
        page = pages.show_again(
            link, _address(token, link), form, request.form, language=language, nonce=security.csp_nonce(), now=now
        )
        return make_response(page, 422)
    try:
        answering.submit(_in_language(link, language), asked, answers, now=now)
        commit()
    except AlreadyAnswered:
        db.session.rollback()
    return redirect(_thanks_address(token), 303)


@blueprint.post("/s/<token>/partial")
@access.link
def partial(token: str) -> AnyResponse:
    """Keep what is filled in so far; the small script of the page sends it."""
    link = _find(token)
    now = clock.now()
    if link.can_be_answered(now):
        form = versions.form_of(link.version_id, link.reachable)(request.form)
        answering.keep_partial(link, versions.definition_of(link.version_id), form, now=now)
        db.session.commit()
    return Response(status=204)


@blueprint.get("/s/<token>/thanks")
@access.link
def thank_you(token: str) -> AnyResponse | str:
    """Say what happens next, by whom and by when; the same after a reload or a second visit."""
    found, said = thanks.of_link(tokens.read("survey", token), now=clock.now())
    link = _known(found)
    if said is None:
        return redirect(url_for("surveys.survey", token=token), 303)
    return said.page(path=f"/s/{token}/thanks", language=_speak(link), stop_href=_stop_href(link))


def _find(token: str) -> Opened:
    """Return what a link opens. Raises NotFound for what we never signed, CustomerErased for whom we know no more."""
    return _known(opened.by_link(tokens.read("survey", token)))


def _known(link: Opened | None) -> Opened:
    if link is None:
        raise NotFound
    if link.erased_at is not None:
        _speak(link)
        raise CustomerErased
    return link


def _speak(link: Opened) -> str:
    """Speak the link's language, or the one its reader chose; return its code."""
    g.brand = link.face  # an error page then offers this brand's person
    return i18n.speak(link.language, zone=link.zone)


def _ask_in(link: Opened) -> str:
    """The same for a page with questions: return the language of the survey that comes nearest."""
    return versions.definition_of(link.version_id).language(_speak(link))


def _in_language(link: Opened, language: str) -> Opened:
    return link if link.language == language else opened.spoken(link, language)


def _address(token: str, link: Opened) -> Address:
    path = f"/s/{token}"
    return Address(path=path, query=_kept_query(), partial_path=f"{path}/partial", stop_href=_stop_href(link))


def _kept_query() -> dict[str, str]:
    return {name: request.args[name][:20] for name in ("score", "lang") if name in request.args}


def _thanks_address(token: str) -> str:
    lang = _asked_language()
    return f"/s/{token}/thanks?lang={lang}" if lang else f"/s/{token}/thanks"


def _asked_language() -> str | None:
    return i18n.known_code(request.args.get("lang"))


def _stop_href(link: Opened) -> str:
    """Return where this customer can stop surveys."""
    return f"/u/{tokens.sign('preferences', link.customer_public_id)}" if link.customer_public_id else ""


def _over(link: Opened) -> AnyResponse:
    """Say that a link is over, and offer a person."""
    _speak(link)
    why = "expired" if link.state in (*opened.OPEN_STATES, InvitationState.EXPIRED) else "revoked"
    page = render_template("surveys/public/over.html", why=why, brand=link.face)
    return make_response(page, 410)


@blueprint.errorhandler(NotFound)
def unknown(refusal: NotFound) -> AnyResponse:
    """Say that a link is not one of ours (or no longer kept), and offer a person, also where no brand is known."""
    i18n.follow_browser()
    page = render_template("surveys/public/over.html", why="unknown", brand=only_brand())
    return make_response(page, 404)


# The open form of a touchpoint


@blueprint.get("/t/<touchpoint>")
@access.link
def open_form(touchpoint: str) -> str:
    """Show a touchpoint's survey to anybody, for a QR code or a link on a page."""
    place = _place(touchpoint)
    form_key = tokens.sign("open", new_public_id())
    return _show_open(place, touchpoint, form_key)


@blueprint.post("/t/<touchpoint>")
@access.link
def answer_open(touchpoint: str) -> AnyResponse | str:
    """Take an answer that belongs to no customer; the same form sent twice is one response."""
    now = clock.now()
    place = _place(touchpoint)
    token = request.form.get("form_key", "")
    form_key = tokens.read("open", token)
    pace.check(touchpoint, request.remote_addr or "", now=now)
    language = _ask_in(place)
    asked = versions.definition_of(place.version_id)
    form = versions.filled(place.version_id, place.reachable, request.form)
    answers = answering.read(asked, form)
    if answers is None:
        address = _open_address(touchpoint, token)
        page = pages.show_again(
            place, address, form, request.form, language=language, nonce=security.csp_nonce(), now=now
        )
        return make_response(page, 422)
    return redirect(_submit_open(place, touchpoint, asked, answers, form_key, language), 303)


def _submit_open(place: Opened, touchpoint: str, asked: Definition, answers: Any, form_key: str, language: str) -> str:
    try:
        answering.submit(_in_language(place, language), asked, answers, form_key=form_key, now=clock.now())
        commit()
    except AlreadyAnswered:
        db.session.rollback()
    token = tokens.sign("answer", form_key)
    return url_for("surveys.open_thank_you", touchpoint=touchpoint, token=token, lang=_asked_language())


@blueprint.get("/t/<touchpoint>/thanks/<token>")
@access.link
def open_thank_you(touchpoint: str, token: str) -> str:
    place = _place(touchpoint)
    said = thanks.of_form(place, tokens.read("answer", token), now=clock.now())
    if said is None:
        raise NotFound
    return said.page(path=request.path, language=_speak(place), stop_href="")


def _place(touchpoint: str) -> Opened:
    found = opened.by_touchpoint(touchpoint) if KEY.fullmatch(touchpoint) else None
    if found is None:
        raise NotFound
    return opened.spoken(found, _language_of_stranger(found))


def _language_of_stranger(place: Opened) -> str:
    """Return the language of somebody we know nothing of: their browser's if the survey has it, else the brand's."""
    asked = versions.definition_of(place.version_id)
    preferred = request.accept_languages.best_match(asked.languages)
    return preferred or asked.language(i18n.known_code(place.language))


def _show_open(place: Opened, touchpoint: str, form_key: str) -> str:
    language = _ask_in(place)
    address = _open_address(touchpoint, form_key)
    return pages.show(place, address, language=language, nonce=security.csp_nonce(), now=clock.now())


def _open_address(touchpoint: str, form_key: str) -> Address:
    path = url_for("surveys.open_form", touchpoint=touchpoint)
    return Address(path=path, query=_kept_query(), form_key=form_key)


# The customer's word that all is well


@blueprint.post("/c/<token>/fixed")
@access.link
def case_fixed(token: str) -> AnyResponse:
    """Take the customer's word and put the question to them at once."""
    now = clock.now()
    case = cases.by_public_id(tokens.read("case", token))
    if case is not None:
        erasure.check(case.customer)
    if case is None:
        raise NotFound
    if case.link_revoked_at is not None:
        return redirect(f"/c/{token}", 303)  # which says so
    check = outcome.mark_fixed(case, now)
    try:
        invitation = outcomes.invite_outcome(check, now=now) if check else None
    except NoQuestion:  # a complaint, and the brand names no main survey: the customer's word is taken all the same
        invitation = None
    db.session.commit()
    if invitation is None:  # nobody to ask, or closed already: the case's page says so
        return redirect(f"/c/{token}", 303)
    signed = tokens.sign("survey", invitation.public_id)
    return redirect(url_for("surveys.survey", token=signed, lang=_asked_language()), 303)


# The brand's colour


@brands.get("/brand/<key>.css")
@access.public
def css(key: str) -> AnyResponse:
    """Return the one thing a brand may set on public pages; a colour that is none is left out."""
    known = KEY.fullmatch(key)
    colour = db.session.scalar(select(Brand.colour).where(Brand.key == key)) if known else None
    if colour is None:
        raise NotFound
    rule = f":root{{--brand:{colour}}}\n" if COLOUR.fullmatch(colour) else ""
    response = Response(rule, mimetype="text/css")
    response.headers["Cache-Control"] = f"public, max-age={BRAND_SECONDS}"
    return response
