"""Who is asked and who is not: each rule, what is kept of it, what is sent, and how links run out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, insert, select

from core import clock, outbox
from core.db import db, new_public_id
from customers.models import Consent, Customer, Interaction
from feedback import outcome
from feedback.models import Case, CaseState, OutcomeCheck, OutcomeState
from incentives.models import Programme, Reward, RewardState
from notifications import suppression
from notifications.models import MailboxMessage, Message
from surveys import invitations, outcomes, rules
from surveys.models import Decision, Invitation, InvitationRule, InvitationState, Response
from surveys.rules import Reason
from tests.client import count_queries
from tests.factories import (
    make_case,
    make_customer,
    make_interaction,
    make_invitation,
    make_programme,
    make_rule,
    make_survey,
    make_touchpoint,
)


@pytest.fixture
def rule(app: Flask) -> InvitationRule:
    return make_rule()


def decide_one(rule: InvitationRule, customer: Customer | None = None, **more: Any) -> Decision:
    interaction = make_interaction(rule.touchpoint, customer or make_customer(), **more)
    return invitations.decide([interaction], now=clock.now())[0]


def send_due() -> None:
    db.session.commit()
    outbox.drain("messages")
    db.session.expire_all()


def invitations_in(state: InvitationState) -> Sequence[Invitation]:
    return db.session.scalars(select(Invitation).where(Invitation.state == state)).all()


def test_an_interaction_is_invited_at_once_where_there_is_no_delay(rule: InvitationRule) -> None:
    decision = decide_one(rule)
    send_due()

    assert (decision.outcome, decision.rule) == ("invited", Reason.INVITED)
    invitation = invitations_in(InvitationState.SENT)[0]
    message = db.session.get_one(Message, invitation.message_id)
    assert "/s/" in message.values["survey_url"]
    assert message.values["question"].startswith("How likely are you to recommend")
    assert message.values["occasion"] == "your call"
    assert db.session.scalar(select(func.count()).select_from(MailboxMessage)) == 1


def test_a_delay_counts_from_the_interaction(rule: InvitationRule) -> None:
    rule.delay_minutes = 24 * 60
    occurred_at = clock.now() - timedelta(hours=20)

    decision = decide_one(rule, occurred_at=occurred_at)
    send_due()

    assert decision.outcome == "delayed"
    assert decision.send_at == occurred_at + timedelta(days=1)
    assert invitations_in(InvitationState.SENT) == []
    with clock.moved(timedelta(hours=5)):
        send_due()
    assert len(invitations_in(InvitationState.SENT)) == 1


def test_a_decision_is_made_once(rule: InvitationRule) -> None:
    interaction = make_interaction(rule.touchpoint, make_customer())

    first = invitations.decide([interaction], now=clock.now())[0]
    second = invitations.decide([interaction], now=clock.now())[0]

    assert first.id == second.id
    assert db.session.scalar(select(func.count()).select_from(Invitation)) == 1


def test_the_decision_keeps_what_it_looked_at(rule: InvitationRule) -> None:
    decision = decide_one(rule)

    assert decision.inputs["rule"] == rule.key
    assert decision.inputs["consent"] == Consent.UNKNOWN
    assert decision.inputs["suppressed"] is False
    assert decision.inputs["quarantine_days"] == 30
    assert 0 <= decision.inputs["sample"] < 100


def test_where_nothing_asks_nobody_is_asked(app: Flask) -> None:
    interaction = make_interaction(make_touchpoint(), make_customer())

    decision = invitations.decide([interaction], now=clock.now())[0]

    assert (decision.outcome, decision.rule) == ("skipped", Reason.NO_RULE)


def test_an_inactive_rule_asks_nobody(rule: InvitationRule) -> None:
    rule.active = False

    assert decide_one(rule).rule == Reason.INACTIVE


def test_a_survey_that_is_not_published_asks_nobody(rule: InvitationRule) -> None:
    from surveys.models import SurveyVersion

    db.session.execute(SurveyVersion.__table__.update().values(published_at=None))  # type: ignore[attr-defined]

    assert decide_one(rule).rule == Reason.NOT_PUBLISHED


def test_nobody_known_is_not_asked(rule: InvitationRule) -> None:
    decision = invitations.decide([make_interaction(rule.touchpoint, None)], now=clock.now())[0]

    assert decision.rule == Reason.NO_CUSTOMER


def test_a_customer_without_an_address_is_not_asked(rule: InvitationRule) -> None:
    assert decide_one(rule, make_customer(email=None)).rule == Reason.NO_ADDRESS


def test_an_interaction_that_is_too_old_is_not_asked_about(rule: InvitationRule) -> None:
    assert decide_one(rule, occurred_at=clock.now() - timedelta(days=15)).rule == Reason.TOO_OLD


def test_who_said_no_is_not_asked(rule: InvitationRule) -> None:
    assert decide_one(rule, make_customer(survey_consent=Consent.WITHDRAWN)).rule == Reason.CONSENT


@pytest.mark.parametrize(("consent", "asked"), [(Consent.UNKNOWN, Reason.CONSENT), (Consent.GIVEN, Reason.INVITED)])
def test_a_rule_that_needs_consent_asks_only_who_said_yes(rule: InvitationRule, consent: str, asked: str) -> None:
    rule.needs_consent = True

    assert decide_one(rule, make_customer(survey_consent=consent)).rule == asked


@pytest.mark.parametrize("scope", ["survey", "all"])
def test_a_suppressed_address_is_not_asked(rule: InvitationRule, scope: Any) -> None:
    customer = make_customer(email="Gone@Customer.example")
    suppression.suppress("gone@customer.example", scope, "unsubscribe", clock.now())

    assert decide_one(rule, customer).rule == Reason.SUPPRESSED


def test_a_marketing_unsubscribe_does_not_stop_a_question(rule: InvitationRule) -> None:
    customer = make_customer()
    suppression.suppress(str(customer.email), "marketing", "unsubscribe", clock.now())

    assert decide_one(rule, customer).rule == Reason.INVITED


@pytest.mark.parametrize(("origin", "reason"), [("complaint", Reason.OPEN_COMPLAINT), ("answer", Reason.OPEN_CASE)])
def test_who_waits_for_us_is_not_asked(rule: InvitationRule, origin: str, reason: str) -> None:
    customer = make_customer()
    make_case(rule.touchpoint.brand, customer=customer).origin = origin

    assert decide_one(rule, customer).rule == reason


def test_a_closed_case_holds_nobody(rule: InvitationRule) -> None:
    customer = make_customer()
    case = make_case(rule.touchpoint.brand, customer=customer)
    case.state, case.closed_at = CaseState.CLOSED, clock.now()

    assert decide_one(rule, customer).rule == Reason.INVITED


def test_sampling_is_always_the_same_for_an_interaction(rule: InvitationRule) -> None:
    rule.sample_percent = 50
    asked = [make_interaction(rule.touchpoint, make_customer()) for _ in range(60)]

    decisions = invitations.decide(asked, now=clock.now())

    for interaction, decision in zip(asked, decisions, strict=True):
        wanted = Reason.INVITED if rules.sample_of(interaction.id) < 50 else Reason.SAMPLING
        assert decision.rule == wanted
    assert 10 <= sum(decision.rule == Reason.INVITED for decision in decisions) <= 50


def test_conditions_pick_the_interactions(rule: InvitationRule) -> None:
    rule.conditions = {"field": "attributes.reason", "op": "==", "value": "return"}

    assert decide_one(rule, attributes={"reason": "return"}).rule == Reason.INVITED
    assert decide_one(rule, attributes={"reason": "advice"}).rule == Reason.CONDITIONS


def test_what_was_skipped_half_done_is_decided_anew_once_it_is_completed(rule: InvitationRule) -> None:
    rule.conditions = {"field": "status", "op": "==", "value": "completed"}
    order = make_interaction(rule.touchpoint, make_customer(), status="started")
    [left] = invitations.decide([order], now=clock.now())
    left_told = (left.outcome, left.rule)
    order.status = "completed"

    [done] = invitations.decide([order], now=clock.now())
    [again] = invitations.decide([order], now=clock.now())

    assert left_told == ("skipped", Reason.CONDITIONS)
    assert done.outcome == "invited"
    assert again.id == done.id
    assert db.session.scalar(select(func.count()).select_from(Invitation)) == 1


def test_what_was_skipped_at_sending_stays_skipped_when_it_is_completed(rule: InvitationRule) -> None:
    customer = make_customer()
    basket = make_interaction(rule.touchpoint, customer, status="started")
    invitations.decide([basket], now=clock.now())
    case = make_case(rule.touchpoint.brand, customer=customer)
    db.session.commit()
    send_due()
    case.state, case.closed_at = "closed", clock.now()
    basket.status = "completed"
    db.session.commit()

    [again] = invitations.decide([basket], now=clock.now())

    assert (again.outcome, again.rule) == ("skipped", Reason.OPEN_CASE)
    assert db.session.scalar(select(func.count()).select_from(Invitation)) == 1


def test_what_was_skipped_when_completed_stays_skipped(rule: InvitationRule) -> None:
    rule.conditions = {"field": "status", "op": "==", "value": "started"}
    order = make_interaction(rule.touchpoint, make_customer())

    first, second = (invitations.decide([order], now=clock.now())[0] for _ in range(2))

    assert first.id == second.id
    assert first.rule == Reason.CONDITIONS


@pytest.mark.parametrize(
    ("status", "state"), [("completed", InvitationState.SKIPPED), ("started", InvitationState.SENT)]
)
def test_who_completed_it_meanwhile_is_not_asked_why_it_was_left(
    rule: InvitationRule, status: str, state: InvitationState
) -> None:
    rule.conditions = {"field": "status", "op": "==", "value": "started"}
    basket = make_interaction(rule.touchpoint, make_customer(), status="started")
    invitations.decide([basket], now=clock.now())
    basket.status = status
    db.session.commit()

    send_due()

    assert len(invitations_in(state)) == 1


def test_a_second_invitation_within_the_quarantine_is_refused_and_says_from_when(rule: InvitationRule) -> None:
    customer = make_customer()
    decide_one(rule, customer)
    send_due()
    invited_at = db.session.get_one(Customer, customer.id).last_invited_at
    assert invited_at is not None

    decision = decide_one(rule, customer)

    assert decision.rule == Reason.QUARANTINE
    assert decision.next_eligible_at == invited_at + timedelta(days=30)
    with clock.moved(timedelta(days=31)):
        assert decide_one(rule, customer).rule == Reason.INVITED


def test_an_invitation_that_waits_counts_for_the_quarantine(rule: InvitationRule) -> None:
    rule.delay_minutes = 60
    customer = make_customer()
    decide_one(rule, customer)

    assert decide_one(rule, customer).rule == Reason.QUARANTINE


def test_two_interactions_of_one_customer_in_one_batch_are_asked_once(rule: InvitationRule) -> None:
    customer = make_customer()
    both = [make_interaction(rule.touchpoint, customer) for _ in range(2)]

    decisions = invitations.decide(both, now=clock.now())

    assert [decision.rule for decision in decisions] == [Reason.INVITED, Reason.QUARANTINE]


def test_imported_interactions_are_never_asked_about(rule: InvitationRule) -> None:
    interaction = make_interaction(rule.touchpoint, make_customer())
    interaction.import_id = 1

    with db.session.no_autoflush:
        found = rules.judge(facts_of(interaction, rule, clock.now()))

    db.session.expunge(interaction)
    assert found == Reason.IMPORTED


def facts_of(interaction: Interaction, rule: InvitationRule, now: datetime) -> rules.Facts:
    return rules.Facts(interaction, interaction.customer, rule, 1, False, None, None, now)


@pytest.mark.parametrize("many", [1, 10, 100])
def test_deciding_costs_the_same_statements_however_many_interactions(rule: InvitationRule, many: int) -> None:
    asked = [make_interaction(rule.touchpoint, make_customer()) for _ in range(many)]
    db.session.flush()

    with count_queries() as queries:
        decisions = invitations.decide(asked, now=clock.now())

    assert len(decisions) == many
    assert queries.count == 8, list(queries)


def test_a_batch_is_sent_with_the_same_statements_however_many(rule: InvitationRule) -> None:
    counts = []
    for many in (1, 10, 40):
        asked = [make_interaction(rule.touchpoint, make_customer()) for _ in range(many)]
        invitations.decide(asked, now=clock.now())
        db.session.commit()
        items = [outbox.Item(0, {"invitation_id": each.id}, 0, 0) for each in invitations_in(InvitationState.WAITING)]
        with count_queries() as queries:
            invitations.send(items, now=clock.now())
        db.session.commit()
        counts.append(queries.count)

    assert len(invitations_in(InvitationState.SENT)) == 51
    assert counts[1] == counts[2]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("consent", Reason.CONSENT),
        ("suppressed", Reason.SUPPRESSED),
        ("complaint", Reason.OPEN_CASE),
        ("invited", Reason.QUARANTINE),
        ("erased", Reason.NO_ADDRESS),
    ],
)
def test_what_changed_before_sending_is_looked_at_again(rule: InvitationRule, change: str, reason: str) -> None:
    rule.delay_minutes = 60
    customer = make_customer()
    decide_one(rule, customer)
    match change:
        case "consent":
            customer.survey_consent = Consent.WITHDRAWN
        case "suppressed":
            suppression.suppress(str(customer.email), "survey", "unsubscribe", clock.now())
        case "complaint":
            make_case(rule.touchpoint.brand, customer=customer)
        case "invited":
            customer.last_invited_at = clock.now()
        case "erased":
            customer.email, customer.erased_at = None, clock.now()

    with clock.moved(timedelta(hours=2)):
        send_due()

    assert db.session.scalars(select(Message).where(Message.kind == "invitation")).all() == []
    assert len(invitations_in(InvitationState.SKIPPED)) == 1
    decision = db.session.scalars(select(Decision)).one()
    assert (decision.outcome, decision.rule) == ("skipped", reason)
    assert "decided_again_at" in decision.inputs


def test_an_advertised_reward_is_reserved_until_the_link_runs_out_and_then_released(rule: InvitationRule) -> None:
    rule.programme = make_programme(rule.touchpoint.brand)
    decide_one(rule)
    send_due()
    invitation = invitations_in(InvitationState.SENT)[0]
    reward = db.session.get_one(Reward, invitation.reward_id)
    assert (reward.state, reward.reserved_until) == (RewardState.RESERVED, invitation.expires_at)
    assert "€5" in db.session.get_one(Message, invitation.message_id).values["reward"]

    ended = invitations.expire(invitation.expires_at)
    db.session.commit()
    db.session.expire_all()

    assert ended == 1
    assert db.session.get_one(Invitation, invitation.id).state == InvitationState.EXPIRED
    assert db.session.get_one(Reward, reward.id).state == RewardState.RELEASED
    assert db.session.scalars(select(Programme)).one().reserved_minor == 0


def test_a_reward_that_the_budget_refuses_is_not_advertised(rule: InvitationRule) -> None:
    rule.programme = make_programme(rule.touchpoint.brand, budget=500)
    for _ in range(2):
        decide_one(rule)
    send_due()

    advertised = [bool(message.values.get("reward")) for message in db.session.scalars(select(Message))]
    assert sorted(advertised) == [False, True]


def test_a_link_that_has_time_left_does_not_run_out(rule: InvitationRule) -> None:
    decide_one(rule)
    send_due()

    assert invitations.expire(clock.now() + timedelta(days=29)) == 0


def test_an_invitation_speaks_the_customer_s_language(rule: InvitationRule) -> None:
    decide_one(rule, make_customer(language="ar"))
    send_due()

    message = db.session.scalars(select(Message)).one()
    assert message.language == "ar"
    assert message.values["occasion"] == "مكالمتك"


def test_an_outcome_check_is_asked_through_quarantine_and_open_case(app: Flask) -> None:
    survey = make_survey()
    customer = make_customer(last_invited_at=clock.now())
    case = make_case(survey.brand, customer=customer, survey_id=survey.id)
    check = outcome.request(case, because="resolved", due_at=clock.now(), now=clock.now())
    assert check is not None
    db.session.commit()

    outbox.drain("reactions")
    outbox.drain("messages")

    db.session.expire_all()
    invitation = db.session.scalars(select(Invitation)).one()
    assert invitation.outcome_check_id == check.id
    assert db.session.get_one(OutcomeCheck, check.id).state == OutcomeState.ASKED
    message = db.session.get_one(Message, invitation.message_id)
    assert message.kind == "outcome_check"
    assert message.values["number"] == db.session.scalars(select(Case)).one().label


def test_an_outcome_check_that_moved_is_not_asked_before_its_time(app: Flask) -> None:
    survey = make_survey()
    case = make_case(survey.brand, survey_id=survey.id)
    later = clock.now() + timedelta(days=7)
    check = outcome.request(case, because="resolved", due_at=later, now=clock.now())
    assert check is not None

    outcomes.ask(check_id=check.id, now=clock.now())

    assert db.session.scalars(select(Invitation)).all() == []


def test_a_complaint_s_outcome_check_asks_the_brand_s_main_question(app: Flask) -> None:
    survey = make_survey()
    survey.brand.main_survey_key = survey.key
    case = make_case(survey.brand, survey_id=None)
    check = outcome.mark_fixed(case, clock.now())
    assert check is not None

    assert outcomes.invite_outcome(check, now=clock.now()).survey_id == survey.id


def test_an_invitation_answered_before_it_was_sent_is_not_sent(app: Flask) -> None:
    invitation = make_invitation(state=InvitationState.ANSWERED)

    invitations.send([outbox.Item(0, {"invitation_id": invitation.id}, 0, 0)], now=clock.now())

    assert db.session.scalars(select(Message)).all() == []


# Silence


def ran_out(rule: InvitationRule, customer: Customer, *, days_ago: int, **more: Any) -> Invitation:
    """An invitation whose link ran out so many days ago."""
    end = clock.now() - timedelta(days=days_ago)
    times = {"created_at": end - timedelta(days=30), "sent_at": end - timedelta(days=30), "expires_at": end}
    return make_invitation(rule.survey, customer, **times, state="expired", **more)


def answered(rule: InvitationRule, customer: Customer) -> None:
    link = make_invitation(rule.survey, customer, state="answered")
    said = {"invitation_id": link.id, "survey_id": link.survey_id, "version_id": link.version_id, "answers": {}}
    said |= {"public_id": new_public_id(), "customer_id": customer.id, "channel": "email", "language": "en"}
    said |= {"brand_id": rule.touchpoint.brand_id, "received_at": clock.now()}
    said |= {"state": "complete", "answered_at": clock.now()}
    db.session.execute(insert(Response), [said])


def test_a_rule_for_the_silent_asks_who_let_a_link_run_out_and_nobody_else(rule: InvitationRule) -> None:
    rule.conditions = {"field": "profile", "op": "in", "value": ["silent"]}
    silent, never_asked, began, answered_since = (make_customer() for _ in range(4))
    ran_out(rule, silent, days_ago=40)
    ran_out(rule, began, days_ago=40, partial={"nps": 3})
    ran_out(rule, answered_since, days_ago=40)
    answered(rule, answered_since)

    decided = [decide_one(rule, each).rule for each in (silent, never_asked, began, answered_since)]

    assert decided == [Reason.INVITED, Reason.CONDITIONS, Reason.CONDITIONS, Reason.CONDITIONS]


def test_who_fell_silent_after_a_score_is_silent_today(rule: InvitationRule) -> None:
    rule.conditions = {"field": "profile", "op": "==", "value": "promoter"}
    customer = make_customer(profile="promoter", profile_score=9, profile_at=clock.now() - timedelta(days=300))
    ran_out(rule, customer, days_ago=40)

    assert decide_one(rule, customer).rule == Reason.CONDITIONS


@pytest.mark.parametrize("many", [1, 10])
def test_looking_for_the_silent_is_one_statement_more_however_many(rule: InvitationRule, many: int) -> None:
    rule.conditions = {"field": "profile", "op": "in", "value": ["silent"]}
    asked = [make_interaction(rule.touchpoint, make_customer()) for _ in range(many)]
    db.session.flush()

    with count_queries() as queries:
        invitations.decide(asked, now=clock.now())

    assert queries.count == 7, list(queries)
