"""Where no mail provider is set up in production: messages wait for one, and do not count as sent."""

from __future__ import annotations

from notifications.transport import Batch, Failed, Outcome, TransportError


class NoProvider:
    def send(self, batch: Batch) -> list[Outcome]:
        error = TransportError("SENDGRID_API_KEY is not set.", configuration=True)
        return [Failed(envelope.message_public_id, error) for envelope in batch.envelopes]
