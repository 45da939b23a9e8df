"""What customers read about their case: the sentences that its page, the thank-you page and mails share."""

from __future__ import annotations

from datetime import datetime

from flask import current_app
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from core import formats, i18n, tokens
from core.config import Config
from feedback.models import Case, Promise, PromiseState

OUTCOMES = {
    PromiseState.OPEN: _l("Open"),
    PromiseState.KEPT: _l("Kept"),
    PromiseState.LATE: _l("Kept late"),
    PromiseState.BROKEN: _l("Not kept"),
    PromiseState.RENEGOTIATED: _l("Agreed anew"),
}


def case_url(case: Case) -> str:
    """Return the private address of a case's page for its customer."""
    config: Config = current_app.extensions["config"]
    return f"{config.base_url}/c/{tokens.sign('case', case.public_id)}"


def contact_words(wants: str) -> str:
    """Return what a customer is told will happen first, without the time."""
    if wants == "phone":
        return _("A person from our team calls you")
    return _("A person from our team writes to you")


def title(case: Case) -> str:
    """Return the heading of a case for its customer, in the language that is spoken."""
    if case.summary:
        return case.summary
    phrases = case.touchpoint.phrases if case.touchpoint else {}
    phrase = phrases.get(i18n.language()) or phrases.get("en")
    return _("What went wrong with %(occasion)s", occasion=phrase) if phrase else _("What went wrong")


def what(promise: Promise, case: Case) -> str:
    """Return a promise's words; those of a first contact in the language that is spoken."""
    return contact_words(case.wants) if promise.kind == "contact" else promise.words


def by_when(promise: Promise, case: Case, now: datetime) -> str:
    """Return a promise as one sentence: "A person from our team calls you by 16:00 today"."""
    return _("%(promise)s by %(time)s", promise=what(promise, case), time=formats.by_when(promise.due_at, now))
