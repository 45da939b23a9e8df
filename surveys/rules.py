"""Whom to ask: the rules of an invitation in the order in which they are tried. All that they look at is passed in.

Each names itself in the decision, which is kept with its inputs, so that "why was I (not) asked?" has an answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, cast

from core import conditions
from customers.models import Consent, Customer, Interaction
from customers.scales import Profile
from surveys.models import InvitationRule


class Reason(StrEnum):
    """Which rule decided."""

    INVITED = "invited"
    NO_RULE = "no_rule"
    INACTIVE = "rule_inactive"
    NOT_PUBLISHED = "not_published"
    IMPORTED = "imported"
    NO_CUSTOMER = "no_customer"
    NO_ADDRESS = "no_address"
    TOO_OLD = "too_old"
    CONDITIONS = "conditions"
    CONSENT = "consent"
    SUPPRESSED = "suppressed"
    OPEN_COMPLAINT = "open_complaint"
    OPEN_CASE = "open_case"
    SAMPLING = "sampling"
    QUARANTINE = "quarantine"


@dataclass(frozen=True)
class Facts:
    """All that the rules look at for one interaction."""

    interaction: Interaction
    customer: Customer | None
    rule: InvitationRule | None
    version_id: int | None
    is_suppressed: bool
    holds: Reason | None  # an open complaint or case of this customer
    last_invited_at: datetime | None  # or the moment at which a waiting invitation goes out
    now: datetime
    is_silent: bool = False  # looked up only where a rule asks about the profile

    @property
    def the_rule(self) -> InvitationRule:
        """The rule, for whatever is tried after it is known to be there."""
        return cast(InvitationRule, self.rule)

    @property
    def the_customer(self) -> Customer:
        return cast(Customer, self.customer)

    @property
    def send_at(self) -> datetime:
        """When it would go out: the delay counts from the interaction, and never into the past."""
        return max(self.now, self.interaction.occurred_at + timedelta(minutes=self.the_rule.delay_minutes))

    @property
    def sample(self) -> int:
        """A number from 0 to 99 that is always the same for this interaction."""
        return sample_of(self.interaction.id)

    @property
    def next_eligible_at(self) -> datetime | None:
        if self.rule is None or self.last_invited_at is None or not self.rule.quarantine_days:
            return None
        return self.last_invited_at + timedelta(days=self.rule.quarantine_days)


def sample_of(interaction_id: int) -> int:
    digest = hashlib.blake2b(f"sample:{interaction_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) % 100


Rule = Callable[[Facts], Reason | None]


def judge(facts: Facts) -> Reason:
    """Return the first rule that says no, or INVITED."""
    return next(filter(None, (rule(facts) for rule in ALL)), Reason.INVITED)


def judge_again(facts: Facts) -> Reason:
    """The same at the moment of sending: what may have changed since. Age, sampling, other conditions were decided."""
    return next(filter(None, (rule(facts) for rule in AT_SENDING)), Reason.INVITED)


def _has_rule(facts: Facts) -> Reason | None:
    if facts.rule is None:
        return Reason.NO_RULE
    if not facts.rule.active:
        return Reason.INACTIVE
    return None if facts.version_id else Reason.NOT_PUBLISHED


def _is_ours(facts: Facts) -> Reason | None:
    return Reason.IMPORTED if facts.interaction.import_id is not None else None


def has_address(facts: Facts) -> Reason | None:
    if facts.customer is None:
        return Reason.NO_CUSTOMER
    return None if facts.customer.email and facts.customer.erased_at is None else Reason.NO_ADDRESS


def _is_recent(facts: Facts) -> Reason | None:
    age = facts.now - facts.interaction.occurred_at
    return Reason.TOO_OLD if age > timedelta(days=facts.the_rule.max_age_days) else None


def _meets_conditions(facts: Facts) -> Reason | None:
    tree = facts.the_rule.conditions
    if not tree or conditions.evaluate(conditions.parse(tree), _asked_about(facts)):
        return None
    return Reason.CONDITIONS


def is_still_half_done(facts: Facts) -> Reason | None:
    """Who has completed meanwhile what a rule asks about as left half-done is not asked why it stopped."""
    tree = facts.rule.conditions if facts.rule else None
    if not tree or facts.interaction.status != "completed":
        return None
    condition, now = conditions.parse(tree), _asked_about(facts)
    met_before = conditions.evaluate(condition, {**now, "status": "started"})
    return Reason.CONDITIONS if met_before and not conditions.evaluate(condition, now) else None


def _asked_about(facts: Facts) -> Mapping[str, Any]:
    interaction, customer = facts.interaction, facts.customer
    return {
        "channel": interaction.channel,
        "status": interaction.status,
        "value_minor": interaction.value_minor,
        "currency": interaction.currency,
        "staff": interaction.staff_name,
        "attributes": interaction.attributes,
        "tier": customer.tier if customer else None,
        "language": customer.language if customer else None,
        "profile": _profile(facts),
    }


def _profile(facts: Facts) -> str | None:
    if facts.is_silent:
        return Profile.SILENT
    return facts.customer.profile if facts.customer else None


def has_consent(facts: Facts) -> Reason | None:
    consent = facts.the_customer.survey_consent
    said_no = consent == Consent.WITHDRAWN
    must_say_yes = facts.rule is not None and facts.rule.needs_consent
    return Reason.CONSENT if said_no or (must_say_yes and consent != Consent.GIVEN) else None


def is_not_suppressed(facts: Facts) -> Reason | None:
    return Reason.SUPPRESSED if facts.is_suppressed else None


def holds_nothing(facts: Facts) -> Reason | None:
    """Somebody who waits for us to put something right is not asked how we do."""
    return facts.holds


def _is_in_sample(facts: Facts) -> Reason | None:
    return None if facts.sample < facts.the_rule.sample_percent else Reason.SAMPLING


def is_out_of_quarantine(facts: Facts) -> Reason | None:
    eligible = facts.next_eligible_at
    return Reason.QUARANTINE if eligible is not None and facts.send_at < eligible else None


AT_SENDING: Final[tuple[Rule, ...]] = (
    has_address,
    is_still_half_done,
    has_consent,
    is_not_suppressed,
    holds_nothing,
    is_out_of_quarantine,
)
ALL: Final[tuple[Rule, ...]] = (
    _has_rule,
    _is_ours,
    has_address,
    _is_recent,
    _meets_conditions,
    has_consent,
    is_not_suppressed,
    holds_nothing,
    _is_in_sample,
    is_out_of_quarantine,
)
