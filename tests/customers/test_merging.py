"""Merging two records: everything moves, both are found by what either was known by, no reward is given twice."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from core import clock, outbox, tokens
from core.db import db
from core.events import Event
from customers import customers, erasure, interactions, merging
from customers.customers import CustomerData
from customers.interactions import InteractionData
from customers.merging import MergedElsewhere, NothingLeft, SameCustomer
from customers.models import Consent, Customer, Interaction, Touchpoint
from incentives import ledger, rewards
from incentives.models import Reward, RewardState
from notifications import preferences, suppression
from notifications.models import Message, State
from surveys.models import Invitation, InvitationState
from tests.client import Client
from tests.customers import full_life
from tests.customers.full_life import work_off
from tests.customers.races import meanwhile
from tests.factories import (
    make_brand,
    make_customer,
    make_interaction,
    make_invitation,
    make_programme,
    make_rule,
    make_touchpoint,
)

TOLD = CustomerData(external_id="OLD-1", email="old@shop.example", name="Hanna Neu")


@pytest.fixture
def kept(app: Flask) -> Customer:
    return make_customer(external_id="NEW-1", email="hanna@shop.example", phone=None, name="Hanna Keller")


@pytest.fixture
def gone(app: Flask) -> Customer:
    return make_customer(external_id="OLD-1", email="old@shop.example", phone="+494055504471", name="H. Keller")


def merge(kept: Customer, gone: Customer) -> Customer:
    result = merging.merge(kept, gone, by="system", now=clock.now())
    db.session.commit()
    db.session.expire_all()
    return result


def rows_of(customer: Customer) -> dict[str, int]:
    """How many rows of every table name a customer."""
    named = [table for table in db.metadata.sorted_tables if "customer_id" in table.columns]
    counts = {}
    for table in named:
        query = select(func.count()).select_from(table).where(table.c.customer_id == customer.id)
        counts[table.name] = db.session.scalar(query) or 0
    return counts


def test_everything_of_one_moves_to_the_other(client: Client, kept: Customer) -> None:
    life = full_life.lead(client)
    before = rows_of(life.customer)
    assert all(before.values()), before

    merge(kept, life.customer)

    after, left = rows_of(kept), rows_of(life.customer)
    assert not any(left.values()), left
    assert all(after[name] >= count for name, count in before.items()), (before, after)
    assert life.merged.merged_into_id == kept.id  # what led to the merged record leads to the kept one at once
    assert ledger.check() == []


def test_the_shop_s_next_word_about_the_merged_one_lands_on_the_kept(kept: Customer, gone: Customer) -> None:
    touchpoint = make_touchpoint()
    merge(kept, gone)

    by_id = customers.upsert(TOLD, now=clock.now())
    by_address = customers.upsert(CustomerData(email="OLD@shop.example"), now=clock.now())
    by_phone = customers.upsert(CustomerData(phone="+494055504471"), now=clock.now())
    interactions.record(_data("R-1"), touchpoint=touchpoint, customer=by_id, now=clock.now())

    assert by_id is by_address is by_phone is kept
    db.session.refresh(kept)
    assert db.session.scalars(select(Interaction.customer_id)).all() == [kept.id]
    assert (kept.name, kept.email, kept.value_minor) == ("Hanna Keller", "hanna@shop.example", 4200)


def _data(reference: str) -> InteractionData:
    return InteractionData(reference, clock.now(), "phone", value_minor=4200, currency="EUR")


def test_many_at_once_follow_in_one_more_statement(kept: Customer, gone: Customer) -> None:
    merge(kept, gone)
    others = [CustomerData(external_id=f"C-{number}x") for number in range(3)]

    found = customers.upsert_many([TOLD, *others, CustomerData(external_id="NEW-1")], now=clock.now())

    assert found[0] is found[-1] is kept
    assert len({each.id for each in found if each}) == 4


def test_blanks_are_filled_and_what_is_said_stays(kept: Customer, gone: Customer) -> None:
    kept.language, gone.language, gone.tier = None, "de", "summit"
    gone.created_at = kept.created_at - timedelta(days=900)
    since = gone.created_at

    merge(kept, gone)

    assert (kept.name, kept.phone, kept.language, kept.tier) == ("Hanna Keller", "+494055504471", "de", "summit")
    assert kept.created_at == since


@pytest.mark.parametrize(
    ("ours", "theirs", "after"),
    [
        (Consent.GIVEN, Consent.WITHDRAWN, Consent.WITHDRAWN),
        (Consent.WITHDRAWN, Consent.GIVEN, Consent.WITHDRAWN),
        (Consent.GIVEN, Consent.UNKNOWN, Consent.UNKNOWN),
        (Consent.GIVEN, Consent.GIVEN, Consent.GIVEN),
    ],
)
def test_the_stricter_consent_holds(
    kept: Customer, gone: Customer, ours: Consent, theirs: Consent, after: Consent
) -> None:
    kept.survey_consent = kept.marketing_consent = ours
    gone.survey_consent = gone.marketing_consent = theirs

    merge(kept, gone)

    assert kept.survey_consent == kept.marketing_consent == after


def test_an_address_that_must_not_be_written_to_stays_so(kept: Customer, gone: Customer) -> None:
    suppression.suppress("old@shop.example", "all", "bounce", clock.now())

    merge(kept, gone)

    assert suppression.is_suppressed("old@shop.example", "service")
    assert not suppression.is_suppressed("hanna@shop.example", "service")


def test_the_profile_is_that_of_the_last_score(kept: Customer, gone: Customer) -> None:
    now = clock.now()
    _profile(kept, "promoter", 9, now - timedelta(days=9))
    _profile(gone, "detractor", 2, now - timedelta(days=1))
    kept.won_back_at, gone.last_invited_at = now - timedelta(days=9), now - timedelta(days=2)

    merge(kept, gone)

    assert (kept.profile, kept.profile_score, kept.profile_metric) == ("detractor", 2, "nps")
    assert kept.won_back_at is not None
    assert kept.last_invited_at == now - timedelta(days=2)  # so quarantine counts from the last time of either


def test_an_older_score_changes_no_profile(kept: Customer, gone: Customer) -> None:
    _profile(kept, "promoter", 9, clock.now() - timedelta(days=1))
    _profile(gone, "detractor", 2, clock.now() - timedelta(days=9))

    merge(kept, gone)

    assert (kept.profile, gone.profile) == ("promoter", None)


def _profile(customer: Customer, profile: str, score: int, at: Any) -> None:
    customer.profile, customer.profile_metric, customer.profile_score, customer.profile_at = profile, "nps", score, at


def test_values_add_up_and_currencies_are_never_mixed(kept: Customer, gone: Customer) -> None:
    kept.value_minor, kept.value_currency = 1000, "EUR"
    gone.value_minor, gone.value_currency = 500, "CHF"
    make_interaction(None, gone, value_minor=300, currency="EUR")
    make_interaction(None, gone, value_minor=90_000, currency="EUR", status="started")  # an abandoned basket
    make_interaction(None, gone, value_minor=500, currency="CHF")

    merge(kept, gone)

    assert (kept.value_minor, kept.value_currency) == (1300, "EUR")
    assert (gone.value_minor, gone.value_currency) == (0, None)


def test_values_of_one_currency_add_up(kept: Customer, gone: Customer) -> None:
    gone.value_minor, gone.value_currency = 500, "CHF"

    merge(kept, gone)

    assert (kept.value_minor, kept.value_currency) == (500, "CHF")


# Rewards


@pytest.mark.parametrize("state", [State.CREATED, State.SENDING, State.DELIVERED, State.UNCERTAIN])
def test_what_a_mail_promised_is_kept_beyond_the_cap(kept: Customer, gone: Customer, state: State) -> None:
    """Each record was told of a reward of which one customer may get one: who answers both gets both."""
    programme = make_programme(cap_per_customer=1)
    links = [make_invitation(None, customer) for customer in (kept, gone)]
    for link, customer in zip(links, (kept, gone), strict=True):
        _reserve(programme, link, customer)
        _mail(link, customer, state)

    merge(kept, gone)
    third = make_invitation(None, kept)
    until = clock.now() + timedelta(days=30)
    more = rewards.reserve(programme, customer=kept, reason=str(third.id), until=until, by="rule", now=clock.now())
    for link in links:
        rewards.issue_behind_the_request(
            programme_id=programme.id, invitation_id=link.id, customer_id=kept.id, now=clock.now()
        )

    assert db.session.scalars(select(Reward.state)).all() == [RewardState.ISSUED] * 2
    assert (more, programme.spent_minor, programme.reserved_minor) == (None, 1000, 0)
    assert ledger.check() == []


@pytest.mark.parametrize("state", [State.BOUNCED, State.DROPPED, State.SUPPRESSED])
def test_what_nobody_can_have_read_of_goes_back_beyond_the_cap(kept: Customer, gone: Customer, state: State) -> None:
    programme = make_programme(cap_per_customer=1)
    links = [make_invitation(None, customer) for customer in (kept, gone)]
    for link, customer, its in zip(links, (kept, gone), (state, State.DELIVERED), strict=True):
        _reserve(programme, link, customer)
        _mail(link, customer, its)

    merge(kept, gone)

    states = db.session.scalars(select(Reward.state).order_by(Reward.id)).all()
    assert states == [RewardState.RELEASED, RewardState.RESERVED], "the older one was never told"
    assert ledger.check() == []


def test_what_was_earned_and_waits_for_a_code_is_kept(kept: Customer, gone: Customer) -> None:
    programme = make_programme(cap_per_customer=1)
    for customer in (kept, gone):
        _reserve(programme, make_invitation(None, customer), customer).reserved_until = None

    merge(kept, gone)

    assert db.session.scalars(select(Reward.state)).all() == [RewardState.RESERVED] * 2


def test_no_reward_is_given_twice(kept: Customer, gone: Customer) -> None:
    """One customer may get one; one was set aside for each record: the one that nobody was told of goes back."""
    programme = make_programme(cap_per_customer=1)
    make_rule(touchpoint := make_touchpoint(programme.brand), programme=programme)
    links = [make_invitation(None, customer, touchpoint) for customer in (kept, gone)]
    held = [_reserve(programme, link, customer) for link, customer in zip(links, (kept, gone), strict=True)]
    rewards.issue(held[0], now=clock.now())

    merge(kept, gone)
    rewards.issue_behind_the_request(
        programme_id=programme.id, invitation_id=links[1].id, customer_id=gone.id, now=clock.now()
    )

    states = db.session.scalars(select(Reward.state).order_by(Reward.id)).all()
    assert states == [RewardState.ISSUED, RewardState.RELEASED]
    assert set(db.session.scalars(select(Reward.customer_id))) == {kept.id}
    assert (programme.spent_minor, programme.reserved_minor) == (500, 0)
    assert ledger.check() == []


def test_within_the_cap_both_stay_promised(kept: Customer, gone: Customer) -> None:
    programme = make_programme(cap_per_customer=2)
    for customer in (kept, gone):
        _reserve(programme, make_invitation(None, customer), customer)

    merge(kept, gone)

    assert db.session.scalars(select(Reward.state)).all() == [RewardState.RESERVED] * 2


def test_a_reward_earned_before_goes_to_the_kept_record(kept: Customer, gone: Customer) -> None:
    """Its work still names the record that was merged."""
    programme = make_programme()
    link = make_invitation(None, gone)
    merge(kept, gone)

    rewards.issue_behind_the_request(
        programme_id=programme.id, invitation_id=link.id, customer_id=gone.id, now=clock.now()
    )

    assert [each.customer_id for each in db.session.scalars(select(Reward))] == [kept.id]


def _mail(invitation: Invitation, customer: Customer, state: State) -> None:
    message = Message(
        kind="invitation",
        version=1,
        reason=f"invitation:{invitation.id}",
        language="en",
        brand_id=make_brand().id,
        customer_id=customer.id,
        to_address=customer.email,
        values={},
        state=state,
        state_at=clock.now(),
        created_at=clock.now(),
    )
    db.session.add(message)
    db.session.flush()
    invitation.message_id = message.id


def _reserve(programme: Any, invitation: Invitation, customer: Customer) -> Reward:
    reason, until = f"invitation:{invitation.id}", clock.now() + timedelta(days=30)
    reward = rewards.reserve(programme, customer=customer, reason=reason, until=until, by="rule", now=clock.now())
    assert reward is not None
    invitation.reward_id = reward.id
    return reward


# What is refused, and what is done once


def test_a_record_is_not_merged_with_itself(kept: Customer) -> None:
    with pytest.raises(SameCustomer):
        merge(kept, kept)


def test_a_second_time_changes_nothing(kept: Customer, gone: Customer) -> None:
    merge(kept, gone)
    merge(kept, gone)

    assert db.session.scalars(select(Event.kind).where(Event.kind == "customer.merged")).all() == ["customer.merged"]


def test_the_other_way_round_is_refused(kept: Customer, gone: Customer) -> None:
    merge(kept, gone)

    with pytest.raises(MergedElsewhere):
        merging.merge(gone, kept, by="system", now=clock.now())


def test_an_erased_record_is_merged_with_none(kept: Customer, gone: Customer) -> None:
    erasure.erase(gone, by="system", now=clock.now())

    with pytest.raises(NothingLeft):
        merging.merge(kept, gone, by="system", now=clock.now())


def test_erasing_the_kept_record_erases_what_was_merged_into_it(kept: Customer, gone: Customer) -> None:
    merge(kept, gone)

    erasure.erase(kept, by="system", now=clock.now())

    assert (gone.name, gone.email, gone.phone, gone.external_id) == (None, None, None, None)
    assert suppression.is_suppressed("old@shop.example", "service")


def test_links_of_the_merged_record_go_on_working(client: Client, kept: Customer, gone: Customer) -> None:
    token = tokens.sign("preferences", gone.public_id)
    merge(kept, gone)

    client.post(f"/u/{token}", data={})

    assert preferences.customer_of(token) is kept
    assert kept.survey_consent == Consent.WITHDRAWN


# Races


def test_of_two_who_merge_both_ways_at_once_one_is_refused(app: Flask, kept: Customer, gone: Customer) -> None:
    db.session.commit()
    merging.merge(kept, gone, by="system", now=clock.now())  # not committed yet

    def the_other_way() -> Any:
        one, other = (db.session.get_one(Customer, each.id) for each in (gone, kept))
        return merging.merge(one, other, by="system", now=clock.now())

    with meanwhile(app, the_other_way) as second:
        assert second.is_held_up()
        db.session.commit()

    assert isinstance(second.result, MergedElsewhere)
    assert (kept.merged_into_id, gone.merged_into_id) == (None, kept.id)


def test_of_two_who_merge_the_same_both_are_fine(app: Flask, kept: Customer, gone: Customer) -> None:
    db.session.commit()
    merging.merge(kept, gone, by="system", now=clock.now())

    def the_same() -> int:
        one, other = (db.session.get_one(Customer, each.id) for each in (kept, gone))
        return merging.merge(one, other, by="system", now=clock.now()).id

    with meanwhile(app, the_same) as second:
        assert second.is_held_up()
        db.session.commit()

    assert second.result == kept.id
    assert db.session.scalar(select(func.count()).select_from(Event).where(Event.kind == "customer.merged")) == 1


@pytest.mark.parametrize("told", [TOLD, CustomerData(email="old@shop.example"), CustomerData(phone="+494055504471")])
def test_an_interaction_that_comes_during_a_merge_lands_on_the_kept_record(
    app: Flask, kept: Customer, gone: Customer, told: CustomerData
) -> None:
    touchpoint_id = make_touchpoint().id
    db.session.commit()
    merging.merge(kept, gone, by="system", now=clock.now())  # not committed yet

    with meanwhile(app, lambda: _tell(told, touchpoint_id)) as telling:
        assert telling.is_held_up()
        db.session.commit()

    assert telling.result is None
    assert db.session.scalars(select(Interaction.customer_id)).all() == [kept.id]
    assert (kept.value_minor, gone.value_minor) == (4200, 0)


def test_an_interaction_under_way_is_waited_for_and_moved(app: Flask, kept: Customer, gone: Customer) -> None:
    touchpoint_id = make_touchpoint().id
    db.session.commit()
    _tell(TOLD, touchpoint_id)  # not committed yet

    def merge_meanwhile() -> None:
        one, other = (db.session.get_one(Customer, each.id) for each in (kept, gone))
        merging.merge(one, other, by="system", now=clock.now())

    with meanwhile(app, merge_meanwhile) as merging_now:
        assert merging_now.is_held_up()
        db.session.commit()

    assert merging_now.result is None
    assert db.session.scalars(select(Interaction.customer_id)).all() == [kept.id]
    assert (kept.value_minor, gone.value_minor) == (4200, 0)


def _tell(told: CustomerData, touchpoint_id: int) -> None:
    touchpoint = db.session.get_one(Touchpoint, touchpoint_id)
    customer = customers.upsert(told, now=clock.now())
    interactions.record(_data("R-1"), touchpoint=touchpoint, customer=customer, now=clock.now())


def test_what_was_under_way_is_moved_a_little_later(client: Client, kept: Customer, gone: Customer) -> None:
    """Whoever read the record before it was merged, and wrote after it, is found by the work that follows."""
    merge(kept, gone)
    make_interaction(None, gone)
    gone.value_minor, gone.value_currency = 700, "EUR"
    _profile(gone, "promoter", 10, clock.now())
    db.session.commit()

    with clock.moved(timedelta(minutes=11)):
        work_off()

    assert not any(rows_of(gone).values())
    assert (kept.value_minor, kept.profile_score, gone.profile) == (700, 10, None)


def test_an_invitation_that_waits_goes_out_to_the_kept_record(client: Client, kept: Customer, gone: Customer) -> None:
    rule = make_rule()
    link = make_invitation(
        rule.survey, gone, rule.touchpoint, state=InvitationState.WAITING, sent_at=None, reward_id=None
    )
    merge(kept, gone)

    outbox.later("invitation.send", key=str(link.id), due_at=clock.now(), invitation_id=link.id)
    work_off()

    assert link.state == InvitationState.SENT
    assert db.session.scalars(select(Message.to_address)).all() == ["hanna@shop.example"]
