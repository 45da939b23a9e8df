"""The single keys of staff pages, in a real browser: they use what is visible, and rest while somebody types."""

import pytest
from playwright.sync_api import Page, expect

from tests.axe import violations


@pytest.fixture
def guide(page: Page) -> Page:
    page.goto("/design")
    page.evaluate("document.activeElement.blur()")  # the focus stands on the example of an error summary
    return page


def current(page: Page) -> str:
    return page.locator(".case.at input").input_value()


def test_j_and_k_move_and_x_selects(guide: Page) -> None:
    guide.keyboard.press("j")
    guide.keyboard.press("j")
    guide.keyboard.press("x")

    assert current(guide) == "AM-2422"
    expect(guide.locator(".case.at input")).to_be_checked()

    guide.keyboard.press("k")
    assert current(guide) == "AM-2411"


def test_a_key_opens_its_act_and_what_follows_is_typed(guide: Page) -> None:
    guide.keyboard.press("r")
    guide.keyboard.type("jx/?")

    expect(guide.locator("#re")).to_have_value("jx/?")
    assert current(guide) == "AM-2409"


def test_slash_searches_and_question_mark_lists_the_keys(guide: Page) -> None:
    guide.keyboard.press("/")
    expect(guide.get_by_role("searchbox")).to_be_focused()

    guide.evaluate("document.activeElement.blur()")
    guide.keyboard.press("?")
    expect(guide.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()

    guide.keyboard.press("Escape")
    expect(guide.get_by_role("dialog", name="Keyboard shortcuts")).to_be_hidden()


def test_keys_can_be_turned_off(guide: Page) -> None:
    guide.evaluate("document.documentElement.dataset.keys = 'off'")

    guide.keyboard.press("j")
    guide.keyboard.press("?")

    assert current(guide) == "AM-2409"
    expect(guide.get_by_role("dialog", name="Keyboard shortcuts")).to_be_hidden()


def test_a_key_with_a_modifier_stays_the_browsers(guide: Page) -> None:
    guide.keyboard.press("Alt+j")

    assert current(guide) == "AM-2409"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("address", ["/design", "/design/public", "/design/public?lang=ar", "/s/unknown"])
def test_axe_finds_nothing_and_nothing_is_wider_than_the_page(
    page: Page, address: str, width: int, scheme: str
) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    # At rest: colours half way through a transition are nobody's, and axe would measure them on a slow machine.
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]  # it lists the schemes
    page.goto(address)

    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
