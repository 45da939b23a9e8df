"""All that is kept about one customer, as one JSON file: what data protection law calls access.

Every table that leads to a customer is here (tests/insights/test_handing_out.py holds this list to the database). What
somebody typed into a complaint is theirs once they have confirmed the address; until then it may be a stranger's.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, Table, and_, func, inspect, or_, select

from core import events
from core.db import db
from core.events import Event
from core.files import File
from customers.erasure import shared
from customers.models import Customer, Interaction
from feedback.models import (
    Attachment,
    Case,
    CaseClock,
    CaseEntry,
    ClockEvent,
    Complaint,
    OutcomeCheck,
    Promise,
    Resolution,
)
from incentives.models import Code, LedgerEntry, Reward
from notifications import suppression
from notifications.kinds import TO_STAFF
from notifications.models import Message, MessageEvent, Suppression
from surveys.models import Decision, Invitation, Response

Theirs = Callable[["Who"], ColumnElement[bool]]
WITHOUT: Final = frozenset({"form_key", "import_key"})  # made by us against doubling; they tell of nobody
ROWS_AT_ONCE: Final = 200


class Who:
    """The records of one customer (theirs and those merged into it), and what else leads to them."""

    def __init__(self, customer: Customer) -> None:
        query = select(Customer).where(or_(Customer.id == customer.id, Customer.merged_into_id == customer.id))
        family = db.session.scalars(query).all()
        self.ids = [each.id for each in family]
        self.addresses = sorted({each.email.lower() for each in family if each.email})
        self.own = set(self.addresses) - shared(self.addresses, besides=self.ids)

    def cases(self) -> Select[Any]:
        return select(Case.id).where(Case.customer_id.in_(self.ids))

    def rewards(self) -> Select[Any]:
        return select(Reward.id).where(Reward.customer_id.in_(self.ids))

    def messages(self) -> Select[Any]:
        return select(Message.id).where(self.is_written_to())

    def is_written_to(self) -> ColumnElement[bool]:
        """Messages to a record of theirs, or to nobody known at an address that no other customer has."""
        to_nobody = and_(Message.customer_id.is_(None), Message.kind.not_in(TO_STAFF))
        is_own = func.lower(Message.to_address).in_(self.own)
        return or_(Message.customer_id.in_(self.ids), and_(to_nobody, is_own))


PARTS: Final[Mapping[type[Any], Theirs]] = {
    Customer: lambda who: Customer.id.in_(who.ids),
    Interaction: lambda who: Interaction.customer_id.in_(who.ids),
    Decision: lambda who: Decision.interaction_id.in_(
        select(Interaction.id).where(Interaction.customer_id.in_(who.ids))
    ),
    Invitation: lambda who: Invitation.customer_id.in_(who.ids),
    Response: lambda who: Response.customer_id.in_(who.ids),
    Case: lambda who: Case.customer_id.in_(who.ids),
    CaseClock: lambda who: CaseClock.case_id.in_(who.cases()),
    ClockEvent: lambda who: ClockEvent.clock_id.in_(select(CaseClock.id).where(CaseClock.case_id.in_(who.cases()))),
    CaseEntry: lambda who: CaseEntry.case_id.in_(who.cases()),
    Promise: lambda who: Promise.case_id.in_(who.cases()),
    Resolution: lambda who: Resolution.case_id.in_(who.cases()),
    OutcomeCheck: lambda who: OutcomeCheck.case_id.in_(who.cases()),
    Complaint: lambda who: Complaint.case_id.in_(who.cases()),
    Attachment: lambda who: Attachment.case_id.in_(who.cases()),
    File: lambda who: File.id.in_(select(Attachment.file_id).where(Attachment.case_id.in_(who.cases()))),
    Reward: lambda who: Reward.customer_id.in_(who.ids),
    Code: lambda who: Code.reward_id.in_(who.rewards()),
    LedgerEntry: lambda who: LedgerEntry.reward_id.in_(who.rewards()),
    Message: lambda who: who.is_written_to(),
    MessageEvent: lambda who: MessageEvent.message_id.in_(who.messages()),
    Suppression: lambda who: Suppression.address_hash.in_(suppression.hashes_of(who.addresses)),
    Event: lambda who: Event.id.in_(
        select(Event.id)
        .where(Event.customer_id.in_(who.ids))
        .union(select(Event.id).where(Event.case_id.in_(who.cases())))  # not "or", which no index serves
    ),
}


def record(customer: Customer, *, by: str, now: datetime) -> None:
    """Note that somebody took a customer's data out, so that it can be asked who did."""
    events.record("customer.handed_out", at=now, actor=by, customer=customer.id)


def pieces(customer: Customer, *, now: datetime) -> Iterator[str]:
    """Yield the file's text, row by row."""
    who = Who(customer)
    yield f'{{\n"customer": {_text(customer.public_id)},\n"handed_out_at": {_text(now)}'
    for model, theirs in PARTS.items():
        table: Table = inspect(model).local_table
        yield f',\n"{table.name}": ['
        separator = "\n"
        for row in _rows(table, theirs(who)):
            yield separator + _text(row)
            separator = ",\n"
        yield "]"
    yield "\n}\n"


def _rows(table: Table, theirs: ColumnElement[bool]) -> Iterator[dict[str, Any]]:
    columns = [column for column in table.columns if column.name not in WITHOUT]
    at_once = 1 if table.name == File.__tablename__ else ROWS_AT_ONCE
    query = select(*columns).where(theirs).order_by(table.c.id).execution_options(yield_per=at_once)
    for row in db.session.execute(query).mappings():
        yield {name: _without_links(value) for name, value in row.items() if value is not None}


def _without_links(value: Any) -> Any:
    """Leave out the links of mails: each is a key by which to act as the customer."""
    if not isinstance(value, Mapping):
        return value
    return {name: each for name, each in value.items() if not name.endswith("_url")}


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=_plain)


def _plain(value: object) -> str:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, bytes | memoryview):
        return b64encode(value).decode()
    return str(value)
