"""With JavaScript switched off nothing is lost: the survey, the desk, a case's acts, a programme's form."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import select

from core.db import db
from feedback.models import Case, CaseState
from incentives.models import Programme
from tests.journeys.northwind import Shop, Visit, act, hanna, sign_in, tell_of_a_call

pytestmark = pytest.mark.journey


@pytest.fixture
def plain(visit: Visit) -> Page:
    return visit(java_script_enabled=False, viewport={"width": 1440, "height": 1000})


def test_a_customer_answers_and_follows_the_case(shop: Shop, plain: Page) -> None:
    plain.goto(shop.link(tell_of_a_call(shop), "score=2"))
    plain.get_by_role("checkbox", name="My order arrived late or damaged").check()
    plain.locator("textarea[name=comment]").fill("Four days late.")
    plain.get_by_role("radio", name="Yes, ring me").check()
    plain.get_by_role("button", name="Send my answer").click()

    expect(plain.get_by_role("main")).to_contain_text(re.compile(r"will call you by .*\d\d:\d\d"))
    plain.get_by_role("link", name="See your case").click()
    plain.get_by_label("Write to us").fill("Please ring after five.")
    plain.get_by_role("button", name="Send", exact=True).click()
    expect(plain.get_by_role("status")).to_contain_text("We have what you wrote")
    plain.get_by_role("button", name="Yes, this is fixed").click()
    plain.get_by_role("radio", name="9", exact=True).check()
    plain.get_by_role("button", name="Send my answer").click()
    expect(plain.get_by_role("heading", level=1)).to_contain_text("We’re glad we could put it right.")


def test_an_agent_works_a_case_from_the_desk_to_resolved(shop: Shop, plain: Page) -> None:
    case = shop.unhappy(customer=hanna(name="Hanna Keller"))
    sign_in(plain, shop.staff("lead", "Alice Lind"))
    plain.goto("/desk")
    plain.get_by_role("checkbox", name=re.compile("Select .*Hanna Keller")).check()
    plain.get_by_label("Give to").select_option("Me")
    plain.get_by_role("button", name="Assign").click()
    expect(plain.locator(".flash")).to_contain_text("1 case is now with Alice.")

    plain.get_by_label("Group by").select_option("owner")
    plain.get_by_role("button", name="Apply").press("Enter")
    plain.get_by_role("link", name="Hanna Keller").click()
    act(plain, "Log a call")
    plain.get_by_label("Reached", exact=True).check()
    plain.get_by_role("button", name="Save call").click()
    act(plain, "Note for the team")
    plain.get_by_label("Note", exact=True).fill("Prefers texts.")
    plain.get_by_role("button", name="Keep the note").click()
    expect(plain.get_by_role("region", name="What was said and done")).to_contain_text("Prefers texts.")
    act(plain, "Resolve")
    plain.get_by_label("Root cause").select_option("Courier damage")
    plain.get_by_role("button", name=re.compile("Resolve and ask again")).click()

    expect(plain.locator(".flash")).to_contain_text("Resolved.")
    assert db.session.scalars(select(Case.state)).all() == [CaseState.RESOLVED]
    assert case.number


def test_a_marketer_makes_and_starts_a_programme(shop: Shop, plain: Page) -> None:
    sign_in(plain, shop.staff("marketer", "Marta Weiss"))
    plain.goto("/incentives/new")
    plain.get_by_label("Worth", exact=True).fill("€7")
    plain.get_by_label("Budget", exact=True).fill("€70")
    plain.get_by_label("Codes begin with").fill("AUTUMN")
    plain.get_by_label("Name", exact=True).fill("Autumn thanks")
    plain.get_by_label("Terms in English").fill("One order over €20.")
    plain.get_by_role("button", name="Make the draft").click()
    plain.get_by_role("button", name="Start", exact=True).click()

    expect(plain.locator(".flash")).to_contain_text("Autumn thanks: Running.")
    programme = db.session.scalars(select(Programme).where(Programme.name == "Autumn thanks")).one()
    assert (programme.state, programme.budget_minor, programme.reward_minor) == ("running", 7000, 700)
