from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from core.db import db
from feedback.models import OutcomeState
from insights import abandonment, rates, words
from insights.rates import Rate
from notifications.models import Message, State
from surveys.models import Decision, Invitation, InvitationState, ResponseState
from tests.factories import make_interaction, make_invitation
from tests.insights.conftest import NOON, TODAY, Shop
from tests.insights.test_recovery import a_case, a_check

AT = datetime.combine(TODAY, NOON)


def invite(shop: Shop, times: int = 1, **more: Any) -> list[Invitation]:
    return [
        make_invitation(shop.survey, touchpoint=shop.touchpoint, **{"created_at": AT, **more}) for _ in range(times)
    ]


def bounced(shop: Shop) -> int:
    message = Message(
        kind="invitation",
        version=1,
        reason=f"test:{shop.survey.id}",
        language="en",
        brand_id=shop.brand.id,
        values={},
        state=State.BOUNCED,
        state_at=AT,
        created_at=AT,
    )
    db.session.add(message)
    db.session.flush()
    return message.id


def test_rr1_is_complete_over_complete_partial_refused_not_contacted_and_unknown() -> None:
    """By hand: 30 / (30 + 3 + 2 + 15 + 50) = 0.30, with the three partials 0.33; Wilson 0.219 to 0.396."""
    counts = {"complete": 30, "partial": 3, "break_off": 2, "bounced": 15, "silent": 50}
    rate = Rate("email", counts | {"waiting": 9, "screened_out": 4})

    assert (rate.invited, rate.started, rate.rr1, rate.rr2) == (100, 35, 0.30, 0.33)
    assert rate.interval == pytest.approx((0.219, 0.396), abs=0.001)
    assert rate.completion == pytest.approx(30 / 35)


def test_abandonment_is_told_per_question_of_those_who_got_that_far(shop: Shop) -> None:
    for invitation in invite(shop, 20):
        shop.answer([9], invitation_id=invitation.id)
    invite(shop, 10, partial={"nps": 3})
    invite(shop, 2, partial={"nps": 3, "why": ["late_or_damaged"]})
    invite(shop, 4, partial={"nps": 3}, state=InvitationState.REVOKED)
    rates.recount(TODAY, TODAY)

    [found] = abandonment.leaving(rates.rates(shop.asked()))
    told = {step.question: (step.left.k, step.left.n) for step in found.steps if step.left.k}

    assert (found.survey, found.begun.k, found.begun.n) == (shop.survey.name, 12, 32)
    assert list(told.values()) == [(10, 32), (2, 22)]
    assert words.leaving(found).startswith(
        f"“{shop.survey.name}”: 12 of 32 who began did not finish, 10 of them after “"
    )


def test_a_survey_that_everybody_finished_is_left_by_nobody(shop: Shop) -> None:
    [invitation] = invite(shop)
    shop.answer([9], invitation_id=invitation.id)
    rates.recount(TODAY, TODAY)

    assert abandonment.leaving(rates.rates(shop.asked())) == []


def test_fewer_than_thirty_invitations_give_no_rate() -> None:
    assert Rate("email", {"complete": 10, "silent": 19}).rr1 is None


def test_each_invitation_is_counted_once_by_what_became_of_it(shop: Shop) -> None:
    complete, partial, *_ = invite(shop, 3)
    shop.answer([9], invitation_id=complete.id)
    shop.answer([9], invitation_id=partial.id, state=ResponseState.PARTIAL)
    invite(shop, message_id=bounced(shop))
    invite(shop, partial={"nps": 8})
    invite(shop, partial={"nps": 9}, half_answered=True)
    invite(shop, 2, state=InvitationState.EXPIRED)
    invite(shop, state=InvitationState.WAITING)
    invite(shop, state=InvitationState.REVOKED)
    invite(shop, state=InvitationState.SKIPPED)

    rates.recount(TODAY, TODAY)
    found = rates.rates(shop.asked())

    assert found.together.counts == {
        "complete": 1,
        "partial": 2,
        "break_off": 1,
        "silent": 3,
        "bounced": 1,
        "waiting": 1,
        "revoked": 1,
    }
    assert found.together.invited == 8
    assert found.skipped == {"looked_again": 1}


def test_interactions_that_nobody_was_asked_about_stand_beside_by_reason(shop: Shop) -> None:
    for rule in ("quarantine", "quarantine", "sampling"):
        interaction = make_interaction(shop.touchpoint)
        db.session.add(Decision(interaction_id=interaction.id, outcome="skipped", rule=rule, inputs={}, decided_at=AT))
    db.session.flush()

    rates.recount(TODAY, TODAY)

    assert rates.rates(shop.asked()).skipped == {"quarantine": 2, "sampling": 1}


def test_outcome_checks_are_no_part_of_it(shop: Shop) -> None:
    check = a_check(a_case(shop.brand), OutcomeState.ASKED)
    invite(shop, outcome_check_id=check.id)

    rates.recount(TODAY, TODAY)

    assert rates.rates(shop.asked()).together.counts == {}


def test_counting_again_changes_nothing_and_takes_in_what_changed(shop: Shop) -> None:
    [invitation] = invite(shop)
    for _ in range(2):
        rates.recount(TODAY, TODAY)
    assert rates.rates(shop.asked()).together.counts == {"silent": 1}
    shop.answer([9], invitation_id=invitation.id)

    rates.recount_lately(now=AT)

    assert rates.rates(shop.asked()).together.counts == {"complete": 1}


def test_days_outside_the_counted_ones_stay(shop: Shop) -> None:
    invite(shop, created_at=AT - timedelta(days=3))
    rates.recount(TODAY - timedelta(days=5), TODAY)

    rates.recount_lately(now=AT)

    assert rates.rates(shop.asked()).together.counts == {"silent": 1}


def test_rates_are_narrowed_by_language_and_ranked_by_size(shop: Shop) -> None:
    invite(shop, 2, channel="link")
    invite(shop, 3)
    invite(shop, language="ar")
    rates.recount(TODAY, TODAY)

    every, arabic = rates.rates(shop.asked()), rates.rates(shop.asked(languages=("ar",)))

    assert [(each.channel, each.invited) for each in every.channels] == [("email", 4), ("link", 2)]
    assert arabic.together.invited == 1
