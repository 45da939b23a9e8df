"""A marketer makes a programme, funds it, uploads its codes, starts it, and sees what it gives away."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect
from sqlalchemy import select

from core import clock
from core.db import db
from incentives.models import Programme, ProgrammeState
from surveys.models import InvitationRule
from tests.journeys.northwind import Shop, let_in, tell_of_a_call

pytestmark = pytest.mark.journey


def test_a_programme_goes_from_draft_to_advertised_spent_and_paused(shop: Shop, desk: Page) -> None:
    let_in(desk, shop.staff("marketer", "Marta Weiss"), "/incentives")
    desk.get_by_role("link", name="New programme").click()
    desk.get_by_label("Reward", exact=True).select_option("a voucher with a code you upload")
    desk.get_by_label("Worth", exact=True).fill("€7")
    desk.get_by_label("Budget", exact=True).fill("€14")
    desk.get_by_label("Name", exact=True).fill("Autumn thanks")
    desk.get_by_label("Terms in English").fill("One order over €20.")
    desk.get_by_role("button", name="Make the draft").click()
    expect(desk.locator(".flash")).to_contain_text("Autumn thanks is a draft.")

    desk.get_by_role("link", name="Codes").click()
    desk.get_by_label("Codes", exact=True).fill("AUTUMN-1\nAUTUMN-2\nAUTUMN-1")
    desk.get_by_role("button", name="Add the codes").click()
    expect(desk.get_by_role("main")).to_contain_text("2 codes added.")
    expect(desk.get_by_role("region", name="Lines that were not taken").first).to_contain_text("AUTUMN-1")
    desk.get_by_role("link", name="Back to the programme").click()
    desk.get_by_role("button", name="Start", exact=True).click()
    expect(desk.locator(".flash")).to_contain_text("Autumn thanks: Running.")

    programme = db.session.scalars(select(Programme).where(Programme.name == "Autumn thanks")).one()
    rule = db.session.scalars(select(InvitationRule)).one()
    rule.programme = programme
    address = tell_of_a_call(shop)
    mail = shop.mails(address)[0]
    assert "a €7 voucher" in mail["text"]

    desk.reload()
    expect(figure(desk, "Reserved")).to_contain_text("€7")
    answer(desk, shop, address)
    desk.goto(f"/incentives/{programme.public_id}")
    expect(figure(desk, "Spent")).to_contain_text("€7")
    expect(figure(desk, "Left")).to_contain_text("€7")
    assert "AUTUMN-1" in shop.mails(address)[0]["text"]

    desk.get_by_role("button", name="Pause").click()
    expect(desk.locator(".flash")).to_contain_text("Autumn thanks: Paused.")
    db.session.refresh(programme)
    assert programme.state == ProgrammeState.PAUSED


def figure(page: Page, name: str) -> Locator:
    """Return one of the three figures of the budget."""
    budget = page.get_by_role("region", name=re.compile("Budget of"))
    return budget.locator(".fig").filter(has=page.get_by_text(name, exact=True))


def answer(page: Page, shop: Shop, address: str) -> None:
    page.goto(shop.link(address, "score=9"))
    page.get_by_role("button", name="Send my answer").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Thank you")
    shop.mails(address)


def test_what_is_wrong_with_a_programme_is_said_at_its_field(shop: Shop, desk: Page) -> None:
    let_in(desk, shop.staff("marketer", "Marta Weiss"), "/incentives/new")
    desk.get_by_label("Worth", exact=True).fill("a lot")
    desk.get_by_role("button", name="Make the draft").click()

    expect(desk.get_by_role("alert")).to_be_focused()
    expect(desk.get_by_label("Worth", exact=True)).to_have_value("a lot")
    expect(desk.get_by_label("Worth", exact=True)).to_have_attribute("aria-invalid", "true")
    assert db.session.scalars(select(Programme).where(Programme.created_at > clock.now())).all() == []
