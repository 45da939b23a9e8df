"""Staff: filing for a customer on the phone, what a complaint's case shows, downloads, the team's trees."""

from __future__ import annotations

import io
import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from accounts.models import Staff
from core import clock
from core.db import db
from core.events import Event
from customers.models import Brand
from feedback import complaints, entries, files, resolutions, trees
from feedback.complaints import ComplaintData
from feedback.files import Upload
from feedback.models import Attachment, Case, Category, Complaint, RootCause
from feedback.trees import BadNode
from notifications.models import Message
from tests.client import Client, count_queries
from tests.factories import make_case, make_customer, make_interaction, make_staff, make_touchpoint
from tests.feedback.files_made import HOSTILE, boxes, jpeg

PATH = "/desk/complaints/new"


def text_of(response: TestResponse) -> str:
    return unescape(response.get_data(as_text=True))


def typed(brand: Brand, **more: Any) -> dict[str, Any]:
    values = {
        "customer": "",
        "what": "One pole is cracked right through.",
        "m": "11",
        "y": "2025",
        "right": "replace",
        "via": "phone",
        "tel": "+494055504471",
        "brand": brand.key,
        "category": "",
        "language": "de",
        "form_key": "k" * 22,
    }
    return {**values, **more}


def filed(brand: Brand, **more: Any) -> Case:
    values: dict[str, Any] = {"words": "Cracked.", "form_key": "k" * 22, "language": "en", "via": "phone"}
    kept = complaints.file(ComplaintData(**{**values, **more}), brand=brand, by="customer", now=clock.now())
    return complaints.by_public_id(kept.public_id)[1]


def rows(model: Any) -> int:
    return db.session.scalar(select(func.count()).select_from(model)) or 0


@pytest.fixture
def desk(client: Client, ana: Staff) -> Client:
    client.sign_in(ana)
    return client


@pytest.fixture
def settings(client: Client, app: Flask) -> Client:
    client.sign_in(make_staff("admin"))
    return client


def test_an_agent_files_for_a_customer_who_is_answered_at_once(desk: Client, brand: Brand, ana: Staff) -> None:
    hanna = make_customer(name="Hanna Keller", email="hanna@posteo.example")
    late = trees.add(Category, "Late", parent=None, by=ana, now=clock.now())

    form = text_of(desk.get(f"{PATH}?customer={hanna.public_id}"))
    for _ in range(2):
        response = desk.post(PATH, data=typed(brand, customer=hanna.external_id, category=late.key))

    case = db.session.scalars(select(Case)).one()
    complaint = db.session.scalars(select(Complaint)).one()
    assert f'value="{hanna.external_id}"' in form
    assert response.headers["Location"] == f"/desk/cases/{case.number}"
    assert (case.customer_id, case.origin, case.language) == (hanna.id, "complaint", "de")
    assert (complaint.category, complaint.happened_on) == (late.key, "2025-11")
    opened = db.session.scalars(select(Event).where(Event.kind == "case.opened")).one()
    assert opened.actor == f"staff:{ana.id}"
    sent = db.session.scalars(select(Message)).one()
    assert (sent.kind, sent.to_address) == ("complaint_acknowledged", "hanna@posteo.example")


def test_a_customer_on_record_is_answered_at_the_address_that_is_known(desk: Client, brand: Brand) -> None:
    make_customer(email="hanna@posteo.example")

    refused = desk.post(PATH, data=typed(brand, via="email", tel=""))
    taken = desk.post(PATH, data=typed(brand, via="email", tel="", customer="hanna@posteo.example"))

    assert "We need their e-mail address for that" in text_of(refused)
    assert 'name="category" value=""' in text_of(refused)  # there is none to choose
    assert taken.status_code == 302


def test_a_caller_who_is_not_on_record_confirms_by_mail(desk: Client, brand: Brand) -> None:
    desk.post(PATH, data=typed(brand, name="Nora", email="nora@posteo.example"))

    assert db.session.scalars(select(Case.customer_id)).one() is None
    assert db.session.scalars(select(Message.kind)).one() == "confirm_address"


def test_the_form_speaks_to_staff_and_not_to_the_customer(desk: Client, brand: Brand) -> None:
    page = text_of(desk.post(PATH, data=typed(brand, via="", what="")))

    assert "Choose how to reach them" in page
    assert "Write what happened" in page
    assert "reach you" not in page
    assert "Ring me" not in page


def test_a_customer_whom_nobody_knows_is_said_at_the_field_with_everything_kept(desk: Client, brand: Brand) -> None:
    response = desk.post(PATH, data=typed(brand, customer="C-none", what="My words", d="44"))

    page = text_of(response)
    assert response.status_code == 422
    assert "No customer has this address or number" in page
    assert "That month has the days 1 to 30" in page
    assert "My words</textarea>" in page
    assert rows(Case) == 0


