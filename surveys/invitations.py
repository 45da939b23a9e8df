"""Inviting: decide for interactions, send what is due after looking once more, and let links run out.

Deciding takes as many statements for 1 interaction as for 1,000; what was decided is kept with its inputs. Outcome
checks are invited elsewhere (`surveys.outcomes`): quarantine, sampling and holds do not apply to them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, cast

from sqlalchemy import BigInteger, Select, Table, any_, bindparam, delete, func, literal, or_, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import joinedload
from sqlalchemy.orm.util import identity_key

from core import outbox
from core.db import db, new_public_id, written
from core.i18n import DEFAULT, known_code
from core.inserting import among, insert_many
from core.outbox import Item
from core.prepared import Prepared
from customers import customers
from customers.models import Brand, Customer, Interaction, Touchpoint
from feedback.models import OPEN_STATES, Case, CaseState, Origin
from incentives import reserving, rewards
from incentives.models import Programme, Reward, RewardState
from incentives.reserving import Wanted
from notifications import suppression
from surveys import letters, rules, silence
from surveys.models import Decision, Invitation, InvitationRule, InvitationState, SurveyVersion
from surveys.opened import OPEN_STATES as ANSWERABLE
from surveys.rules import Facts, Reason

BATCH: Final = 200  # invitations sent in one go
EXPIRE_BATCH: Final = 500
INVITED: Final = "invited"
DELAYED: Final = "delayed"
SKIPPED: Final = "skipped"
AGAIN: Final = "decided_again_at"  # in the inputs of what was looked at once more before sending
STARTED: Final = "started"  # an interaction that was left half-done


# Deciding


def decide(interactions: Sequence[Interaction], *, new: Collection[int] = frozenset(), now: datetime) -> list[Decision]:
    """Decide for each interaction whether its customer is asked; return the decisions in the same order.

    `new` are ids of interactions that came in this very transaction: nobody can have decided for them. A decision once
    made stands: asked again, it is returned as it was. Only what was skipped while it was half-done is decided anew
    once it is completed. At most ten statements, however many there are.
    """
    known = _decided([interaction.id for interaction in interactions if interaction.id not in new])
    _forget_half_done(interactions, known)
    fresh = {each.id: each for each in interactions if each.id not in known}
    if fresh:
        judged = _judge_all(list(fresh.values()), now=now)
        made = _keep(judged, now=now)
        if len(made) < len(judged):  # another call decided the same interaction meanwhile: what it said holds
            known |= _decided(fresh.keys() - made.keys())
        _invite([each for each in judged if each.facts.interaction.id in made], now=now)
        known |= made
    return [known[interaction.id] for interaction in interactions]


@dataclass(frozen=True)
class Judged:
    facts: Facts
    reason: Reason
    language: str  # to write in

    @property
    def outcome(self) -> str:
        if self.reason is not Reason.INVITED:
            return SKIPPED
        return INVITED if self.facts.send_at <= self.facts.now else DELAYED


def _decided(interaction_ids: Collection[int]) -> dict[int, Decision]:
    if not interaction_ids:
        return {}
    query = select(Decision).where(Decision.interaction_id == among(interaction_ids))
    return {decision.interaction_id: decision for decision in db.session.scalars(query)}


def _forget_half_done(interactions: Sequence[Interaction], known: dict[int, Decision]) -> None:
    """Drop the decisions that skipped, as half-done, what has been completed since.

    What was skipped only as it was about to be sent keeps its decision: it has its invitation.
    """
    done = {each.id for each in interactions if each.status == "completed"}
    stale = [
        decision.id
        for decision in known.values()
        if decision.interaction_id in done
        and decision.outcome == SKIPPED
        and decision.inputs.get("status") == STARTED
        and AGAIN not in decision.inputs
    ]
    if stale:
        gone = db.session.scalars(delete(Decision).where(Decision.id.in_(stale)).returning(Decision.interaction_id))
        for interaction_id in gone.all():
            db.session.expunge(known.pop(interaction_id))


def _judge_all(interactions: Sequence[Interaction], *, now: datetime) -> list[Judged]:
    places = list({each.touchpoint_id for each in interactions})
    found = {row.touchpoint_id: row for row in _RULES_OF.run(places=places)}
    people = _customers({each.customer_id for each in interactions if each.customer_id})
    invited = _last_invited(people)
    held = _holding(people)
    stopped = suppression.suppressed_among([each.email for each in people.values() if each.email], "survey")
    silent = _silent(found.values(), people, now=now)
    judged = []
    for interaction in interactions:
        rule = found.get(interaction.touchpoint_id)
        customer = people.get(interaction.customer_id or 0)
        facts = Facts(
            interaction=interaction,
            customer=customer,
            rule=rule,
            version_id=rule.version_id if rule else None,
            is_suppressed=bool(customer and customer.email in stopped),
            holds=held.get(customer.id) if customer else None,
            last_invited_at=invited.get(customer.id) if customer else None,
            now=now,
            is_silent=bool(customer and customer.id in silent),
        )
        language = language_for(customer, rule.brand_language if rule else DEFAULT)
        judged.append(Judged(facts, rules.judge(facts), language))
        if customer and judged[-1].reason is Reason.INVITED:  # the next interaction of the same batch sees this one
            invited[customer.id] = facts.send_at
    return judged


def _silent(asked: Iterable[InvitationRule], people: Mapping[int, Customer], *, now: datetime) -> frozenset[int]:
    return silence.silent_among(people.keys(), now=now) if silence.is_asked_about(asked) else frozenset()


def _customers(customer_ids: set[int]) -> dict[int, Customer]:
    """Return the records; those that the session holds already are not asked for."""
    held = ((id_, db.session.identity_map.get(identity_key(Customer, id_))) for id_ in customer_ids)
    people = {id_: customer for id_, customer in held if customer is not None}
    if missing := customer_ids - people.keys():
        people |= {each.id: each for each in db.session.scalars(select(Customer).where(Customer.id == among(missing)))}
    return people


def _last_invited(people: Mapping[int, Customer]) -> dict[int, datetime]:
    """Return from when quarantine counts: the last invitation sent, or when a waiting one goes out."""
    last = {each.id: each.last_invited_at for each in people.values() if each.last_invited_at}
    for row in _WAITING_FOR.run(people=list(people)) if people else ():
        last[row.customer_id] = max(row.send_at, last.get(row.customer_id, row.send_at))
    return last


def _holding(people: Mapping[int, Customer]) -> dict[int, Reason]:
    """Return who waits for us to put something right. Imported cases hold nobody: they are history until taken up."""
    held: dict[int, Reason] = {}
    for row in _CASES_OF.run(people=list(people)) if people else ():
        if held.get(row.customer_id) is not Reason.OPEN_COMPLAINT:
            held[row.customer_id] = Reason.OPEN_COMPLAINT if row.origin == Origin.COMPLAINT else Reason.OPEN_CASE
    return held


_invitation, _case = cast(Table, Invitation.__table__), cast(Table, Case.__table__)
_rule, _version = cast(Table, InvitationRule.__table__), cast(Table, SurveyVersion.__table__)
_asked_now = (
    select(_version.c.id)
    .where(_version.c.survey_id == _rule.c.survey_id, _version.c.published_at.is_not(None))
    .order_by(_version.c.number.desc())
    .limit(1)
    .scalar_subquery()
)
_RULES_OF: Final = Prepared(  # every column of the rules, so that a row is as good as the rule
    select(_rule, _asked_now.label("version_id"), Brand.__table__.c.language.label("brand_language"))
    .join(Touchpoint.__table__, Touchpoint.__table__.c.id == _rule.c.touchpoint_id)
    .join(Brand.__table__, Brand.__table__.c.id == Touchpoint.__table__.c.brand_id)
    .where(_rule.c.touchpoint_id == any_(bindparam("places", type_=ARRAY(BigInteger))))
)
_AMONG_PEOPLE: Final = any_(bindparam("people", type_=ARRAY(BigInteger)))
_WAITING_FOR: Final = Prepared(
    select(_invitation.c.customer_id, func.max(_invitation.c.send_at).label("send_at"))
    .where(_invitation.c.customer_id == _AMONG_PEOPLE, _invitation.c.state == literal(str(InvitationState.WAITING)))
    .where(_invitation.c.outcome_check_id.is_(None))
    .group_by(_invitation.c.customer_id)
)
_CASES_OF: Final = Prepared(
    select(_case.c.customer_id, _case.c.origin)
    .where(_case.c.customer_id == _AMONG_PEOPLE, _case.c.off_desk.is_(False))
    .where(or_(*(_case.c.state == state for state in (*OPEN_STATES, CaseState.RESOLVED))))
)


def _keep(judged: Sequence[Judged], *, now: datetime) -> dict[int, Decision]:
    """Store the decisions; return, to be read, those that nobody else had made meanwhile, by their interaction."""
    rows = {
        each.facts.interaction.id: {
            "interaction_id": each.facts.interaction.id,
            "outcome": each.outcome,
            "rule": str(each.reason),
            "send_at": each.facts.send_at if each.reason is Reason.INVITED else None,
            "next_eligible_at": each.facts.next_eligible_at,
            "inputs": _inputs(each.facts),
            "decided_at": now,
        }
        for each in judged
    }
    made = insert_many(Decision, list(rows.values()), unless="(interaction_id)", returning=("id", "interaction_id"))
    return {each.interaction_id: Decision(id=each.id, **rows[each.interaction_id]) for each in made}


def _inputs(facts: Facts) -> dict[str, Any]:
    """Return what was looked at: codes and numbers, no personal text."""
    rule, customer = facts.rule, facts.customer
    inputs: dict[str, Any] = {"suppressed": facts.is_suppressed, "holds": facts.holds, "sample": facts.sample}
    inputs["status"] = facts.interaction.status
    if rule:
        inputs |= {
            "rule": rule.key,
            "active": rule.active,
            "version": facts.version_id,
            "delay_minutes": rule.delay_minutes,
            "sample_percent": rule.sample_percent,
            "quarantine_days": rule.quarantine_days,
            "needs_consent": rule.needs_consent,
            "max_age_days": rule.max_age_days,
        }
    if customer:
        inputs |= {
            "consent": customer.survey_consent,
            "has_address": bool(customer.email),
            "last_invited_at": facts.last_invited_at.isoformat() if facts.last_invited_at else None,
        }
    return inputs


def _invite(judged: Sequence[Judged], *, now: datetime) -> None:
    rows = [_row(each, now) for each in judged if each.reason is Reason.INVITED]
    if not rows:
        return
    sent = insert_many(Invitation, rows, returning=("id", "send_at"))
    outbox.later_each("invitation.send", [(str(row.id), {"invitation_id": row.id}, row.send_at) for row in sent])


def _row(judged: Judged, now: datetime) -> dict[str, Any]:
    facts, rule = judged.facts, judged.facts.the_rule
    return {
        "public_id": new_public_id(),
        "survey_id": rule.survey_id,
        "version_id": facts.version_id,
        "interaction_id": facts.interaction.id,
        "touchpoint_id": facts.interaction.touchpoint_id,
        "customer_id": facts.the_customer.id,
        "channel": "email",
        "language": judged.language,
        "state": InvitationState.WAITING,
        "created_at": now,
        "send_at": facts.send_at,
        "expires_at": facts.send_at + timedelta(days=rule.expires_days),
        "partial": {},
    }


# Sending


@outbox.handler("invitation.send", queue="messages", batch=BATCH)
def send(items: list[Item], *, now: datetime) -> None:
    """Send waiting invitations that may still go out; skip the others, and say so in their decisions."""
    people, waiting = _held([item.ids["invitation_id"] for item in items])
    facts = _facts_at_sending(waiting, people, now=now)
    going: list[Invitation] = []
    skipped: dict[int, Reason] = {}
    invited = {each.id: each.last_invited_at for each in people.values()}
    for invitation in waiting:
        customer_id = invitation.customer_id or 0
        known = facts[invitation.id]
        reason = rules.judge_again(_since(known, invited.get(customer_id)))
        if reason is Reason.INVITED:
            going.append(invitation)
            invited[customer_id] = now
        else:
            skipped[invitation.interaction_id or 0] = reason
            invitation.state = InvitationState.SKIPPED
    _hand_over(going, facts, now=now)
    _note_skipped(skipped, now=now)
    db.session.flush()


def _held(invitation_ids: Sequence[int]) -> tuple[dict[int, Customer], list[Invitation]]:
    """Hold the customers, so that two batches cannot both find them out of quarantine, and then the invitations.

    In this order, as erasing and merging do. An answer under way may hold its invitation and name its customer, which
    this lock lets it. Whose record was merged in between is held as well.
    """
    people = _locked(select(Invitation.customer_id).where(Invitation.id == among(invitation_ids)))
    waiting = _waiting(invitation_ids)
    moved = {each.customer_id for each in waiting if each.customer_id} - people.keys()
    return people | (_locked(moved) if moved else {}), waiting


def _locked(customer_ids: Select[Any] | set[int]) -> dict[int, Customer]:
    return {each.id: each for each in customers.held(select(Customer).where(Customer.id.in_(customer_ids)))}


def _waiting(invitation_ids: Sequence[int]) -> list[Invitation]:
    query = (
        select(Invitation)
        .where(Invitation.id == among(invitation_ids), Invitation.state == InvitationState.WAITING)
        .order_by(Invitation.id)
        .with_for_update()
    )
    return list(db.session.scalars(query, execution_options={"populate_existing": True}))


def _facts_at_sending(
    waiting: Sequence[Invitation], people: Mapping[int, Customer], *, now: datetime
) -> dict[int, Facts]:
    found = _rules({each.touchpoint_id for each in waiting if each.touchpoint_id})
    about = _interactions({each.interaction_id for each in waiting if each.interaction_id})
    held = _holding(people)
    stopped = suppression.suppressed_among([each.email for each in people.values() if each.email], "survey")
    silent = _silent(found.values(), people, now=now)
    facts = {}
    for each in waiting:
        customer = people.get(each.customer_id or 0)
        rule = found.get(each.touchpoint_id or 0)
        facts[each.id] = Facts(
            interaction=about[each.interaction_id or 0],
            customer=customer,
            rule=rule,
            version_id=each.version_id,
            is_suppressed=bool(customer and customer.email in stopped),
            holds=held.get(customer.id) if customer else None,
            last_invited_at=customer.last_invited_at if customer else None,
            now=now,
            is_silent=bool(customer and customer.id in silent),
        )
    return facts


def _rules(touchpoint_ids: set[int]) -> dict[int, InvitationRule]:
    """Return the rule of each touchpoint with what it advertises and whom it writes for."""
    query = select(InvitationRule).where(InvitationRule.touchpoint_id.in_(touchpoint_ids))
    query = query.options(
        joinedload(InvitationRule.programme).joinedload(Programme.brand),
        joinedload(InvitationRule.touchpoint).joinedload(Touchpoint.brand),
    )
    return {rule.touchpoint_id: rule for rule in db.session.scalars(query)}


def _interactions(interaction_ids: set[int]) -> dict[int, Interaction]:
    query = select(Interaction).where(Interaction.id == among(interaction_ids))
    return {interaction.id: interaction for interaction in db.session.scalars(query)}


def _since(facts: Facts, last_invited_at: datetime | None) -> Facts:
    return Facts(**{**vars(facts), "last_invited_at": last_invited_at})


_SENT = text("""
    UPDATE invitation SET state = :state, sent_at = :now, message_id = sent.message_id, reward_id = sent.reward_id
    FROM unnest(CAST(:ids AS bigint[]), CAST(:messages AS bigint[]), CAST(:rewards AS bigint[]))
         AS sent (id, message_id, reward_id)
    WHERE invitation.id = sent.id
