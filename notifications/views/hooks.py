"""What the mail provider calls. Its signature is the only way in; there is neither session nor key."""

from __future__ import annotations

from datetime import timedelta

import structlog
from flask import Blueprint, current_app, request

from core import access, clock
from core.config import Config
from core.db import db
from core.errors import Forbidden
from notifications import events
from notifications.signature import SIGNATURE_HEADER, TIMESTAMP_HEADER, is_genuine

blueprint = Blueprint("hooks", __name__, url_prefix="/hooks")
MOST_BYTES = 4 * 1024 * 1024  # the provider posts at most 768 KB
OLDEST = timedelta(hours=24)  # so long it repeats a delivery; a replay within it changes nothing

log = structlog.get_logger(__name__)


class NotSigned(Forbidden):
    code = "not-signed"

    def sentence(self) -> str:
        return "This is not signed by the mail provider, or its signature is too old."


class NoWebhookKey(Forbidden):
    code = "no-webhook-key"

    def sentence(self) -> str:
        return "SENDGRID_WEBHOOK_KEY is not set, so nothing can be believed here."


@blueprint.post("/sendgrid")
@access.link
def sendgrid() -> tuple[str, int]:
    """Keep the events of SendGrid's signed webhook; 204 also when they were known."""
    request.max_content_length = MOST_BYTES
    now = clock.now()
    config: Config = current_app.extensions["config"]
    if not config.sendgrid_webhook_key:
        raise NoWebhookKey
    body = request.get_data(cache=False)  # raw: the signature covers these very bytes
    if not is_genuine(
        body,
        signature=request.headers.get(SIGNATURE_HEADER, ""),
        timestamp=request.headers.get(TIMESTAMP_HEADER, ""),
        public_key=config.sendgrid_webhook_key,
        now=now,
        tolerance=OLDEST,
    ):
        log.warning("webhook_not_signed")
        raise NotSigned
    events.keep(events.read(body), now=now)
    db.session.commit()
    return "", 204
