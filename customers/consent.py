"""What a customer agreed to, and took back; each change is in the log with who made it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from core import events
from customers.models import Consent, Customer

Purpose = Literal["survey", "marketing"]


def give(customer: Customer, purpose: Purpose, *, by: str, now: datetime) -> None:
    _set(customer, purpose, Consent.GIVEN, by=by, now=now)


def withdraw(customer: Customer, purpose: Purpose, *, by: str, now: datetime) -> None:
    _set(customer, purpose, Consent.WITHDRAWN, by=by, now=now)


def of(customer: Customer, purpose: Purpose) -> Consent:
    return Consent(customer.survey_consent if purpose == "survey" else customer.marketing_consent)


def _set(customer: Customer, purpose: Purpose, consent: Consent, *, by: str, now: datetime) -> None:
    if of(customer, purpose) is consent:
        return
    if purpose == "survey":
        customer.survey_consent = consent
    else:
        customer.marketing_consent = consent
    events.record(f"consent.{consent}", at=now, actor=by, customer=customer.id, purpose=purpose)
