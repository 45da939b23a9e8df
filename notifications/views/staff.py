"""/settings/messages: every message the system can send, how it looks, and how the last ones fared."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, Response, render_template, request
from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core import access, clock
from core.db import db
from core.errors import NotFound
from core.i18n import LANGUAGES
from customers.models import Brand
from notifications import delivery, overview
from notifications.batching import look_of
from notifications.kinds import KINDS, Kind, Purpose
from notifications.models import State
from notifications.rendering import Look, Rendered
from notifications.samples import sample
from notifications.views.documents import framing, mail_document

blueprint = Blueprint("messages", __name__, url_prefix="/settings/messages")

LOOKS = {"light": _l("Light"), "dark": _l("Dark"), "text": _l("Plain text")}
PURPOSES = {
    Purpose.SERVICE: _l("About the reader’s own matter"),
    Purpose.SURVEY: _l("Survey, can be unsubscribed"),
    Purpose.MARKETING: _l("Marketing, can be unsubscribed"),
    Purpose.STAFF: _l("To a member of staff, about their account"),
}
STATES = {
    State.CREATED: (_l("Waiting"), ""),
    State.SENDING: (_l("Leaving now"), "glaze"),
    State.ACCEPTED: (_l("Handed over"), "glaze"),
    State.DELIVERED: (_l("Delivered"), "fern"),
    State.BOUNCED: (_l("Bounced"), "ember"),
    State.DROPPED: (_l("Dropped"), "ember"),
    State.UNCERTAIN: (_l("Uncertain"), ""),
    State.SUPPRESSED: (_l("Not sent"), ""),
    State.FAILED: (_l("Failed"), "ember"),
}
FAILURES = {
    "permanent": _l("Refused for good: the address or the message is at fault."),
    "temporary": _l("The provider was away; these wait and leave by themselves."),
    "configuration": _l("The provider refuses our key, sender or template; these wait."),
    "technical": _l("The template could not be filled; this needs a developer."),
    "uncertain": _l("The provider’s reply was lost; sent again once if nothing more is heard."),
    "suppressed": _l("The address must not be written to: bounced, unsubscribed or erased."),
}


@dataclass(frozen=True)
class Preview:
    """What is looked at: one kind in one language and look, with or without its optional parts."""

    kind: Kind
    language: str
    look: str
    fully: bool

    def link(self, **changes: object) -> dict[str, object]:
        """Return this preview's arguments of url_for, with changes."""
        asked: dict[str, object] = {"kind": self.kind.name, "language": self.language, "look": self.look}
        if not self.fully:
            asked["short"] = 1
        return {name: value for name, value in (asked | changes).items() if value is not None}


@blueprint.get("")
@access.needs("messages.see")
def settings() -> Response:
    """Show a preview, the last messages and what failed lately."""
    preview = _asked_preview()
    page = render_template(
        "messages/settings.html",
        kinds=KINDS.values(),
        purposes=PURPOSES,
        preview=preview,
        rendered=_rendered(preview),
        looks=LOOKS,
        languages=LANGUAGES.values(),
        messages=overview.last_messages(),
        failures=overview.failures(now=clock.now()).most_common(),
        titles={name: kind.title for name, kind in KINDS.items()},
        states=STATES,
        failure_words=FAILURES,
        trouble=delivery.trouble(),
        now=clock.now(),
    )
    return framing(page)


@blueprint.get("/preview")
@access.needs("messages.see")
def document() -> Response:
    """Answer with the previewed mail itself."""
    preview = _asked_preview()
    return mail_document(_rendered(preview).html, look=preview.look)


def _asked_preview() -> Preview:
    kind = KINDS.get(request.args.get("kind", next(iter(KINDS))))
    language, look = request.args.get("language", "en"), request.args.get("look", "light")
    if kind is None or language not in LANGUAGES or look not in LOOKS:
        raise NotFound
    return Preview(kind, language, look, fully="short" not in request.args)


def _rendered(preview: Preview) -> Rendered:
    return sample(preview.kind.name, language=preview.language, look=_look(), fully=preview.fully)


def _look() -> Look:
    brand = db.session.scalar(select(Brand).order_by(Brand.id).limit(1))
    return look_of(brand) if brand else Look(key="", name="Amends", colour="oklch(.45 .09 230)")
