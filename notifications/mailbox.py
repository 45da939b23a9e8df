"""The local mailbox: a transport that keeps what would have been sent, filled as the vendor fills it, for /mailbox."""

from __future__ import annotations

from sqlalchemy.dialects.postgresql import insert

from core import clock
from core.db import db
from notifications.models import MailboxMessage
from notifications.substitution import filled, one_line, substitutions, tags_in
from notifications.transport import Batch, Failed, Handed, Outcome, TransportError


class LocalMailbox:
    """A message is kept once, whatever is repeated."""

    repeats_harmlessly = True

    def send(self, batch: Batch) -> list[Outcome]:
        rows: list[dict[str, object]] = []
        outcomes: list[Outcome] = []
        tags = tags_in(batch.subject_template, batch.html_template, batch.text_template)
        for envelope in batch.envelopes:
            try:
                ready = substitutions(tags, envelope.values)
            except KeyError as error:
                words = f"The value {error} is missing."
                outcomes.append(Failed(envelope.message_public_id, TransportError(words, permanent=True)))
                continue
            rows.append(
                {
                    "message_public_id": envelope.message_public_id,
                    "to_address": envelope.to_address,
                    "subject": one_line(filled(batch.subject_template, ready)),
                    "text": filled(batch.text_template, ready),
                    "html": filled(batch.html_template, ready),
                    "headers": dict(envelope.headers),
                    "sent_at": clock.now(),
                }
            )
            outcomes.append(Handed(envelope.message_public_id, "mailbox"))
        if rows:
            db.session.execute(insert(MailboxMessage).on_conflict_do_nothing(), rows)
            db.session.commit()
        return outcomes