def test_staff_are_told_of_a_file_too_large_at_its_field(desk: Client, brand: Brand) -> None:
    film = boxes(b"isom", more=b"\0" * (30 * files.MEGABYTE))

    large = desk.post(PATH, data=typed(brand, file=[(io.BytesIO(film), "film.mp4")]))
    hostile = desk.post(PATH, data=typed(brand, file=[(io.BytesIO(HOSTILE["page.html"]), "a.jpg")]))

    large.request.environ["wsgi.input"].close()  # a large body lies in a file of the client's
    assert (large.status_code, hostile.status_code) == (422, 422)
    assert "is larger than 20 MB" in text_of(large)
    assert "can’t be taken" in text_of(hostile)


def test_an_agent_files_only_for_their_own_brand(client: Client, brand: Brand, bob: Staff) -> None:
    client.sign_in(bob)

    client.post(PATH, data=typed(brand))

    assert rows(Case) == 0


# What the case shows


def test_the_case_shows_what_was_told_and_what_is_not_proved(desk: Client, brand: Brand) -> None:
    owner = make_customer(name="Otto Other")
    make_interaction(make_touchpoint(brand), owner, reference="NW-1")
    case = filed(
        brand,
        reference="NW-1",
        wish="refund",
        happened_on="2025-11-07",
        contact_time="morning",
        typed_name="Hanna <b>",
        typed_phone="+494055504471",
        typed_email="hanna@posteo.example",
    )

    page = text_of(desk.get(f"/desk/cases/{case.number}"))

    for words in (
        "an order of Otto Other: ask who is complaining",
        "A refund, in full or in part",
        "7 November 2025",
        "in the morning",
        "+494055504471",
        "not confirmed: nothing is sent there yet",
        "Nobody is sure yet who complained",
    ):
        assert words in page, words
    assert "Hanna &lt;b&gt;" in desk.get(f"/desk/cases/{case.number}").get_data(as_text=True)


def test_an_unknown_order_is_shown_as_unknown(desk: Client, brand: Brand) -> None:
    case = filed(brand, reference="NW-404", customer=make_customer())

    assert "no such order with us" in text_of(desk.get(f"/desk/cases/{case.number}"))


def test_files_are_listed_and_come_as_downloads_only(desk: Client, brand: Brand, bob: Staff, app: Flask) -> None:
    photo = jpeg(comment=b"x" * 3000)
    case = filed(brand, files=[Upload(photo, 'pole "1"\u2028ü.jpg', "image/jpeg")])
    entry = entries.customer_reply(case, body="One more", form_key="f" * 22, now=clock.now())
    files.attach(case.id, [Upload(b"%PDF-1.4", "bill.pdf", "application/pdf")], entry_id=entry.id, now=clock.now())

    page = text_of(desk.get(f"/desk/cases/{case.number}"))
    found = re.findall(rf'href="(/desk/cases/{case.number}/files/[\w-]+)" download', page)
    response = desk.get(found[0])

    assert len(found) == 2
    assert "<img" not in page
    assert "3 kB" in page
    assert response.get_data() == photo
    assert response.headers["Content-Type"] == "application/octet-stream"
    assert response.headers["Content-Disposition"].startswith("attachment;")
    assert response.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    stranger = app.test_client()
    stranger.sign_in(bob)
    assert stranger.get(found[0]).status_code == 404
    assert app.test_client().get(found[0]).status_code == 302


def test_a_file_is_found_only_with_its_own_case_and_not_once_erased(desk: Client, brand: Brand) -> None:
    case, other = filed(brand, files=[Upload(b"x", "a.jpg", "image/jpeg")]), make_case(brand)
    attachment = db.session.scalars(select(Attachment)).one()
    file = files.of_case(case.id)[None][0]

    assert attachment.case_id == case.id
    assert desk.get(f"/desk/cases/{other.number}/files/{file.public_id}").status_code == 404
    assert desk.get(f"/desk/cases/{case.number}/files/{file.public_id}").status_code == 200
    file.erased_at = clock.now()
    assert desk.get(f"/desk/cases/{case.number}/files/{file.public_id}").status_code == 404
    assert "a.jpg" not in text_of(desk.get(f"/desk/cases/{case.number}"))


def test_the_case_costs_the_same_with_one_and_with_three_files(desk: Client, brand: Brand) -> None:
    now = clock.now()
    case = filed(brand, reference="NW-1", files=[Upload(b"x", "a.jpg", "image/jpeg")])
    address = f"/desk/cases/{case.number}"
    desk.get(address)
    with count_queries() as one:
        desk.get(address)
    files.attach(case.id, [Upload(b"y", "b.jpg", "image/jpeg"), Upload(b"z", "c.jpg", "image/jpeg")], now=now)
    db.session.commit()
    with count_queries() as three:
        desk.get(address)

    assert one.count == three.count


