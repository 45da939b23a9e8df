"""A customer on a phone: from the mail to the thank-you page, in three languages."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import func, select

from core.db import db
from feedback.models import Case
from surveys.models import Response
from tests.journeys.northwind import Shop, tell_of_a_call
from tests.test_access import rows_by_table

pytestmark = pytest.mark.journey
TIME = r"(\d\d|[٠-٩]{2}):(\d\d|[٠-٩]{2})"


def answer_unhappily(page: Page, *, why: str, comment: str, ring: str, send: str) -> None:
    page.get_by_role("checkbox", name=why).check()
    page.locator("textarea[name=comment]").fill(comment)
    page.get_by_role("radio", name=ring).check()
    page.get_by_role("button", name=send).click()


def test_an_unhappy_customer_is_told_who_calls_by_when(shop: Shop, phone: Page) -> None:
    address = tell_of_a_call(shop)
    link = shop.link(address, "score=2")
    before = rows_by_table()

    phone.goto(link)

    expect(phone.get_by_role("radio", name="2", exact=True)).to_be_checked()
    assert rows_by_table() == before

    answer_unhappily(
        phone,
        why="My order arrived late or damaged",
        comment="The tent came four days late.",
        ring="Yes, ring me",
        send="Send my answer",
    )

    expect(phone.get_by_role("heading", level=1)).to_have_text(
        re.compile("Thank you, .?Hanna.?\\. We’re sorry this went wrong.")
    )
    db.session.rollback()
    case = db.session.scalars(select(Case)).one()
    main = phone.get_by_role("main")
    expect(main).to_contain_text(case.label)
    expect(main).to_contain_text(re.compile(rf"A person from our team will call you by .*{TIME}"))
    expect(main).to_contain_text("+49 ••• 4471")
    expect(main).to_contain_text(re.compile("It’s on its way to .?h•••@customer.example"))
    assert case.words == "The tent came four days late."
    assert case.score == 2


def test_reloading_and_coming_back_shows_the_same_thanks_and_then_the_code(shop: Shop, phone: Page) -> None:
    address = tell_of_a_call(shop)
    link = shop.link(address, "score=2")
    phone.goto(link)
    phone.get_by_role("button", name="Send my answer").click()
    thanks = phone.get_by_role("heading", name=re.compile("Thank you, .?Hanna"))
    expect(thanks).to_be_visible()

    phone.reload()
    expect(thanks).to_be_visible()
    shop.mails(address)
    phone.goto(link)

    expect(thanks).to_be_visible()
    expect(phone.get_by_role("main")).to_contain_text(re.compile(r"THANKS-?[A-Z0-9]+"))
    phone.go_back()
    assert db.session.scalar(select(func.count(Response.id))) == 1
    mail = next(each for each in shop.mails(address) if "THANKS" in each["text"])
    assert "€5" in mail["text"]


@pytest.mark.parametrize(
    ("language", "direction", "why", "ring", "send", "thanks", "promise"),
    [
        (
            "de",
            "ltr",
            "Meine Bestellung kam zu spät oder beschädigt an",
            "Ja, rufen Sie mich an",
            "Antwort senden",
            "Danke",
            "ruft Sie",
        ),
        ("ar", "rtl", "وصل طلبي متأخرًا أو تالفًا", "نعم، اتصلوا بي", "إرسال إجابتي", "شكرًا", "سيتصل بك"),
    ],
)
def test_german_and_arabic_customers_are_asked_and_thanked_in_their_language(
    shop: Shop,
    phone: Page,
    language: str,
    direction: str,
    why: str,
    ring: str,
    send: str,
    thanks: str,
    promise: str,
) -> None:
    address = tell_of_a_call(shop, language)

    phone.goto(shop.link(address, "score=2"))

    expect(phone.locator("html")).to_have_attribute("lang", language)
    expect(phone.locator("html")).to_have_attribute("dir", direction)
    answer_unhappily(phone, why=why, comment="…", ring=ring, send=send)
    expect(phone.get_by_role("heading", level=1)).to_contain_text(thanks)
    expect(phone.locator("html")).to_have_attribute("dir", direction)
    main = phone.get_by_role("main")
    expect(main).to_contain_text(promise)
    expect(main).to_contain_text(re.compile(TIME))
    expect(main).to_contain_text(re.compile("AM-[0-9]+"))
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
