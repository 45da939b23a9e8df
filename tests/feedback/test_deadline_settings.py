"""Deadlines: in one order, the last always there; what no case could ever get is refused; cases get them at once."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from accounts.models import Staff
from core.db import db
from core.events import Event
from feedback.models import CaseClock, ClockKind, SlaPolicy
from tests.client import Client
from tests.factories import make_brand, make_case, make_customer, make_staff, make_team, make_touchpoint
from tests.settings_pages import fields, words

PAGE = "/settings/deadlines"


@pytest.fixture
def boss(client: Client) -> Staff:
    boss = make_staff("admin", name="Bo Berg")
    client.sign_in(boss)
    return boss


def add(client: Client, **typed: Any) -> Any:
    sound = {"name": "Gold", "tiers": "gold", "first_contact": "2", "next_response": "4", "resolution": "16"}
    return client.post(PAGE, data=fields(client, f"{PAGE}?new=1", PAGE) | sound | typed)


def policies() -> list[SlaPolicy]:
    return list(db.session.scalars(select(SlaPolicy).order_by(SlaPolicy.position)))


def page_of(policy: SlaPolicy) -> str:
    return f"{PAGE}/{policy.public_id}"


@pytest.mark.parametrize("role", ["lead", "marketer"])
def test_leads_and_marketers_read_what_only_an_administrator_changes(client: Client, role: str) -> None:
    client.sign_in(make_staff(role))

    read = client.get(PAGE)

    assert "An administrator can change" in read.text
    assert "Every other case" in read.text
    assert [client.post(path).status_code for path in (PAGE, f"{PAGE}/last")] == [403, 403]


def test_new_deadlines_hold_for_the_next_case_of_their_customers(client: Client, boss: Staff) -> None:
    brand, team = make_brand(), make_team(name="Gold desk")

    added = add(client, tiers="gold, summit", priority="high", team=team.public_id, outcome_after_days="3")

    (policy,) = policies()
    assert added.headers["Location"] == page_of(policy)
    assert policy.conditions == {"all": [{"field": "tier", "op": "in", "value": ["gold", "summit"]}]}
    assert (policy.first_contact_minutes, policy.next_response_minutes, policy.resolution_minutes) == (120, 240, 960)
    case = make_case(brand, customer=make_customer(tier="summit"))
    other = make_case(brand, customer=make_customer())
    targets = {
        each.id: db.session.scalar(
            select(CaseClock.target_minutes).where(
                CaseClock.case_id == each.id, CaseClock.kind == ClockKind.FIRST_CONTACT
            )
        )
        for each in (case, other)
    }
    assert (case.priority, case.team_id, targets[case.id], targets[other.id]) == ("high", team.id, 120, 240)


@pytest.mark.parametrize(
    ("typed", "field", "way_out"),
    [
        ({"tiers": ""}, "origin", "Say for which cases"),
        ({"first_contact": "20"}, "resolution", "before anybody is in touch"),
        ({"first_contact": "soon"}, "first_contact", "for example 4 or 1.5"),
        ({"next_response": "0"}, "next_response", "for example 4 or 1.5"),
        ({"resolution": "nan"}, "resolution", "for example 4 or 1.5"),
        ({"origin": "complaint", "score": "3"}, "score", "Such a case has no score"),
        ({"metric": "csat", "score": "0"}, "score", "begin at 1"),
        ({"outcome_after_days": "400"}, "outcome_after_days", "from 0 to 90"),
        ({"name": ""}, "name", "Give it a name"),
        ({"priority": "panic"}, "priority", "valid choice"),
        ({"touchpoint": "nowhere"}, "touchpoint", "valid choice"),
    ],
)
def test_deadlines_that_no_case_could_get_are_refused_at_their_field_and_kept(
    client: Client, boss: Staff, typed: dict[str, str], field: str, way_out: str
) -> None:
    refused = add(client, **{"name": "Kept as typed", **typed})

    assert refused.status_code == 422
    assert way_out in words(refused.text)
    assert f'id="{field}-e"' in refused.text
    assert "Kept as typed" in refused.text or "name" in typed
    assert policies() == []


def test_deadlines_behind_broader_ones_are_refused(client: Client, boss: Staff) -> None:
    add(client, name="Unhappy gold", score="6")

    narrower = add(client, name="Hurt gold", score="2")
    same_name = add(client, name="Unhappy gold", tiers="silver")
    broader = add(client, name="All gold")

    assert (narrower.status_code, same_name.status_code, broader.status_code) == (422, 409, 302)
    assert "“Unhappy gold” stands before it" in words(narrower.text)
    assert 'id="name-e"' in same_name.text


def test_deadlines_are_tried_in_the_order_one_gives_them(client: Client, boss: Staff) -> None:
    add(client, name="Gold")
    add(client, name="German", tiers="", language="de")
    gold, german = policies()

    client.post(f"{page_of(german)}/place", data={"act": "up"})

    assert [each.name for each in policies()] == ["German", "Gold"]
    case = make_case(language="de", customer=make_customer(tier="gold"))
    policy = db.session.scalars(select(CaseClock.policy).where(CaseClock.case_id == case.id).distinct()).one()
    assert policy == "German"
    assert gold.position > german.position


def test_a_move_that_would_hide_deadlines_is_refused(client: Client, boss: Staff) -> None:
    add(client, name="Hurt gold", score="2")
    add(client, name="All gold")

    moved = client.post(f"{page_of(policies()[1])}/place", data={"act": "up"}, follow_redirects=True)

    assert "“All gold” stands before it" in words(moved.text)
    assert [each.name for each in policies()] == ["Hurt gold", "All gold"]


def test_the_last_deadlines_change_but_stay_last(client: Client, boss: Staff) -> None:
    add(client)
    form = fields(client, f"{PAGE}/last")
    assert "tiers" not in form

    saved = client.post(f"{PAGE}/last", data=form | {"name": "Everybody", "first_contact": "1,5"})
    add(client, name="Silver", tiers="silver")

    assert saved.status_code == 302
    names = [each.name for each in policies()]
    assert names == ["Gold", "Silver", "Everybody"]
    last = policies()[-1]
    assert (last.conditions, last.brand_id, last.first_contact_minutes) == ({}, None, 90)
    kept = client.post(f"{page_of(last)}/place", data={"act": "remove"}, follow_redirects=True)
    assert "no case is ever without any" in words(kept.text)
    assert client.post(f"{page_of(last)}/place", data={"act": "up"}).status_code == 302
    assert [each.name for each in policies()] == names


def test_removed_deadlines_leave_cases_what_they_were_given(client: Client, boss: Staff) -> None:
    add(client)
    case = make_case(customer=make_customer(tier="gold"))

    client.post(f"{page_of(policies()[0])}/place", data={"act": "remove"})

    assert policies() == []
    kept = db.session.scalars(select(CaseClock.policy).where(CaseClock.case_id == case.id).distinct()).one()
    assert kept == "Gold"
    kinds = db.session.scalars(select(Event.kind).where(Event.kind.like("policy.%")).order_by(Event.id)).all()
    assert kinds == ["policy.created", "policy.removed"]


def test_two_people_who_edit_deadlines_see_both_versions(app: Flask, client: Client, boss: Staff) -> None:
    add(client)
    (policy,) = policies()
    page, hers = page_of(policy), app.test_client()
    hers.sign_in(make_staff("admin", name="Ana Lima"))
    mine = fields(client, page)

    hers.post(page, data=fields(hers, page) | {"first_contact": "1"})
    conflict = client.post(page, data=mine | {"first_contact": "3"})

    assert conflict.status_code == 409
    assert "Ana Lima saved this" in words(conflict.text)
    assert "First contact 1 3" in words(conflict.text)
    assert policy.first_contact_minutes == 60


def test_conditions_that_the_page_cannot_say_are_shown_and_kept(client: Client, boss: Staff) -> None:
    add(client)
    (policy,) = policies()
    policy.conditions = tree = {"any": [{"field": "value_minor", "op": ">", "value": 50000}]}

    shown = client.get(page_of(policy)).text
    saved = client.post(page_of(policy), data=fields(client, page_of(policy)) | {"resolution": "8"})

    assert "value_minor > 50000" in words(shown)
    assert saved.status_code == 302
    assert (policy.conditions, policy.resolution_minutes) == (tree, 480)


def test_a_team_of_one_brand_reads_its_deadlines_and_changes_none(client: Client) -> None:
    own, other = make_brand(), make_touchpoint().brand
    times = {"first_contact_minutes": 60, "next_response_minutes": 60, "resolution_minutes": 600}
    mine = SlaPolicy(name="Mine", brand_id=own.id, conditions={}, **times)
    theirs = SlaPolicy(name="Theirs", brand_id=other.id, conditions={}, **times)
    db.session.add_all([mine, theirs])
    client.sign_in(make_staff("admin", team=make_team(own)))

    read = client.get(PAGE)

    assert "Mine" in read.text
    assert "Theirs" not in read.text
    assert client.get(page_of(theirs)).status_code == 404
    assert client.post(page_of(mine)).status_code == 403