""")
_INVITED = text("UPDATE customer SET last_invited_at = :now WHERE id = ANY(CAST(:ids AS bigint[]))")


def _hand_over(going: Sequence[Invitation], facts: Mapping[int, Facts], *, now: datetime) -> None:
    """Reserve what is advertised, post the messages in one batch, and note that the invitations went out."""
    advertised = _set_aside(going, facts, now=now)
    posted = letters.post_invitations([(each, facts[each.id], advertised.get(each.id)) for each in going], now=now)
    if going:
        rows = [
            (each.id, posted.get(each.id), reward.id if (reward := advertised.get(each.id)) else None) for each in going
        ]
        ids, message_ids, reward_ids = (list(column) for column in zip(*rows, strict=True))
        sent = {"ids": ids, "messages": message_ids, "rewards": reward_ids, "state": str(InvitationState.SENT)}
        db.session.execute(_SENT, sent | {"now": now})
        db.session.execute(_INVITED, {"ids": [each.customer_id for each in going], "now": now})
    for invitation in going:
        db.session.expire(invitation)  # it was changed beside the session: a row each would take a statement each


def _set_aside(going: Sequence[Invitation], facts: Mapping[int, Facts], *, now: datetime) -> dict[int, Reward]:
    """Set the advertised rewards aside until their links run out; where a programme says no, none is advertised."""
    wanted: dict[Programme, list[Wanted]] = defaultdict(list)
    for each in going:
        rule, customer = facts[each.id].rule, facts[each.id].customer
        if rule is not None and rule.programme is not None and customer is not None:
            wanted[rule.programme].append(Wanted(customer, reason_of(each.id), each.expires_at))
    held: dict[str, Reward] = {}
    for programme in sorted(wanted, key=lambda each: each.id):
        held |= reserving.reserve_each(programme, wanted[programme], by="rule", now=now)
    return {each.id: held[reason_of(each.id)] for each in going if reason_of(each.id) in held}


def reason_of(invitation_id: int) -> str:
    """Return the reason under which an invitation's reward and message are kept."""
    return f"invitation:{invitation_id}"


