"""The local mailbox (demo and tests only): what would have been sent, newest first, for people and for programs."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify, render_template, request, url_for
from sqlalchemy import Select, func, select

from core import access, clock
from core.db import db, row_id
from core.errors import NotFound
from notifications.models import MailboxMessage
from notifications.views.documents import framing, links_of, mail_document

blueprint = Blueprint("mailbox", __name__)
PAGE = 50
MOST = 1000  # mails in one answer of /mailbox.json


@blueprint.get("/mailbox")
@access.mailbox
def all_mail() -> str:
    """Show the mails, newest first; `?to=` shows one address's."""
    mails = list(db.session.scalars(_newest_first().limit(PAGE + 1)))
    older: dict[str, Any] = {"to": request.args.get("to"), "before": mails[PAGE - 1].id} if len(mails) > PAGE else {}
    return render_template(
        "messages/mailbox.html",
        mails=mails[:PAGE],
        next_href=url_for("mailbox.all_mail", **older) if older else "",
        now=clock.now(),
    )


@blueprint.get("/mailbox.json")
@access.mailbox
def as_json() -> Response:
    """Answer with up to 1,000 mails, newest first; `?to=` only those to one address."""
    return jsonify(
        [
            {
                "to": mail.to_address,
                "subject": mail.subject,
                "text": mail.text,
                "html": mail.html,
                "links": links_of(mail.html),
                "headers": mail.headers,
                "sent_at": mail.sent_at.isoformat(),
            }
            for mail in db.session.scalars(_newest_first().limit(MOST))
        ]
    )


@blueprint.get("/mailbox/<int:mail_id>")
@access.mailbox
def one(mail_id: int) -> Response:
    return framing(render_template("messages/mail.html", mail=_mail(mail_id), now=clock.now()))


@blueprint.get("/mailbox/<int:mail_id>/html")
@access.mailbox
def document(mail_id: int) -> Response:
    """Answer with the mail itself, as its recipient's program gets it."""
    return mail_document(_mail(mail_id).html)


def _newest_first() -> Select[MailboxMessage]:
    query = select(MailboxMessage).order_by(MailboxMessage.id.desc())
    if to := request.args.get("to", "").strip().lower():
        query = query.where(func.lower(MailboxMessage.to_address) == to)
    if before := request.args.get("before", type=row_id):
        query = query.where(MailboxMessage.id < before)
    return query


def _mail(mail_id: int) -> MailboxMessage:
    mail = db.session.get(MailboxMessage, mail_id) if mail_id < 2**63 else None
    if mail is None:
        raise NotFound
    return mail
