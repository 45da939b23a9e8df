"""A customer who did everything one can do here, with a mark in every word and number that tells who they are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from accounts.models import Staff
from core import clock, outbox
from core.db import db, new_public_id
from customers.models import Brand, Customer, ImportRefusal, ImportRun, Touchpoint
from customers.scales import Metric
from feedback import complaints, entries, promises, resolutions
from feedback import files as attachments
from feedback.cases import ByHand, open_by_hand
from feedback.complaints import ComplaintData
from feedback.files import Upload as Attached
from feedback.models import Case, Complaint
from feedback.promises import Appointment
from incentives import goodwill
from incentives.models import Trigger
from insights import uploads
from insights.models import UploadState
from surveys.models import Invitation, Response
from tests.client import Client
from tests.factories import (
    make_api_key,
    make_customer,
    make_invitation,
    make_programme,
    make_root_cause,
    make_rule,
    make_staff,
    make_survey,
    make_touchpoint,
)
from tests.surveys.links import link

MARK = "xqzvmark"  # in every word
PHONE = "+4917099887766"  # a mark that is a number
QUEUES = ("messages", "rewards", "reactions", "reports")


@dataclass
class Life:
    customer: Customer
    merged: Customer
    brand: Brand
    touchpoint: Touchpoint
    lead: Staff
    answered: Invitation
    open_link: Invitation
    unhappy: Case
    complaint: Complaint
    resolved: Case


def work_off() -> None:
    """Do all work that is due."""
    db.session.commit()
    while sum(outbox.drain(queue) for queue in QUEUES):
        pass
    db.session.expire_all()


def lead(client: Client) -> Life:
    """Live it: everything through the product's own verbs and pages."""
    touchpoint = make_touchpoint()
    brand = touchpoint.brand
    staff = make_staff("lead", name="Alice Lind")
    survey = make_survey(brand)
    programme = make_programme(brand, fulfilment="generated")
    make_programme(brand, trigger=Trigger.GOODWILL, reward_minor=5000, budget=100_000, name="Goodwill")
    make_rule(touchpoint, survey, programme=programme)
    customer = _told_by_the_shop(client, touchpoint)
    merged = make_customer(
        external_id=f"{MARK}-old",
        name=f"Old {MARK}",
        email=f"old@{MARK}.example",
        phone=PHONE,
        tier=MARK,
        merged_into_id=customer.id,
    )
    work_off()
    answered = db.session.query(Invitation).filter_by(customer_id=customer.id).one()
    client.post(link(answered), data={"nps": "2", "comment": f"Late, {MARK}", "contact": "phone"})
    open_link = make_invitation(survey, customer, touchpoint, partial={"comment": f"half {MARK}"})
    work_off()
    unhappy = db.session.query(Case).filter_by(customer_id=customer.id).one()
    _work(unhappy, staff)
    life = Life(
        customer,
        merged,
        brand,
        touchpoint,
        staff,
        answered,
        open_link,
        unhappy,
        _complain(customer, brand),
        _resolve(customer, brand, staff),
    )
    _stranger(brand)
    _import(customer, survey.id, answered.version_id, brand, staff)
    work_off()
    return life


def _told_by_the_shop(client: Client, touchpoint: Touchpoint) -> Customer:
    _key, secret = make_api_key()
    item = {
        "reference": f"ORDER-{MARK}",
        "occurred_at": (clock.now() - timedelta(hours=1)).isoformat(),
        "touchpoint": touchpoint.key,
        "channel": "phone",
        "customer": {
            "external_id": f"{MARK}-77",
            "name": f"Hanna {MARK}",
            "email": f"hanna@{MARK}.example",
            "phone": PHONE,
            "language": "en",
            "tier": MARK,
        },
        "value": {"amount_minor": 38900, "currency": "EUR"},
        "attributes": {"item": f"Tent for {MARK}"},
    }
    headers = {"Authorization": f"Bearer {secret}", "Idempotency-Key": "once"}
    assert client.post("/api/v1/interactions", json=item, headers=headers).status_code == 201
    return db.session.query(Customer).filter_by(external_id=f"{MARK}-77").one()


