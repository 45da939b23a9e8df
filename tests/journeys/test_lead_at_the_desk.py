"""A lead takes a case from the desk to resolved; colleagues who come at the same time lose nothing."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import select

from core import clock
from core.db import db
from feedback import entries
from feedback.models import CaseState
from incentives.models import Reward, RewardState
from tests.journeys.northwind import Shop, Visit, act, address_of, hanna, let_in, sign_in, station, work

pytestmark = pytest.mark.journey


def toast(page: Page, words: str | re.Pattern[str]) -> None:
    """Expect the short message after an act."""
    expect(page.locator(".flash")).to_contain_text(words)


def test_a_lead_brings_a_case_from_the_desk_to_resolved(shop: Shop, desk: Page) -> None:
    late = shop.unhappy(now=clock.now() - timedelta(days=5), customer=hanna(name="Hanna Keller"))
    shop.unhappy(customer=hanna(name="Marc Oudin"))
    sign_in(desk, shop.staff("lead", "Alice Lind"))
    desk.get_by_role("navigation", name="Main").get_by_role("link", name="Recovery desk").click()

    names = desk.get_by_role("form", name="Cases").get_by_role("heading", level=3)
    expect(names).to_have_text(["Hanna Keller", "Marc Oudin"])
    expect(desk.get_by_role("heading", name="Overdue")).to_be_visible()
    names.first.get_by_role("link").click()
    expect(desk.get_by_role("blockquote")).to_contain_text("The tent came four days late.")

    desk.get_by_role("button", name="Take this case").click()
    toast(desk, "The case is yours.")

    act(desk, "Log a call")
    desk.get_by_label("Reached", exact=True).check()
    desk.get_by_label("Minutes").fill("7")
    desk.get_by_role("textbox", name="What was said").fill("Only the poles matter to her.")
    desk.get_by_role("button", name="Save call").click()
    toast(desk, "The call is in the case.")
    expect(station(desk, "Contacted")).to_have_class("done")
    expect(station(desk, "Put right")).to_have_class("now")

    act(desk, "Make a promise")
    desk.get_by_role("textbox", name="What we will do").fill("New tent poles at the door")
    desk.locator("#promise").get_by_role("radio").first.check()
    desk.get_by_label("Tell the customer now by e-mail").check()
    desk.get_by_role("button", name="Promise it").click()
    toast(desk, re.compile(r"Promised by .*\d\d:\d\d"))
    expect(desk.locator(".promise").filter(has_text="New tent poles at the door")).to_contain_text(
        re.compile("Open|left")
    )

    act(desk, "Goodwill gesture")
    desk.get_by_label("Amount").fill("20")
    desk.get_by_label("Why", exact=True).fill("Four days without a tent")
    desk.get_by_role("button", name="Give", exact=True).click()
    toast(desk, "€20")

    act(desk, "Reply")
    desk.get_by_label("Message").fill("The poles leave our store today.")
    desk.get_by_role("button", name="Send", exact=True).click()
    toast(desk, "Your reply is on its way to Hanna Keller.")

    act(desk, "Resolve")
    desk.get_by_label("Root cause").select_option("Courier damage")
    desk.get_by_role("textbox", name="What was done").fill("Sent new poles.")
    desk.get_by_role("button", name=re.compile("Resolve and ask again")).click()
    toast(desk, "Resolved. Now the customer decides.")
    expect(station(desk, "Put right")).to_have_class("done")
    expect(station(desk, "Won back")).to_contain_text("Ask again")

    mails = shop.mails(address_of(late))
    said = "\n".join(mail["text"] for mail in mails)
    assert "New tent poles at the door" in said
    assert "SORRY" in said
    assert "The poles leave our store today." in said
    db.session.refresh(late)
    assert late.state == CaseState.RESOLVED
    assert late.root_cause_id == shop.cause.id


def test_who_comes_second_is_told_who_took_the_case_and_when(shop: Shop, visit: Visit) -> None:
    case = shop.unhappy()
    address = f"/desk/cases/{case.number}"
    first, second = visit(), visit()
    let_in(first, shop.staff("agent", "Ana Silva"), address)
    let_in(second, shop.staff("agent", "Daniel Okafor"), address)

    first.get_by_role("button", name="Take this case").click()
    toast(first, "The case is yours.")
    second.get_by_role("button", name="Take this case").click()

    expect(second.get_by_role("alert")).to_contain_text(re.compile(r"Ana took it (\d+ s ago|just now)"))
    db.session.refresh(case)
    assert case.assignee_id == shop.people["Ana Silva"].id


def test_a_reply_to_what_has_moved_on_is_kept_and_warned_of(shop: Shop, desk: Page) -> None:
    case = shop.unhappy()
    let_in(desk, shop.staff("agent", "Ana Silva"), f"/desk/cases/{case.number}")
    act(desk, "Reply")
    desk.get_by_label("Message").fill("We send new poles.")
    entries.customer_reply(case, body="They have come, thank you!", form_key="x" * 22, now=clock.now())
    db.session.commit()

    desk.get_by_role("button", name="Send", exact=True).click()

    expect(desk.get_by_role("alert")).to_contain_text("Something was said while you were writing")
    expect(desk.get_by_role("group", name="What came in between")).to_contain_text("They have come, thank you!")
    expect(desk.get_by_label("Message")).to_have_value("We send new poles.")

    desk.get_by_role("button", name="Send", exact=True).click()
    toast(desk, "Your reply is on its way")


def test_goodwill_above_the_limit_waits_for_a_second_person(shop: Shop, visit: Visit) -> None:
    case = shop.unhappy()
    ana, marta = visit(), visit()
    let_in(ana, shop.staff("agent", "Ana Silva"), f"/desk/cases/{case.number}")
    act(ana, "Goodwill gesture")
    ana.get_by_label("Amount").fill("60")
    ana.get_by_label("Why", exact=True).fill("We broke two promises.")
    ana.get_by_role("button", name="Give", exact=True).click()
    toast(ana, "waits for a second person")
    assert "SORRY" not in "".join(mail["text"] for mail in shop.mails(address_of(case)))

    let_in(marta, shop.staff("marketer", "Marta Weiss"), f"/incentives/{shop.goodwill.public_id}")
    expect(marta.get_by_role("main")).to_contain_text("We broke two promises.")
    marta.get_by_role("button", name="Approve €60").click()

    toast(marta, "approved and on its way")
    work()
    assert db.session.scalars(select(Reward.state).where(Reward.case_id == case.id)).all() == [RewardState.ISSUED]
    assert "SORRY" in "".join(mail["text"] for mail in shop.mails(address_of(case)))
