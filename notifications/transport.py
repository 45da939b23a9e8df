"""What a transport is given and what it answers: values only, no database, no vendor.

A batch is one template with many envelopes; a transport answers with exactly one outcome per envelope, in their order,
and never raises for a recipient: a batch that was half accepted must not lose the half that left.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol


class TransportError(Exception):
    """Why a message did not leave, in words without personal data (they are stored on the message).

    permanent: repeating cannot help, and it is this recipient's or this message's fault.
    uncertain: the vendor may have it; it must not be repeated before the vendor's event or a look-up decides.
    retry_after: the vendor's own wish, when it gave one.
    configuration: ours to mend (key, sender, template); the message waits and somebody is alerted.
    """

    def __init__(
        self,
        message: str,
        *,
        permanent: bool = False,
        uncertain: bool = False,
        retry_after: timedelta | None = None,
        configuration: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.permanent = permanent
        self.uncertain = uncertain
        self.retry_after = retry_after
        self.configuration = configuration


@dataclass(frozen=True)
class Address:
    email: str
    name: str = ""


@dataclass(frozen=True)
class Envelope:
    """One recipient of a batch. `values` are raw (unescaped) by field; see notifications.substitution."""

    to_address: str
    to_name: str
    values: Mapping[str, str]
    message_public_id: str
    headers: Mapping[str, str] = field(default_factory=dict)
    reply_to: str | None = None


@dataclass(frozen=True)
class Batch:
    """One compiled template and who gets it. `category` is the message kind's name; `brand` its key."""

    subject_template: str
    html_template: str
    text_template: str
    sender: Address
    language: str
    brand: str
    category: str
    envelopes: tuple[Envelope, ...]


@dataclass(frozen=True)
class Handed:
    """The vendor took it. One `provider_id` may stand for a whole call; events carry our own id beside it."""

    message_public_id: str
    provider_id: str


@dataclass(frozen=True)
class Failed:
    message_public_id: str
    error: TransportError


Outcome = Handed | Failed


class Transport(Protocol):
    def send(self, batch: Batch) -> list[Outcome]:
        """Return one outcome per envelope, in their order. Never called inside a transaction."""
        ...


def unsubscribe_headers(url: str) -> dict[str, str]:
    """One-click unsubscribe (RFC 8058): the mailbox provider posts to `url`, no person has to open a page."""
    return {"List-Unsubscribe": f"<{url}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
