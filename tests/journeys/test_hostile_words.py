"""What strangers type is shown as what they typed: no browser runs it, whoever reads it."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from core import clock, tokens
from core.db import db, new_public_id
from feedback import entries
from tests.conftest import data_folder
from tests.hostile.words import words
from tests.journeys.northwind import Shop, let_in

pytestmark = pytest.mark.journey
AT_ONCE = 60  # words in one reply


def test_no_word_of_a_stranger_is_run_by_a_reader_s_browser(shop: Shop, desk: Page) -> None:
    """Each page is opened by a lead and none may open a dialog; the fixture fails for any error or violation."""
    sharp = [each for each in words(data_folder()) if len(each) < 500 and ("<" in each or "(" in each)]
    typed = [each.replace("\x00", "").encode("utf-8", "replace").decode() for each in sharp]
    case = shop.unhappy(comment="\n".join(typed[:20]))
    assert case.customer is not None
    case.customer.name = '"><img src=x onerror=alert(1)>'
    case.customer.phone = "javascript:alert(1)"
    for start in range(0, len(typed), AT_ONCE):
        said = "\n".join(typed[start : start + AT_ONCE])
        entries.customer_reply(case, body=said, form_key=new_public_id(), language="en", now=clock.now())
    db.session.commit()
    opened: list[str] = []
    desk.on("dialog", lambda dialog: (opened.append(dialog.message), dialog.dismiss()))
    pages = [
        f"/desk/cases/{case.number}",
        f"/customers/{case.customer.public_id}",
        "/customers?q=%3Cscript%3E",
        "/desk",
    ]
    pages += [f"/c/{tokens.sign('case', case.public_id)}"]

    let_in(desk, shop.staff("lead", "Mina Roth"), pages[0])
    for page in pages:
        desk.goto(page)
        shown = desk.inner_text("body")

        assert opened == [], page
        assert desk.locator("[onerror], [onload], [href^='javascript:']").count() == 0, page
        if page.startswith(("/desk/cases", "/c/")):
            assert "<script>alert" in shown, page
