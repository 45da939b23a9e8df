"""Which messages leave together: those that share a compiled template and a sender."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence

from customers.models import Brand
from notifications.kinds import KINDS, parts_of
from notifications.models import Message
from notifications.rendering import CompiledTemplate, Look, compile
from notifications.transport import Address, Batch, Envelope, unsubscribe_headers


def grouped(messages: Iterable[Message]) -> list[list[Message]]:
    """Part messages into groups of one kind, version, language, brand and shape, each in the order given."""
    groups: dict[Hashable, list[Message]] = defaultdict(list)
    for message in messages:
        key = (message.kind, message.version, message.language, message.brand_id)
        groups[(*key, parts_of(KINDS[message.kind], message.values))].append(message)
    return list(groups.values())


def compiled(message: Message) -> CompiledTemplate:
    """Return the templates of a message's group. Raises what a broken template raises."""
    return compile(
        message.kind,
        version=message.version,
        language=message.language,
        look=look_of(message.brand),
        parts=parts_of(KINDS[message.kind], message.values),
    )


def batch_of(messages: Sequence[Message], template: CompiledTemplate) -> Batch:
    """Return the batch for one group (at least one message) and its templates."""
    first = messages[0]
    return Batch(
        subject_template=template.subject,
        html_template=template.html,
        text_template=template.text,
        sender=Address(first.brand.sender_address, first.brand.sender_name),
        language=first.language,
        brand=first.brand.key,
        category=first.kind,
        envelopes=tuple(_envelope(message) for message in messages),
    )


def look_of(brand: Brand) -> Look:
    return Look(
        key=brand.key,
        name=brand.name,
        colour=brand.colour,
        privacy_url=brand.privacy_url or "",
        phone=brand.phone or "",
    )


def _envelope(message: Message) -> Envelope:
    stops = KINDS[message.kind].can_be_unsubscribed
    return Envelope(
        to_address=message.to_address or "",
        to_name=message.to_name or "",
        values=message.values,
        message_public_id=message.public_id,
        headers=unsubscribe_headers(message.values["unsubscribe_url"]) if stops else {},
        reply_to=message.brand.reply_address,
    )
