"""The customer has the last word: fixed leads to the same question, and only its answer is won back or not."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from core import clock
from core.db import db
from feedback import assignments, entries, resolutions
from feedback.models import Case, CaseState
from tests.journeys.northwind import Shop, address_of, hanna, let_in, station, work

pytestmark = pytest.mark.journey
QUESTION = "How likely are you to recommend Northwind Outdoor to a friend or colleague?"


@pytest.fixture
def case(shop: Shop) -> Case:
    """A case that Ana has called about and resolved."""
    case = shop.unhappy(customer=hanna(name="Hanna Keller"))
    ana, now = shop.staff("agent", "Ana Silva"), clock.now()
    assignments.claim(case, ana, now)
    entries.log_call(case, reached=True, minutes=7, body=None, by=ana, now=now)
    entries.reply(case, body="The poles leave our store today.", last_seen=10**9, by=ana, now=now)
    resolutions.resolve(case, by=ana, cause=shop.cause, words=None, now=now)
    db.session.commit()
    return case


def open_case_page(shop: Shop, case: Case, page: Page) -> None:
    """Open the customer's page of the case by the link in their mail."""
    page.goto(shop.link(address_of(case), "/c/"))
    expect(page.get_by_role("heading", name="Is it fixed?")).to_be_visible()


def answer_again(page: Page, score: int) -> None:
    """Say that all is fixed and answer the question that follows."""
    page.get_by_role("button", name="Yes, this is fixed").click()
    expect(page.get_by_role("heading", level=1, name=QUESTION)).to_be_visible()
    page.get_by_role("radio", name=str(score), exact=True).check()
    page.get_by_role("button", name="Send my answer").click()


def test_the_case_page_tells_what_was_promised_and_done(shop: Shop, case: Case, phone: Page) -> None:
    open_case_page(shop, case, phone)

    told = phone.get_by_role("region", name="What we promised, and what happened")
    expect(told).to_contain_text("Ana rang and spoke with you")
    expect(told).to_contain_text("The poles leave our store today.")
    expect(told).to_contain_text("Kept")
    expect(told).to_contain_text("The tent came four days late.")


def test_a_good_answer_after_fixed_is_won_back_in_gold_everywhere(
    shop: Shop, case: Case, phone: Page, desk: Page
) -> None:
    open_case_page(shop, case, phone)
    answer_again(phone, 9)
    expect(phone.get_by_role("heading", level=1)).to_contain_text("We’re glad we could put it right.")
    work()

    let_in(desk, shop.staff("lead", "Alice Lind"), f"/desk/cases/{case.number}")
    expect(station(desk, "Won back")).to_have_class("won")
    expect(station(desk, "Won back")).to_contain_text("Score 9 now")
    assert case.customer is not None
    desk.goto(f"/customers/{case.customer.public_id}")
    expect(desk.get_by_role("main").locator(".tag.seam, .is-seam").first).to_contain_text("Won back")
    desk.goto("/")
    expect(desk.get_by_role("main").locator(".seam, .is-seam, .fig.won").first).to_be_visible()


def test_a_bad_answer_after_fixed_opens_the_case_again(shop: Shop, case: Case, phone: Page, desk: Page) -> None:
    open_case_page(shop, case, phone)
    answer_again(phone, 3)
    expect(phone.get_by_role("heading", level=1)).to_contain_text("We’re sorry it still isn’t right.")
    work()

    let_in(desk, shop.staff("agent", "Ana Silva"), f"/desk/cases/{case.number}")
    expect(station(desk, "Won back")).to_contain_text("Not won back")
    expect(desk.locator(".won, .tag.seam, .is-seam")).to_have_count(0)
    db.session.refresh(case)
    assert case.is_open
    assert case.won_back_at is None


def test_not_fixed_opens_the_case_again_and_says_so(shop: Shop, case: Case, phone: Page) -> None:
    open_case_page(shop, case, phone)

    phone.get_by_role("button", name="No, not fixed yet").click()

    expect(phone.get_by_role("status")).to_contain_text("We go on, and the team knows at once.")
    db.session.refresh(case)
    assert case.state in (CaseState.OPEN, CaseState.RECOVERY)


def test_what_the_customer_writes_reaches_the_case(shop: Shop, case: Case, phone: Page, desk: Page) -> None:
    open_case_page(shop, case, phone)
    phone.get_by_label("Write to us").fill("One pole is still missing.")
    phone.get_by_role("button", name="Send", exact=True).click()
    expect(phone.get_by_role("status")).to_contain_text("We have what you wrote")

    let_in(desk, shop.staff("agent", "Ana Silva"), f"/desk/cases/{case.number}")
    expect(desk.get_by_role("region", name="What was said and done")).to_contain_text("One pole is still missing.")