def test_staff_say_what_a_complaint_is_about(desk: Client, brand: Brand, ana: Staff) -> None:
    case, late = filed(brand), trees.add(Category, "Late", parent=None, by=ana, now=clock.now())
    path = f"/desk/cases/{case.number}/category"

    desk.post(path, data={"category": late.public_id})
    about = text_of(desk.get(f"/desk/cases/{case.number}"))
    strange = desk.post(path, data={"category": "nothing"})
    none = desk.post(f"/desk/cases/{make_case(brand).number}/category", data={"category": late.public_id})

    assert db.session.scalars(select(Complaint.category)).one() == late.key
    assert "About: Late" in about
    assert (strange.status_code, none.status_code) == (404, 404)


def test_the_desk_leads_to_filing(desk: Client, brand: Brand) -> None:
    assert f'href="{PATH}"' in text_of(desk.get("/desk"))


# The team's trees


def test_nodes_are_added_renamed_archived_and_offered_again(settings: Client) -> None:
    settings.post("/settings/categories/categories", data={"name": "Delivery", "parent": ""})
    top = db.session.scalars(select(Category)).one()
    settings.post("/settings/categories/categories", data={"name": "  Late \n arrival ", "parent": top.public_id})
    late = db.session.scalars(select(Category).where(Category.parent_id == top.id)).one()
    node = f"/settings/categories/categories/{late.public_id}"
    key = late.key

    settings.post(node, data={"name": "Too late", "act": "rename"})
    renamed = text_of(settings.get("/settings/categories"))
    settings.post(f"/settings/categories/categories/{top.public_id}", data={"act": "archive"})
    archived = [each.archived_at for each in db.session.scalars(select(Category))]
    below = settings.post(node, data={"act": "restore"})
    settings.post(f"/settings/categories/categories/{top.public_id}", data={"act": "restore"})
    settings.post(node, data={"act": "restore"})

    assert (late.name, late.key) == ("Too late", key)
    assert "Delivery › Too late" in renamed
    assert all(archived)
    assert below.status_code == 422
    assert [each.full_name for each in trees.branches(Category)] == ["Delivery", "Delivery › Too late"]
    kinds = db.session.scalars(select(Event.kind).where(Event.kind.startswith("category.")).order_by(Event.id)).all()
    assert kinds.count("category.archived") == 2


@pytest.mark.parametrize(
    ("name", "words"),
    [("", "Give it a name."), (" \0 ", "Give it a name."), ("x" * 81, "at most 80"), ("DELIVERY", "this name already")],
)
def test_a_name_that_cannot_be_is_said_at_its_field_and_kept(settings: Client, name: str, words: str) -> None:
    settings.post("/settings/categories/causes", data={"name": "Delivery"})

    response = settings.post("/settings/categories/causes", data={"name": name})

    page = text_of(response)
    assert response.status_code == 422
    assert words in page
    assert 'aria-invalid="true"' in page
    assert name.strip() in page
    assert rows(RootCause) == 1


def test_a_tree_is_four_levels_deep_at_most(app: Flask) -> None:
    node = None
    for number in range(4):
        node = trees.add(RootCause, f"Level {number}", parent=node, by="system", now=clock.now())

    with pytest.raises(BadNode) as refused:
        trees.add(RootCause, "Too deep", parent=node, by="system", now=clock.now())

    assert refused.value.field == "parent"


def test_an_archived_cause_is_offered_no_more_and_its_name_is_free(desk: Client, brand: Brand) -> None:
    cause = trees.add(RootCause, "Courier", parent=None, by="system", now=clock.now())
    trees.archive(cause, by="system", now=clock.now())
    again = trees.add(RootCause, "Courier", parent=None, by="system", now=clock.now())

    assert resolutions.causes() == [again]
    with pytest.raises(BadNode):
        trees.restore(cause, by="system", now=clock.now())


def test_only_who_may_edit_settings_sees_the_trees(client: Client, alice: Staff) -> None:
    client.sign_in(alice)

    assert client.get("/settings/categories").status_code == 403
    assert client.post("/settings/categories/causes", data={"name": "Mine"}).status_code == 403


@pytest.mark.parametrize("path", ["nothing", "categories/nothing", "causes/%00"])
def test_trees_and_nodes_that_are_not_there_are_not_found(settings: Client, path: str) -> None:
    assert settings.post(f"/settings/categories/{path}", data={"name": "x"}).status_code == 404


def test_the_page_of_trees_costs_the_same_for_one_and_for_three_nodes(settings: Client) -> None:
    now = clock.now()
    top = trees.add(Category, "A", parent=None, by="system", now=now)
    settings.get("/settings/categories")
    with count_queries() as one:
        settings.get("/settings/categories")
    trees.add(Category, "B", parent=top, by="system", now=now + timedelta(seconds=1))
    trees.archive(trees.add(Category, "C", parent=None, by="system", now=now), by="system", now=now)
    db.session.commit()
    with count_queries() as three:
        settings.get("/settings/categories")

    assert one.count == three.count
