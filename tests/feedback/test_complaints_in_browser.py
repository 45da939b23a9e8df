"""Complaints in a real browser: without script, for everybody, and with words that were made to do harm."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page
from sqlalchemy import select

from accounts.models import Staff
from core import clock
from core.db import db
from customers.models import Brand
from feedback import complaints, files
from feedback.complaints import ComplaintData
from feedback.files import Upload
from feedback.models import Case, Complaint
from tests.axe import violations
from tests.factories import PASSWORD, make_customer
from tests.feedback.files_made import jpeg

PAINTED_TWICE = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


def fill(page: Page) -> None:
    page.get_by_label("What happened?").fill("One pole is cracked right through.")
    page.get_by_label("Month").fill("11")
    page.get_by_label("Year").fill("2025")
    page.get_by_label("A refund, in full or in part").check()
    page.get_by_label("Ring me").check()
    page.get_by_label("Phone number").fill("+49 40 5550 4471")


@pytest.mark.parametrize("browser_options", [{"java_script_enabled": False}], ids=["without script"])
def test_a_complaint_is_filed_by_labels_alone_and_corrected_at_its_field(
    page: Page, brand: Brand, browser_options: dict[str, Any]
) -> None:
    db.session.commit()
    page.goto("/complaints/new?lang=en")
    fill(page)
    page.get_by_label("Month").fill("13")
    page.set_input_files("#file", [{"name": "pole.jpg", "mimeType": "image/jpeg", "buffer": jpeg()}])
    page.get_by_role("button", name="Send complaint").click()

    page.get_by_role("link", name="A month is a number from 1 to 12").click()
    assert page.get_by_label("What happened?").input_value() == "One pole is cracked right through."
    page.get_by_label("Month").fill("10")
    page.set_input_files("#file", [{"name": "pole.jpg", "mimeType": "image/jpeg", "buffer": jpeg()}])
    page.get_by_role("button", name="Send complaint").click()

    number = page.get_by_text(re.compile(r"^AM-\d+$")).inner_text()
    db.session.rollback()
    case = db.session.scalars(select(Case)).one()
    assert number == case.label
    assert [each.name for each in files.of_case(case.id)[None]] == ["pole.jpg"]


@pytest.mark.parametrize("language", ["en", "de", "ar"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_form_with_its_errors_is_for_everybody(page: Page, brand: Brand, language: str, scheme: Any) -> None:
    db.session.commit()
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.set_viewport_size({"width": 390 if scheme == "dark" else 1440, "height": 900})
    page.goto(f"/complaints/new?lang={language}")
    fresh = violations(page)
    page.locator("#send").click()
    page.locator(".box.err").wait_for()

    assert fresh == []
    assert violations(page) == []
    assert page.evaluate("document.activeElement.className") == "box err"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.data
def test_words_made_to_do_harm_run_nothing_where_staff_read_them(
    page: Page, brand: Brand, alice: Staff, data: Path
) -> None:
    lists = sorted((data / "hostile" / "payloads" / "xss").iterdir())
    words = [line for path in lists for line in path.read_text("utf-8", "replace").splitlines()]
    words = [line.replace("\0", "") for line in dict.fromkeys(words)][:300]
    numbers = []
    for number in range(6):
        some = words[number * 50 : (number + 1) * 50]
        told = ComplaintData(
            words="\n".join(some),
            form_key=f"{number:022}",
            language="en",
            customer=make_customer(name=some[0], tier=some[2]) if number % 2 else None,
            reference=some[1],
            via="phone",
            typed_name=some[3],
            typed_phone=some[4],
            files=[Upload(jpeg(), some[5], "image/jpeg")],
        )
        kept = complaints.file(told, brand=brand, by="customer", now=clock.now())
        numbers.append(complaints.by_public_id(kept.public_id)[1].number)
    db.session.commit()
    ran: list[str] = []
    page.on("dialog", lambda dialog: (ran.append(dialog.message), dialog.dismiss()))
    page.on("pageerror", lambda error: ran.append(str(error)))
    page.goto("/login")
    page.fill("input[name=email]", alice.email)
    page.fill("input[name=password]", PASSWORD)
    page.click("main .btn.main")

    for path in ("/desk", *(f"/desk/cases/{number}" for number in numbers)):
        page.goto(path)
        page.evaluate(PAINTED_TWICE)  # what a page runs when its images failed to load has run by then

    assert len(words) > 100
    assert ran == []
    assert len(db.session.scalars(select(Complaint)).all()) == 6