def _note_skipped(skipped: Mapping[int, Reason], *, now: datetime) -> None:
    if not skipped:
        return
    by_reason: dict[Reason, list[int]] = defaultdict(list)
    for interaction_id, reason in skipped.items():
        by_reason[reason].append(interaction_id)
    again = {AGAIN: now.isoformat()}
    for reason, interaction_ids in by_reason.items():
        db.session.execute(
            update(Decision)
            .where(Decision.interaction_id.in_(interaction_ids))
            .values(outcome=SKIPPED, rule=str(reason), inputs=Decision.inputs.op("||")(literal(again, JSONB)))
            .execution_options(synchronize_session=False)
        )


def send_lost(*, now: datetime, limit: int = EXPIRE_BATCH) -> int:
    """Put the work of up to `limit` invitations again that wait past their time without any; the caller commits."""
    lost = (
        select(Invitation.id)
        .where(written(Invitation.state, [InvitationState.WAITING]), Invitation.send_at < now - outbox.LOST_AFTER)
        .where(outbox.has_none("invitation.send", "invitation_id", Invitation.id))
        .order_by(Invitation.send_at)
        .limit(limit)
    )
    ids = db.session.scalars(lost).all()
    rows = [(outbox.lost_key(each, now), {"invitation_id": each}) for each in ids]
    outbox.later_many("invitation.send", rows, due_at=now)
    return len(ids)


# Running out


def expire(now: datetime, *, limit: int = EXPIRE_BATCH) -> int:
    """End up to `limit` links whose time is over, release what they reserved, return how many. The caller commits."""
    over = (
        select(Invitation.id)
        .where(written(Invitation.state, ANSWERABLE), Invitation.expires_at <= now)
        .order_by(Invitation.expires_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("over")  # runs once; a subquery may run again for each row, and then find more than the limit
    )
    ended = (
        db.session.execute(
            update(Invitation)
            .where(Invitation.id.in_(select(over.c.id)))
            .values(state=InvitationState.EXPIRED)
            .returning(Invitation.reward_id)
            .execution_options(synchronize_session=False)
        )
        .scalars()
        .all()
    )
    reserved = select(Reward).where(Reward.id.in_([id_ for id_ in ended if id_]), Reward.state == RewardState.RESERVED)
    for reward in db.session.scalars(reserved.order_by(Reward.id)):
        rewards.release(reward, now=now)
    return len(ended)


def language_for(customer: Customer | None, fallback: str) -> str:
    """Return the language to write in: the customer's if we speak it, else the brand's."""
    return known_code(customer.language if customer else None) or known_code(fallback) or DEFAULT
