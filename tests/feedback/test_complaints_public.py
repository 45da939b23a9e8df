"""The public complaint form: what it asks, what it refuses and how, and that nothing typed is lost."""

from __future__ import annotations

import io
import json
import re
import threading
from datetime import date, timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from core import clock, tokens
from core.db import db
from core.errors import Refusal
from core.files import File
from customers.models import Brand, Customer
from feedback import complaints, files, happened
from feedback.models import Attachment, Case, CaseEntry, Complaint
from feedback.views.complaints import PER_MINUTE
from notifications.models import Message
from tests.client import Client, count_queries
from tests.factories import make_brand, make_case, make_customer
from tests.feedback.files_made import HONEST, HOSTILE, boxes, jpeg

PATH = "/complaints/new"


def typed(**more: Any) -> dict[str, Any]:
    values = {
        "what": "One pole is cracked right through.",
        "ref": "NW-48213",
        "d": "11",
        "m": "11",
        "y": "2025",
        "right": "replace",
        "via": "phone",
        "tel": "+49 40 5550 4471",
        "name": "Hanna Keller",
        "email": "",
        "form_key": "k" * 22,
    }
    return {**values, **more}


def send(client: Client, query: str = "", **more: Any) -> TestResponse:
    response = client.post(PATH + query, data=typed(**more))
    response.request.environ["wsgi.input"].close()  # large bodies lie in a file of the client's
    return response


def text_of(response: TestResponse) -> str:
    return unescape(response.get_data(as_text=True))


def attached(*named: tuple[str, bytes]) -> list[tuple[io.BytesIO, str]]:
    return [(io.BytesIO(content), name) for name, content in named]


def rows(model: Any) -> int:
    return db.session.scalar(select(func.count()).select_from(model)) or 0


def test_a_complaint_is_taken_and_its_receipt_says_number_and_deadline(client: Client, brand: Brand) -> None:
    response = send(client)

    complaint, case = db.session.scalars(select(Complaint)).one(), db.session.scalars(select(Case)).one()
    assert response.status_code == 303
    receipt = client.get(response.headers["Location"])
    page = text_of(receipt)
    assert case.label in page
    assert re.search(r"A person from our team calls you by [^<]*\d\d:\d\d", page)
    assert (complaint.reference, complaint.happened_on, complaint.wish) == ("NW-48213", "2025-11-11", "replace")
    assert (complaint.typed_phone, complaint.typed_name, complaint.via) == ("+494055504471", "Hanna Keller", "phone")
    assert case.wants == "phone"
    assert "Set-Cookie" not in receipt.headers
    assert "/c/" not in page  # who typed is not proved to be anybody: no way into the case


def test_the_form_is_of_the_brand_that_is_asked_for_or_the_first(client: Client, brand: Brand) -> None:
    second = make_brand(name="Fjell Outlet", key="fjell")

    assert brand.name in text_of(client.get(PATH))
    assert "Fjell Outlet" in text_of(client.get(f"{PATH}?brand=fjell"))
    send(client, "?brand=fjell")

    assert db.session.scalars(select(Complaint.brand_id)).one() == second.id


@pytest.mark.parametrize("key", ["nobody", "%00", "é", "a'--", "x" * 300])
def test_an_unknown_brand_offers_a_person(client: Client, brand: Brand, key: str) -> None:
    response = client.get(f"{PATH}?brand={key}")

    assert response.status_code == 404
    assert "talk to a person" in text_of(response)


@pytest.mark.parametrize(
    ("language", "direction", "words"),
    [
        ("en", "ltr", "Tell us what went wrong"),
        ("de", "ltr", "Sagen Sie uns, was schiefgelaufen ist"),
        ("ar", "rtl", "أخبرنا بما لم يسر كما ينبغي"),
    ],
)
def test_the_form_and_the_receipt_speak_three_languages(
    client: Client, brand: Brand, language: str, direction: str, words: str
) -> None:
    page = text_of(client.get(f"{PATH}?lang={language}"))
    sent = client.get(send(client, f"?lang={language}").headers["Location"])

    assert words in page
    assert f'<html lang="{language}" dir="{direction}">' in page
    assert f'<html lang="{language}" dir="{direction}">' in text_of(sent)
    assert db.session.scalars(select(Complaint.language)).one() == language


