"""Pages for customers: what they want to hear of, and one click that stops a mail (RFC 8058). No session, no cookie."""

from __future__ import annotations

from flask import Blueprint, Response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as Answer

from core import access, clock, tokens
from core.db import db
from core.errors import NotFound
from core.i18n import language, speak
from customers import brands
from customers.models import Customer
from notifications import preferences
from notifications.forms.public import PreferencesForm
from notifications.kinds import KINDS
from notifications.models import Message

blueprint = Blueprint("preferences", __name__, url_prefix="/u")
blueprint.register_error_handler(NotFound, brands.offer_person)
ONE_CLICK = "One-Click"


@blueprint.get("/<token>")
@access.link
def choices(token: str) -> str:
    """Show what this customer hears of."""
    customer = _greeted(preferences.customer_of(token))
    wanted = {purpose: preferences.wants(customer, purpose) for purpose in preferences.PURPOSES}
    return render_template(
        "preferences/public/choices.html",
        form=PreferencesForm(data=wanted),
        brand=preferences.brand_of(customer),
        address=customer.email,
        saved="saved" in request.args,
    )


@blueprint.post("/<token>")
@access.link
def choose(token: str) -> Answer:
    """Keep what the customer ticked."""
    customer = _greeted(preferences.customer_of(token))
    form = PreferencesForm(request.form)
    wanted = {purpose: bool(form[purpose].data) for purpose in preferences.PURPOSES}
    preferences.choose(customer, wanted, by="customer", now=clock.now())
    db.session.commit()
    return redirect(url_for("preferences.choices", token=token, saved="", lang=language()), 303)


@blueprint.get("/<token>/unsubscribe")
@access.link
def ask(token: str) -> str:
    """Show a button. Programs that open every link of a mail to look for harm must not unsubscribe anybody."""
    return _unsubscribe_page(preferences.message_of(token), token, done=False)


@blueprint.post("/<token>/unsubscribe")
@access.link
def unsubscribe(token: str) -> Response | str:
    """Stop what the mail was: for the mail program's own button in a word, for ours with a page."""
    message = preferences.message_of(token)
    preferences.stop(message, by="customer", now=clock.now())
    db.session.commit()
    if request.form.get("List-Unsubscribe") == ONE_CLICK:
        return Response("Unsubscribed.\n", mimetype="text/plain")
    return _unsubscribe_page(message, token, done=True)


def _unsubscribe_page(message: Message, token: str, *, done: bool) -> str:
    speak(message.language, zone=message.brand.zone)
    customer = message.customer
    reachable = customer is not None and customer.erased_at is None
    return render_template(
        "preferences/public/unsubscribe.html",
        brand=message.brand,
        token=token,
        done=done,
        address=message.to_address,
        what=KINDS[message.kind].purpose.value,
        preferences_token=tokens.sign("preferences", customer.public_id) if customer and reachable else None,
    )


def _greeted(customer: Customer) -> Customer:
    """Let the page speak the customer's language."""
    speak(customer.language)
    return customer
