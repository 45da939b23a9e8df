"""The survey in a real browser: with keys alone, without JavaScript, taken up again, and without a finding of axe."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import select

from core import clock
from core.db import db
from feedback.models import Case
from surveys.models import Invitation, Response
from tests.axe import violations
from tests.client import Client
from tests.factories import make_brand, make_customer, make_invitation, make_staff, make_survey
from tests.surveys.links import link

pytestmark = pytest.mark.journey
PHONE = {"viewport": {"width": 390, "height": 844}}
AUDITED = [
    {"viewport": {"width": width, "height": 900}, "color_scheme": scheme}
    for width in (390, 1440)
    for scheme in ("light", "dark")
]


@pytest.fixture
def invitation(app: Flask) -> Invitation:
    brand = make_brand(name="Northwind Outdoor", phone="0800 555 0142", colour="oklch(.42 .085 160)")
    made = make_invitation(make_survey(brand), make_customer(phone="+494055504471"))
    db.session.commit()
    return made


@pytest.mark.parametrize("browser_options", [{**PHONE, "java_script_enabled": False}])
def test_a_customer_answers_on_a_phone_without_javascript(
    page: Page, invitation: Invitation, browser_options: dict[str, Any]
) -> None:
    page.goto(f"{link(invitation)}?score=2")
    expect(page.get_by_text("We’re sorry. What went wrong?")).to_be_visible()
    expect(page.get_by_text("What did we do well?")).to_be_hidden()

    page.get_by_label("The problem isn’t solved").check()
    page.get_by_label("Tell us in your own words").fill("The line went dead.")
    page.get_by_label("Yes, ring me").check()
    page.get_by_role("button", name="Send my answer").click()

    expect(page.get_by_role("heading", level=1)).to_contain_text("We’re sorry this went wrong.")
    expect(page.get_by_text("A person from our team will call you by")).to_be_visible()
    db.session.rollback()
    case = db.session.scalars(select(Case)).one()
    expect(page.get_by_text(case.label)).to_be_visible()


@pytest.mark.parametrize("browser_options", [PHONE])
def test_keys_alone_are_enough(page: Page, invitation: Invitation, browser_options: dict[str, Any]) -> None:
    page.goto(link(invitation))
    page.get_by_label("0", exact=True).focus()
    for _ in range(9):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Tab")
    page.keyboard.type("Quick and kind.")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", level=1)).to_contain_text("We’re glad it went well.")
    db.session.rollback()
    response = db.session.scalars(select(Response)).one()
    assert (response.score, response.comment) == (9, "Quick and kind.")


@pytest.mark.parametrize("browser_options", [PHONE])
def test_what_was_filled_in_is_there_when_the_link_is_opened_again(
    page: Page, invitation: Invitation, browser_options: dict[str, Any]
) -> None:
    page.goto(link(invitation))
    with page.expect_response(lambda answer: answer.url.endswith("/partial")) as kept:
        page.locator("label").filter(has_text="3").first.click()
    assert kept.value.status == 204

    page.goto(link(invitation))

    expect(page.get_by_label("3", exact=True)).to_be_checked()


@pytest.mark.parametrize("browser_options", AUDITED)
def test_axe_finds_nothing_on_any_page_of_a_link(
    page: Page, invitation: Invitation, browser_options: dict[str, Any]
) -> None:
    path = link(invitation)
    for language in ("en", "ar"):
        page.goto(f"{path}?score=2&lang={language}")
        look(page)
    page.goto(f"{path}?lang=en")
    page.evaluate("document.querySelector('form').noValidate = true")
    page.get_by_role("button", name="Send my answer").click()
    expect(page.get_by_role("alert")).to_be_focused()
    look(page)
    page.goto(f"{path}?score=2")
    page.get_by_label("Yes, by e-mail").check()
    page.get_by_role("button", name="Send my answer").click()
    expect(page.get_by_text("Your case number is")).to_be_visible()
    look(page)
    page.goto("/s/unknown")
    look(page)


def look(page: Page) -> None:
    assert violations(page) == []
    width = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert width <= 0, page.url


def test_a_link_that_ran_out_is_sound_too(page: Page, invitation: Invitation) -> None:
    invitation.expires_at = clock.now() - timedelta(days=1)
    db.session.commit()

    page.goto(link(invitation))

    expect(page.get_by_role("link", name="I would rather talk to a person")).to_be_visible()
    look(page)


@pytest.mark.parametrize("browser_options", [AUDITED[0], AUDITED[-1]])
@pytest.mark.parametrize("language", ["en", "ar"])
def test_axe_finds_nothing_on_stars_and_choices(
    page: Page, app: Flask, browser_options: dict[str, Any], language: str
) -> None:
    survey = make_survey(make_brand(), "event")
    paths = [link(make_invitation(make_survey(survey.brand, key))) for key in ("event", "cancellation")]
    db.session.commit()

    for path in paths:
        page.goto(f"{path}?lang={language}&score=1")
        look(page)


@pytest.mark.parametrize("browser_options", [{**PHONE, "java_script_enabled": False}])
def test_stars_and_own_words_need_keys_alone_and_no_script(
    page: Page, app: Flask, browser_options: dict[str, Any]
) -> None:
    event, leaving = [link(make_invitation(make_survey(key=key))) for key in ("event", "cancellation")]
    db.session.commit()
    page.goto(f"{event}?score=4")
    page.locator("#content-0").focus()
    for _step in range(3):
        page.keyboard.press("ArrowRight")
    page.get_by_role("button", name="Send my answer").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Thank you")

    page.goto(f"{leaving}?score=6")
    expect(page.locator("#reason_other")).to_be_hidden()
    page.get_by_label("Something else").check()
    page.locator("#reason_other").fill("The smell of it")
    page.get_by_role("button", name="Send my answer").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Thank you")

    db.session.expire_all()
    first, second = db.session.scalars(select(Response).order_by(Response.id)).all()
    assert first.answers["content"] == 4
    assert (second.answers["reason"], second.comment) == ("other", "The smell of it")


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_what_staff_see(
    browser: Browser, live_server: str, client: Client, invitation: Invitation, width: int, scheme: Any
) -> None:
    client.sign_in(make_staff("marketer"))
    cookie = client.get_cookie(client.application.config["SESSION_COOKIE_NAME"])
    assert cookie is not None
    context = browser.new_context(
        base_url=live_server,
        viewport={"width": width, "height": 900},
        color_scheme=scheme,
        reduced_motion="reduce",
        user_agent=client.user_agent,
    )
    context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": live_server}])
    page = context.new_page()

    draft = "/surveys/nps_after_contact/draft"
    paths = ("/surveys", "/surveys/library", draft, f"{draft}?question=why", "/surveys/nps_after_contact?score=3")
    for path in paths:
        page.goto(path)
        look(page)

    expect(page.frame_locator("iframe").get_by_text("We’re sorry. What went wrong?")).to_be_visible()
    context.close()