def test_a_stranger_gets_the_browsers_language_or_the_brands(client: Client) -> None:
    make_brand(language="de")

    assert '<html lang="ar"' in text_of(client.get(PATH, headers={"Accept-Language": "ar-EG"}))
    assert '<html lang="de"' in text_of(client.get(PATH, headers={"Accept-Language": "xx"}))


def test_a_get_is_one_statement_and_writes_nothing(client: Client, brand: Brand) -> None:
    client.get(PATH)

    with count_queries() as queries:
        client.get(PATH)

    assert len(queries) == 1, queries


def test_a_complaint_is_few_statements(client: Client, brand: Brand) -> None:
    send(client, form_key="w" * 22)

    with count_queries() as queries:
        send(client)

    assert len(queries) <= 9, queries


def test_a_double_click_is_one_case(client: Client, brand: Brand) -> None:
    first, second = send(client), send(client)

    assert first.headers["Location"] == second.headers["Location"]
    assert (rows(Complaint), rows(Case)) == (1, 1)


def test_twenty_clicks_at_once_are_one_case(app: Flask, brand: Brand) -> None:
    db.session.commit()
    together, places = threading.Barrier(8), []

    def click() -> None:
        visitor = app.test_client()
        together.wait()
        places.append(visitor.post(PATH, data=typed()).headers["Location"])

    threads = [threading.Thread(daemon=True, target=click) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(places) == 8
    assert len(set(places)) == 1
    assert (rows(Complaint), rows(Case)) == (1, 1)


# What is wrong is said at its field


@pytest.mark.parametrize(
    ("wrong", "field", "words"),
    [
        ({"what": " \0 "}, "what", "Tell us what happened"),
        ({"what": "x" * 10_001}, "what", "longer than we can take"),
        ({"ref": "<script>"}, "ref", "An order number has letters and digits"),
        ({"ref": "x" * 61}, "ref", "An order number has letters and digits"),
        ({"ref": "???"}, "ref", "An order number has letters and digits"),
        ({"d": "", "m": "", "y": ""}, "when-m", "a month and a year will do"),
        ({"y": ""}, "when-y", "The date needs a year"),
        ({"m": ""}, "when-m", "The date needs a month"),
        ({"d": "31", "m": "2"}, "when-d", "That month has the days 1 to 28"),
        ({"d": "29", "m": "2", "y": "2023"}, "when-d", "That month has the days 1 to 28"),
        ({"d": "0"}, "when-d", "That month has the days 1 to 30"),
        ({"m": "13"}, "when-m", "A month is a number from 1 to 12"),
        ({"m": "Nov"}, "when-m", "Write the date in numbers"),
        ({"d": "-1"}, "when-d", "Write the date in numbers"),
        ({"y": "1850"}, "when-y", "Check the year"),
        ({"y": "9999"}, "when-y", "That day is still to come"),
        ({"y": "99999"}, "when-y", "Write the date in numbers"),
        ({"right": ""}, "right-0", "Choose what would put it right"),
        ({"right": "money"}, "right-0", "Not a valid choice"),
        ({"via": ""}, "via-0", "Choose how we should reach you"),
        ({"tel": ""}, "tel", "We need a number for that"),
        ({"tel": "call me"}, "tel", "This is no phone number"),
        ({"tel": "12"}, "tel", "This is no phone number"),
        ({"tel": "+49 40<b>"}, "tel", "This is no phone number"),
        ({"via": "sms", "mobile": ""}, "mobile", "We need a number for that"),
        ({"via": "email", "email": ""}, "email", "We need your e-mail address"),
        ({"via": "email", "email": "hanna@"}, "email", "The address is not complete"),
        ({"email": "a@b.example, c@d.example"}, "email", "The address is not complete"),
        ({"name": "x" * 121}, "name", "A name has at most 120 characters"),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_on_top(
    client: Client, brand: Brand, wrong: dict[str, str], field: str, words: str
) -> None:
    response = send(client, **wrong)

    page = text_of(response)
    assert response.status_code == 422
    summary = re.search(r'role="alert".*?</div>', page, re.DOTALL)
    assert summary is not None
    assert f'href="#{field}"' in summary[0]
    assert words in summary[0]
    assert f'id="{field}"' in page
    assert rows(Complaint) == 0


def test_all_that_is_wrong_is_said_at_once_and_what_was_typed_stays(client: Client, brand: Brand) -> None:
    page = text_of(
        send(client, what="My own <b>words</b> & more", d="41", tel="x", right="refund", at="evening", name="Änna")
    )

    assert "Please check 2 answers" in page
    assert "My own <b>words</b> & more</textarea>" in page
    for kept in ('value="41"', 'value="NW-48213"', 'value="x"', 'value="Änna"', f'value="{"k" * 22}"'):
        assert kept in page, kept
    assert re.search(r'checked[^>]*value="refund"', page)
    assert re.search(r'selected value="evening"', page)


@pytest.mark.parametrize(
    ("day", "month", "year", "kept"),
    [
        ("11", "11", "2025", "2025-11-11"),
        ("1", "2", "24", "2024-02-01"),
        ("29", "2", "2024", "2024-02-29"),
        ("", "11", "2025", "2025-11"),
        ("", "", "2024", "2024"),
        ("١١", "١١", "٢٠٢٥", "2025-11-11"),
        ("13", "11", "2025", "2025-11-13"),
    ],
)
def test_a_rough_date_is_fine(app: Flask, day: str, month: str, year: str, kept: str) -> None:
    assert happened.read(day, month, year, today=date(2025, 11, 13)) == kept


@pytest.mark.parametrize(("day", "month", "field"), [("14", "11", "d"), ("", "12", "m"), ("1", "12", "d")])
def test_a_day_to_come_is_refused(app: Flask, day: str, month: str, field: str) -> None:
    with pytest.raises(Refusal) as refused:
        happened.read(day, month, "2025", today=date(2025, 11, 13))

    assert refused.value.field == field


@pytest.mark.parametrize("reference", ["NW-48213", "#48213", "№ 7", "order 12/2025", "طلب ٥", "1"])
def test_an_order_that_nobody_knows_is_taken_as_it_was_typed(client: Client, brand: Brand, reference: str) -> None:
    assert send(client, ref=reference).status_code == 303

    assert db.session.scalars(select(Complaint.reference)).one() == reference


@pytest.mark.parametrize(
    ("number", "kept"),
    [("040 5550 4471", "04055504471"), ("٠٤٠ ٥٥٥٠ ٤٤٧١", "04055504471"), ("+49 (40) 5550-4471", "+494055504471")],
)
def test_a_number_is_kept_so_that_it_can_be_dialled(client: Client, brand: Brand, number: str, kept: str) -> None:
    send(client, tel=number)

    stored = db.session.scalars(select(Complaint.typed_phone)).one()
    assert re.sub(r"[^+\d]", "", str(stored)) == kept


def test_nothing_typed_reaches_a_header_of_a_mail(client: Client, brand: Brand) -> None:
    name = "Hanna\r\nBcc: all@staff.example\u2028\x85X"
    send(client, name=name, email="hanna@posteo.example")
    refused = send(client, form_key="b" * 22, via="email", email="a@b.example\r\nBcc: c@d.example")

    complaint = db.session.scalars(select(Complaint)).one()
    asked = db.session.scalars(select(Message)).one()
    assert complaint.typed_name == "Hanna Bcc: all@staff.example X"
    assert (asked.to_address, asked.to_name) == ("hanna@posteo.example", None)
    assert refused.status_code == 422


# Files


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_file_is_taken(client: Client, brand: Brand, name: str) -> None:
    content, content_type = HONEST[name]

    response = send(client, file=attached((name, content)))

    assert response.status_code == 303
    kept = db.session.scalars(select(File)).one()
    assert (kept.content_type, kept.size_bytes, kept.name) == (content_type, len(content), name.replace("HEIC", "heic"))


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_at_its_field_and_the_words_stay(client: Client, brand: Brand, name: str) -> None:
    response = send(client, file=attached(("ok.jpg", jpeg()), (name, HOSTILE[name])))

    page = text_of(response)
    assert response.status_code == 422
    assert 'href="#file"' in page
    assert "can’t be taken" in page
    assert "Please choose your files again" in page
    assert "One pole is cracked right through.</textarea>" in page
    assert (rows(File), rows(Case)) == (0, 0)


def test_thirty_megabytes_are_refused_at_the_field(client: Client, brand: Brand) -> None:
    response = send(client, file=attached(("film.mp4", boxes(b"isom", more=b"\0" * (30 * files.MEGABYTE)))))

    page = text_of(response)
    assert response.status_code == 422
    assert "is larger than 20 MB" in page
    assert "One pole is cracked right through.</textarea>" in page
    assert rows(Case) == 0


def test_twenty_megabytes_are_taken_and_more_than_forty_together_are_not(client: Client, brand: Brand) -> None:
    film = boxes(b"isom", more=b"\0" * (20 * files.MEGABYTE - 200))

    assert send(client, file=attached(("a.mp4", film))).status_code == 303
    many = send(client, form_key="b" * 22, file=attached(("a.mp4", film), ("b.mp4", film), ("c.mp4", film)))

    assert many.status_code == 422
    assert "Together these files are larger than 40 MB" in text_of(many)


def test_a_body_beyond_all_measure_is_a_page_that_says_so(client: Client, brand: Brand) -> None:
    declared = {"Content-Length": str(files.MOST_BODY_BYTES + 1)}
    response = client.post(PATH, headers=declared, content_type="multipart/form-data; boundary=x", data=b"")

    assert response.status_code in (400, 413, 422)
    assert "talk to a person" in text_of(response)


def test_five_files_are_taken_and_six_are_not(client: Client, brand: Brand) -> None:
    five = [(f"{number}.jpg", jpeg()) for number in range(5)]

    assert send(client, file=attached(*five)).status_code == 303
    six = send(client, form_key="b" * 22, file=attached(*five, ("6.jpg", jpeg())))

    assert six.status_code == 422
    assert "These are 6 files" in text_of(six)
    assert rows(Attachment) == 5


def test_an_empty_file_is_named_and_no_file_is_fine(client: Client, brand: Brand) -> None:
    empty = send(client, file=attached(("empty.jpg", b"")))
    none = send(client, file=attached(("", b"")))

    assert empty.status_code == 422
    assert "empty.jpg" in text_of(empty)
    assert none.status_code == 303


def test_files_that_were_fine_must_be_chosen_again_after_another_mistake(client: Client, brand: Brand) -> None:
    with_files = text_of(send(client, what="", file=attached(("a.jpg", jpeg()))))
    without = text_of(send(client, what=""))

    assert "Please choose your files again" in with_files
    assert "Please choose your files again" not in without
    assert rows(File) == 0


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../evil.sh", "_.._evil.sh.jpg"),
        ("<img src=x onerror=alert(1)>.jpg", "_img src=x onerror=alert(1)_.jpg"),
        ("gpj\u202e.exe", "gpj.exe.jpg"),
    ],
)
def test_a_files_name_is_made_harmless(client: Client, brand: Brand, name: str, kept: str) -> None:
    send(client, file=attached((name, jpeg())))

    assert db.session.scalars(select(File.name)).one() == kept


# Who is filing


def test_a_known_customer_is_asked_less_and_shown_masked(client: Client, brand: Brand) -> None:
    hanna = make_customer(name="Hanna Keller", email="hanna@posteo.example", phone="+494055504471")
    query = f"?for={complaints.link_token(hanna)}"

    page = text_of(client.get(PATH + query))
    response = send(client, query, tel="", name="Mallory", email="mallory@evil.example")

    assert "h•••@posteo.example" in page
    assert "+49 ••• 4471" in page
    assert "hanna@posteo.example" not in page
    assert "5550" not in page
    assert 'name="email"' not in page
    case = db.session.scalars(select(Case)).one()
    complaint = db.session.scalars(select(Complaint)).one()
    assert case.customer_id == hanna.id
    assert (complaint.typed_name, complaint.typed_email) == (None, None)
    receipt = text_of(client.get(response.headers["Location"]))
    assert f"/c/{tokens.sign('case', case.public_id)}" in receipt
    assert db.session.scalars(select(Message.kind)).one() == "complaint_acknowledged"


def test_a_made_up_link_is_a_stranger(client: Client, brand: Brand) -> None:
    hanna = make_customer()

    response = send(client, f"?for={tokens.sign('preferences', hanna.public_id)}")

    assert response.status_code == 303
    assert db.session.scalars(select(Case.customer_id)).one() is None


def test_a_strangers_address_is_confirmed_by_a_button_never_by_opening_the_link(client: Client, brand: Brand) -> None:
    hanna = make_customer(email="hanna@posteo.example", name="Hanna Keller")
    receipt = text_of(client.get(send(client, via="email", email="hanna@posteo.example").headers["Location"]))
    asked = db.session.scalars(select(Message)).one()
    path = asked.values["confirm_url"].partition("/complaints")[2]

    opened = client.get(f"/complaints{path}")
    before = db.session.scalars(select(Case.customer_id)).one()
    pressed = client.post(f"/complaints{path}")

    assert "Confirm your e-mail address" in receipt
    assert "h•••@posteo.example" in receipt
    assert "Keller" not in receipt
    assert opened.status_code == 200
    assert "Keller" not in text_of(opened)
    assert before is None
    case = db.session.scalars(select(Case)).one()
    assert case.customer_id == hanna.id
    assert pressed.status_code == 303
    assert pressed.headers["Location"] == f"/c/{tokens.sign('case', case.public_id)}?said=confirmed"
    assert "Your address is confirmed" in text_of(client.get(pressed.headers["Location"]))


def test_the_receipt_tells_a_stranger_nothing_after_the_address_was_confirmed(client: Client, brand: Brand) -> None:
    make_customer(email="hanna@posteo.example", name="Hanna Keller")
    place = send(client, via="email", email="hanna@posteo.example").headers["Location"]
    complaint, case = complaints.by_public_id(db.session.scalars(select(Complaint.public_id)).one())
    complaints.confirm(complaint, case, now=clock.now())

    receipt = text_of(client.get(place))

    assert "Keller" not in receipt
    assert "/c/" not in receipt


def test_a_link_that_is_too_old_says_so(client: Client, brand: Brand) -> None:
    send(client, email="hanna@posteo.example")
    complaint = db.session.scalars(select(Complaint)).one()
    path = f"/complaints/confirm/{tokens.sign('confirm', complaint.public_id)}"

    with clock.moved(timedelta(days=8)):
        shown, pressed = client.get(path), client.post(path)

    assert (shown.status_code, pressed.status_code) == (410, 410)
    assert "This link has run out" in text_of(shown)
    assert rows(Customer) == 0


@pytest.mark.parametrize("path", ["sent", "confirm"])
def test_links_that_we_never_signed_lead_nowhere(client: Client, brand: Brand, path: str) -> None:
    send(client)
    complaint = db.session.scalars(select(Complaint)).one()

    for token in ("x", "1" + "a" * 44, "%00", tokens.sign("case", complaint.public_id)):
        assert client.get(f"/complaints/{path}/{token}").status_code == 404


@pytest.mark.usefixtures("fresh_minute")
def test_many_from_one_address_are_asked_to_wait_with_their_words_kept(client: Client, brand: Brand) -> None:
    for number in range(PER_MINUTE):
        assert send(client, form_key=f"{number:022}").status_code == 303

    response = send(client, form_key="z" * 22)

    page = text_of(response)
    assert response.status_code == 429
    assert "Please wait a minute" in page
    assert "One pole is cracked right through.</textarea>" in page
    assert rows(Complaint) == PER_MINUTE


def test_how_complaints_are_handled_is_told(client: Client, brand: Brand) -> None:
    page = text_of(client.get("/complaints/how?lang=de"))

    assert "So gehen wir mit Beschwerden um" in page
    assert "4 Arbeitsstunden" in page


# The customer's page of the case


def test_a_customer_adds_files_with_a_reply_once(client: Client, brand: Brand) -> None:
    case = make_case(brand)
    path = f"/c/{tokens.sign('case', case.public_id)}/reply"

    def reply() -> TestResponse:
        data = {"reply": "Here it is", "form_key": "f" * 22, "file": attached(("pole.jpg", jpeg()))}
        return client.post(path, data=data)

    assert (reply().status_code, reply().status_code) == (303, 303)

    entry = db.session.scalars(select(CaseEntry)).one()
    kept = db.session.scalars(select(Attachment)).one()
    assert (kept.case_id, kept.entry_id) == (case.id, entry.id)


def test_a_hostile_file_with_a_reply_is_refused_and_the_words_stay(client: Client, brand: Brand) -> None:
    case = make_case(brand)
    data = {"reply": "Here it is", "file": attached(("a.svg", HOSTILE["drawing.svg"]))}

    response = client.post(f"/c/{tokens.sign('case', case.public_id)}/reply", data=data)

    assert response.status_code == 422
    assert "can’t be taken" in text_of(response)
    assert "Here it is</textarea>" in text_of(response)
    assert (rows(CaseEntry), rows(Attachment)) == (0, 0)


# Hostile words


def hostile_words(data: Path) -> list[str]:
    lists = [*(data / "hostile" / "payloads").rglob("*"), data / "hostile" / "csv_injection.txt"]
    found: list[str] = json.loads((data / "hostile" / "blns" / "blns.json").read_text("utf-8"))
    for path in lists:
        if path.is_file() and path.name != "LICENSE":
            found += path.read_text("utf-8", "replace").splitlines()[:60]
    return list(dict.fromkeys(found))


@pytest.mark.data
@pytest.mark.timeout(240)
def test_hostile_words_in_every_field_are_no_fault_of_ours(
    client: Client, brand: Brand, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("feedback.views.complaints.PER_MINUTE", 1_000_000)
    words = hostile_words(data)
    names = ("ref", "d", "m", "y", "right", "via", "tel", "at", "mobile", "name", "email", "form_key")
    statuses = set()

    for start in range(0, len(words), len(names)):
        some = words[start : start + len(names)]
        bad = dict(zip(names, some, strict=False))
        encoded = {key: value.encode("utf-8", "surrogatepass") for key, value in bad.items()}
        statuses.add(client.post(PATH, data={**typed(what=some[0]), **encoded}).status_code)
        client.get(PATH, query_string={"brand": some[0], "for": some[-1], "lang": some[-1]})
    for number, each in enumerate(words[::5]):
        response = send(client, what=each, name=each, form_key=f"{number:022}")
        statuses.add(response.status_code)

    assert len(words) > 500
    assert statuses <= {303, 422}
    for case in db.session.scalars(select(Case).order_by(Case.id.desc()).limit(20)):
        assert client.get(f"/c/{tokens.sign('case', case.public_id)}").status_code == 200
