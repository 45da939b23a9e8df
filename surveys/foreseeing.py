"""What a rule would have done: the last interactions judged by it, each as of its own moment. Nothing is written.

Suppression, consent and conditions on the customer are as they are today, because their past is not kept; cases,
invitations and the interactions' order are as they were.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from flask_babel import LazyString
from flask_babel import lazy_gettext as _l
from sqlalchemy import or_, select
from sqlalchemy.orm import joinedload

from core import clock
from core.db import db
from customers.models import Customer, Interaction, Touchpoint
from feedback.models import Case, Origin
from notifications import suppression
from surveys import rules, silence
from surveys.models import Invitation, InvitationRule, InvitationState
from surveys.rules import Facts, Reason

LOOKED_AT: Final = 100
WORDS: Final[Mapping[Reason, LazyString]] = {
    Reason.NOT_PUBLISHED: _l("the survey has no published version"),
    Reason.IMPORTED: _l("they were imported: nobody is asked about those"),
    Reason.NO_CUSTOMER: _l("we did not know the customer"),
    Reason.NO_ADDRESS: _l("the customer has no e-mail address"),
    Reason.TOO_OLD: _l("they came to us too late"),
    Reason.CONDITIONS: _l("they did not meet the conditions"),
    Reason.CONSENT: _l("the customer did not agree to surveys"),
    Reason.SUPPRESSED: _l("we must not write to the address"),
    Reason.OPEN_COMPLAINT: _l("the customer was waiting for an answer to a complaint"),
    Reason.OPEN_CASE: _l("the customer was waiting for us to put something right"),
    Reason.SAMPLING: _l("they fell outside the sample"),
    Reason.QUARANTINE: _l("the customer had been asked lately"),
}


@dataclass(frozen=True)
class Foreseen:
    """`skipped` counts each reason, the most frequent first; `half_done` the interactions that were left half-done."""

    looked_at: int
    invited: int
    skipped: Sequence[tuple[Reason, int]]
    half_done: int
    channels: Sequence[str]


def foresee(rule: InvitationRule, touchpoint: Touchpoint, *, version_id: int | None) -> Foreseen:
    """Judge the last hundred interactions of a touchpoint by a rule, oldest first.

    Five statements; six for a rule that asks about the profile.
    """
    interactions = _last(touchpoint)
    judged = _judge(interactions, rule, version_id)
    skipped = Counter(reason for reason in judged if reason is not Reason.INVITED)
    return Foreseen(
        looked_at=len(judged),
        invited=judged.count(Reason.INVITED),
        skipped=skipped.most_common(),
        half_done=sum(each.status == "started" for each in interactions),
        channels=sorted({each.channel for each in interactions}),
    )


def _last(touchpoint: Touchpoint) -> list[Interaction]:
    query = (
        select(Interaction)
        .where(Interaction.touchpoint_id == touchpoint.id)
        .order_by(Interaction.occurred_at.desc(), Interaction.id.desc())
        .limit(LOOKED_AT)
        .options(joinedload(Interaction.customer))
    )
    return sorted(db.session.scalars(query), key=lambda each: (_moment(each), each.id))


def _moment(interaction: Interaction) -> datetime:
    """When an interaction was decided about: once it was told, and not before it happened."""
    return max(interaction.occurred_at, interaction.received_at)


def _judge(interactions: Sequence[Interaction], rule: InvitationRule, version_id: int | None) -> list[Reason]:
    people = {each.customer.id: each.customer for each in interactions if each.customer}
    addresses = [each.email for each in people.values() if each.email]
    stopped = suppression.suppressed_among(addresses, "survey")
    silent = silence.silent_among(people, now=clock.now()) if silence.is_asked_about([rule]) else frozenset()
    cases, asked = _cases(people), _asked(people, besides=[each.id for each in interactions])
    judged = []
    for interaction in interactions:
        customer, at = interaction.customer, _moment(interaction)
        facts = Facts(
            interaction=interaction,
            customer=customer,
            rule=rule,
            version_id=version_id,
            is_suppressed=bool(customer and customer.email in stopped),
            holds=_held(cases.get(customer.id, ()), at) if customer else None,
            last_invited_at=_last_asked(asked.get(customer.id, ()), at) if customer else None,
            now=at,
            is_silent=bool(customer and customer.id in silent),
        )
        judged.append(rules.judge(facts))
        if customer and judged[-1] is Reason.INVITED:
            asked.setdefault(customer.id, []).append((at, facts.send_at))
    return judged


def _cases(people: Collection[int]) -> dict[int, list[Case]]:
    found: dict[int, list[Case]] = defaultdict(list)
    query = select(Case).where(Case.customer_id.in_(people), Case.off_desk.is_(False))
    for case in db.session.scalars(query):
        found[case.customer_id or 0].append(case)
    return found


def _held(cases: Iterable[Case], at: datetime) -> Reason | None:
    open_then = [case for case in cases if case.opened_at <= at and (case.closed_at is None or case.closed_at > at)]
    if any(case.origin == Origin.COMPLAINT for case in open_then):
        return Reason.OPEN_COMPLAINT
    return Reason.OPEN_CASE if open_then else None


def _asked(people: Mapping[int, Customer], *, besides: Collection[int]) -> dict[int, list[tuple[datetime, datetime]]]:
    """Return when each customer was invited and when that went out, apart from what is being judged."""
    columns = select(Invitation.customer_id, Invitation.created_at, Invitation.send_at)
    query = columns.where(
        Invitation.customer_id.in_(people),
        Invitation.outcome_check_id.is_(None),
        Invitation.state.not_in((InvitationState.SKIPPED, InvitationState.REVOKED)),
        or_(Invitation.interaction_id.is_(None), Invitation.interaction_id.not_in(besides)),
    )
    found: dict[int, list[tuple[datetime, datetime]]] = defaultdict(list)
    for customer_id, created_at, send_at in db.session.execute(query):
        found[customer_id or 0].append((created_at, send_at))
    return found


def _last_asked(asked: Iterable[tuple[datetime, datetime]], at: datetime) -> datetime | None:
    return max((send_at for created_at, send_at in asked if created_at <= at), default=None)
