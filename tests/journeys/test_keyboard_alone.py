"""Everything by keyboard alone: sign in, the desk, a call, the survey. The focus is always seen, and never caught."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import select

from core.db import db
from feedback.models import CaseEntry, EntryKind
from surveys.models import Response
from tests.factories import PASSWORD
from tests.journeys.northwind import Shop, hanna, let_in, tell_of_a_call

pytestmark = pytest.mark.journey

FOCUSED = """() => {
  const all = [...document.querySelectorAll("*")], here = document.activeElement;
  if (!here || here === document.body) return null;
  const marks = (element) => {
    const style = getComputedStyle(element);
    return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0 || style.boxShadow !== "none";
  };
  const box = here.getBoundingClientRect(), around = here.closest("label, li, .find, .pick label") ?? here;
  return {
    place: all.indexOf(here),
    what: here.outerHTML.slice(0, 90),
    // A part inside a date's field, such as its calendar button, is the browser's own and marked by it.
    seen: marks(here) || marks(around) || !here.matches(":focus"),
    inside: box.bottom > 0 && box.top < innerHeight && here.checkVisibility({visibilityProperty: true}),
  };
}"""


def tab_through(page: Page, *, most: int = 150) -> list[dict[str, Any]]:
    """Press Tab until the focus leaves the page; return every place it stood at."""
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    places: list[dict[str, Any]] = []
    for _press in range(most):
        page.keyboard.press("Tab")
        place = page.evaluate(FOCUSED)
        if place is None or (len(places) > 1 and place["place"] == places[0]["place"]):
            return places
        if not places or place["place"] != places[-1]["place"]:  # day, month and year of one field are one place
            places.append(place)
    raise AssertionError(f"the focus never left the page: {places[-5:]}")


def assert_well_led(places: list[dict[str, Any]]) -> None:
    """Expect a focus that can be seen everywhere, that stands nowhere twice, and that goes down the page."""
    assert [place["what"] for place in places if not place["seen"]] == []
    assert [place["what"] for place in places if not place["inside"]] == []
    order = [place["place"] for place in places]
    assert order == sorted(set(order))


def test_an_agent_signs_in_and_logs_a_call_without_a_mouse(shop: Shop, desk: Page) -> None:
    shop.unhappy(customer=hanna(name="Hanna Keller"))
    case = shop.unhappy(customer=hanna(name="Marc Oudin"))
    ana = shop.staff("agent", "Ana Silva")
    keys = desk.keyboard

    desk.goto("/login?next=/desk")
    expect(desk.get_by_label("Work e-mail address")).to_be_focused()
    keys.type(ana.email)
    keys.press("Tab")
    keys.type(PASSWORD)
    keys.press("Enter")
    expect(desk).to_have_url(re.compile("/desk$"))

    keys.press("j")
    expect(desk.locator(".case.at")).to_contain_text("Marc Oudin")
    keys.press("k")
    keys.press("j")
    keys.press("Enter")
    expect(desk).to_have_url(re.compile(f"/desk/cases/{case.number}"))

    keys.press("c")
    expect(desk.get_by_label("Reached", exact=True)).to_be_focused()
    keys.press("Space")
    keys.press("Tab")
    keys.type("7")
    keys.press("Tab")
    keys.type("Only the poles matter to her: jkxc?")
    keys.press("Tab")
    keys.press("Enter")

    expect(desk.locator(".flash")).to_contain_text("The call is in the case.")
    call = db.session.scalars(select(CaseEntry).where(CaseEntry.kind == EntryKind.CALL)).one()
    assert (call.case_id, call.minutes, call.body) == (case.id, 7, "Only the poles matter to her: jkxc?")


def test_the_focus_is_seen_and_goes_on_through_desk_and_case(shop: Shop, desk: Page) -> None:
    case = shop.unhappy()
    let_in(desk, shop.staff("lead", "Alice Lind"), "/desk")
    assert_well_led(tab_through(desk))

    desk.goto(f"/desk/cases/{case.number}?act=promise")
    assert_well_led(tab_through(desk))


def test_escape_closes_what_is_open_and_gives_the_focus_back(shop: Shop, desk: Page) -> None:
    let_in(desk, shop.staff("lead", "Alice Lind"), "/desk")
    keys = desk.keyboard
    menu = desk.locator("summary", has_text="Filter")
    menu.focus()
    keys.press("Enter")
    expect(desk.get_by_role("button", name="Show", exact=True)).to_be_visible()

    keys.press("Escape")
    expect(desk.get_by_role("button", name="Show", exact=True)).to_be_hidden()
    expect(menu).to_be_focused()

    keys.press("?")
    expect(desk.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    keys.press("Escape")
    expect(desk.get_by_role("dialog", name="Keyboard shortcuts")).to_be_hidden()


def test_single_keys_rest_for_who_turned_them_off(shop: Shop, desk: Page) -> None:
    case, ana = shop.unhappy(), shop.staff("agent", "Ana Silva")
    let_in(desk, ana, "/profile#keys")
    box = desk.get_by_role("main").get_by_role("checkbox")
    box.uncheck()
    desk.get_by_role("button", name="Save", exact=True).click()
    expect(desk.locator(".flash")).to_contain_text("Saved.")

    desk.goto(f"/desk/cases/{case.number}")
    for key in "cra?/":
        desk.keyboard.press(key)

    expect(desk.get_by_role("button", name="Save call")).to_be_hidden()
    expect(desk.get_by_role("dialog", name="Keyboard shortcuts")).to_be_hidden()
    expect(desk.get_by_role("searchbox")).not_to_be_focused()


def test_a_customer_answers_by_arrow_keys_tab_and_enter(shop: Shop, desk: Page) -> None:
    desk.goto(shop.link(tell_of_a_call(shop), "/s/").partition("?")[0])
    assert_well_led(tab_through(desk))
    keys = desk.keyboard

    desk.get_by_role("radio", name="0", exact=True).focus()
    for _step in range(3):
        keys.press("ArrowRight")
    expect(desk.get_by_role("radio", name="3", exact=True)).to_be_checked()
    assert_well_led(tab_through(desk))

    desk.get_by_role("radio", name="3", exact=True).focus()
    keys.press("Tab")
    keys.press("Tab")
    keys.press("Space")
    expect(desk.get_by_role("checkbox", name="My order arrived late or damaged")).to_be_checked()
    while not desk.evaluate("document.activeElement.matches('textarea')"):
        keys.press("Tab")
    keys.type("Four days late.")
    keys.press("Tab")
    keys.press("Space")
    keys.press("Tab")
    keys.press("Enter")

    expect(desk.get_by_role("heading", level=1)).to_contain_text("Thank you")
    db.session.rollback()
    response = db.session.scalars(select(Response)).one()
    assert (response.score, response.comment, response.contact) == (3, "Four days late.", "phone")