def _work(case: Case, staff: Staff) -> None:
    now = clock.now()
    tomorrow = Appointment((now + timedelta(days=1)).date(), now.time().replace(second=0, microsecond=0), "UTC")
    entries.note(case, body=f"A note on {MARK}", by=staff, now=now)
    entries.log_call(case, reached=True, minutes=7, body=f"Rang {MARK}", by=staff, now=now)
    entries.reply(case, body=f"Dear {MARK}", last_seen=case.last_entry_id, by=staff, now=now)
    entries.customer_reply(case, body=f"It is me, {MARK}", form_key=new_public_id(), now=now)
    promises.make(case, words=f"New poles for {MARK}", when=tomorrow, keeper=staff, by=staff, now=now)
    goodwill.give(case, amount=500, words=f"Sorry, {MARK}", by=staff, form_key=new_public_id(), now=now)
    goodwill.give(case, amount=90_000, words=f"More, {MARK}", by=staff, form_key=new_public_id(), now=now)


def _complain(customer: Customer, brand: Brand) -> Complaint:
    photo = Attached(f"photo of {MARK}".encode(), f"{MARK}.png", "image/png")
    data = ComplaintData(
        words=f"Cracked, says {MARK}",
        form_key=new_public_id(),
        language="en",
        customer=customer,
        reference=f"ORDER-{MARK}",
        via="email",
        contact_time="morning",
        typed_name=MARK,
        typed_phone=PHONE,
        files=[photo],
    )
    kept = complaints.file(data, brand=brand, by="customer", now=clock.now())
    kept.attributes = {"cell": MARK}
    return kept


def _resolve(customer: Customer, brand: Brand, staff: Staff) -> Case:
    data = ByHand(brand=brand, customer=customer, summary=f"About {MARK}", words=MARK, form_key=new_public_id())
    case = open_by_hand(data, by=staff, now=clock.now())
    entry = entries.note(case, body=f"See {MARK}", by=staff, now=clock.now())
    attachments.attach(
        case.id, [Attached(MARK.encode(), f"{MARK}.pdf", "application/pdf")], entry_id=entry.id, now=clock.now()
    )
    resolutions.resolve(case, by=staff, cause=make_root_cause(), words=f"Sent {MARK} a pole", now=clock.now())
    return case


def _stranger(brand: Brand) -> None:
    """Somebody typed the customer's address into the form and never confirmed it."""
    data = ComplaintData(
        words="Also cracked.",
        form_key=new_public_id(),
        language="en",
        typed_email=f"Hanna@{MARK}.example",
        typed_name=f"Hanna {MARK}",
        typed_phone=PHONE,
    )
    complaints.file(data, brand=brand, by="customer", now=clock.now())


def _import(customer: Customer, survey_id: int, version_id: int, brand: Brand, staff: Staff) -> None:
    """An imported answer with its row's cells; a file that waits, one that is done, and what was refused in it."""
    now = clock.now()
    values: dict[str, Any] = {"survey_id": survey_id, "version_id": version_id, "brand_id": brand.id}
    values |= {"channel": "import", "language": "en", "state": "complete", "scores": {}, "why": [], "answers": {}}
    values |= {"metric": Metric.NPS, "question": "nps", "score": 9, "answered_at": now, "received_at": now}
    values |= {"import_key": f"{MARK}|9", "attributes": {"cell": MARK, "missing": "blank"}, "comment": f"Fine. {MARK}"}
    run = ImportRun(kind="responses", file_name="file.csv", file_sha256="0", mapping={}, by="import", started_at=now)
    db.session.add_all([Response(customer_id=customer.id, **values), run])
    db.session.flush()
    db.session.add(ImportRefusal(import_id=run.id, line=2, column="Id", reason=f"“Hanna {MARK}” is no day."))
    for content in (
        f"Id,Received,Text\n1,2024-03-01,from hanna@{MARK}.example\n",
        "Id,Received,Text\n1,2024-03-01,x\n",
    ):
        upload = uploads.keep(content.encode(), name="file.csv", brand=None, like=None, by=staff, now=now)
    upload.state, upload.told = UploadState.DONE, {"problems": [[2, "Id", f"“Hanna {MARK}” is no day."]]}
